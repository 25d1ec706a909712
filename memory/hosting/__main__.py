"""`python -m echoic.memory.hosting FOLDER GROUP LINGER_S MODULE ARGUMENTS…`: the daemon of a group.

Its servers are what `servers(ARGUMENTS…)` of MODULE returns. What goes wrong is written to the group's log.
"""

import logging
import os
import sys
from importlib import import_module
from pathlib import Path

from echoic.memory.hosting.daemon import Daemon
from echoic.memory.hosting.state import tell_failure

LOG_FORMAT = "%(asctime)s %(levelname)s %(message)s server=%(server)s code=%(code)s"


def main(folder: str, group: str, linger_s: str, module: str, *arguments: str) -> None:
    """Keep the servers until nobody needs them."""
    os.umask(0o077)
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter(LOG_FORMAT, defaults={"server": "-", "code": "-"}))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    try:
        servers = import_module(module).servers
        Daemon(Path(folder), group, lambda: servers(*arguments), float(linger_s)).run()
    except Exception as exc:  # also what goes wrong before there is a daemon
        logging.getLogger("echoic.daemon").exception("daemon.not_started")
        tell_failure(Path(folder), group, exc)


if __name__ == "__main__":
    main(*sys.argv[1:])
