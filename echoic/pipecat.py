"""Memory for Pipecat pipelines: `pip install "echoic[pipecat]"`.

```python
from echoic.pipecat import EchoicMemory

memory = EchoicMemory("maya")  # after the user aggregator, before the model
Pipeline([transport.input(), stt, user_aggregator, memory, llm, tts, transport.output(), assistant])
```
"""

from echoic.agent.pipecat.processor import EchoicMemory

__all__ = ["EchoicMemory"]
