"""Imported by the fork server for what it does: each call's process begins with the language files read."""

from echoic.agent.commands.warm import read_languages

read_languages()
