"""`echoic.pipecat` in pipelines of the installed Pipecat."""
