"""structlog, set up once: console form for people on a terminal, one JSON object a line otherwise. Floor 5."""

from __future__ import annotations

import logging
import sys
from typing import TextIO

import structlog

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def set_up(form: str, level: str, stream: TextIO | None = None) -> None:
    """Send every structlog line of the process to ``stream`` (default: standard error).

    Args:
        form: ``console``, ``json``, or ``auto`` (console where the stream is a terminal).
        level: ``debug``, ``info``, ``warning`` or ``error``.
        stream: where the lines go.
    """
    out = stream or sys.stderr
    human = form == "console" or (form == "auto" and out.isatty())
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer(colors=out.isatty()) if human else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(file=out),
        cache_logger_on_first_use=False,
    )
