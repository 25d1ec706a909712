"""`python -m echoic`: the command line."""

from echoic.cli import main

main()
