"""``catflap door``: the owner's word to the running daemon. Floor 9."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edge import codec, config
from edge.adapters.control_client import ask
from edge.adapters.control_lines import command_from, status_text
from edge.errors import ConfigError

if TYPE_CHECKING:
    import argparse

    from edge.messages import Command, Reply

FINDING = 1


def speak(arguments: argparse.Namespace) -> int:
    """Say one command and print the reply; a refusal and a latched fault are findings."""
    command = _command(arguments)
    reply = ask(_socket(arguments), command)
    print(codec.to_json(reply).decode() if arguments.json else _text(reply))
    faulty = reply.status is not None and reply.status.fault is not None
    return 0 if reply.ok and not faulty else FINDING


def _command(arguments: argparse.Namespace) -> Command:
    """Return the command, checked here as the daemon will check it again."""
    given = {key: getattr(arguments, key, None) for key in ("command", "mode", "cat", "for_s")}
    return command_from({key: value for key, value in given.items() if value is not None})


def _socket(arguments: argparse.Namespace) -> Path:
    if arguments.socket is not None:
        return Path(arguments.socket)
    configured = config.load(arguments.config).control.path
    if not configured:
        raise ConfigError(f"{arguments.config}: control.path: is empty, so this daemon takes no commands")
    return Path(configured)


def _text(reply: Reply) -> str:
    """Return the reply as one line, whatever is in it."""
    said = reply.says if reply.status is None else f"{reply.says} {status_text(reply.status)}"
    return " ".join(said.split())
