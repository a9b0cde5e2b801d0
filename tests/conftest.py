"""What every test starts from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import structlog

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def fresh_log() -> Iterator[None]:
    """Give each test structlog as a fresh process has it: a command sets it up once, for a stream that ends with it."""
    structlog.reset_defaults()
    yield
    structlog.reset_defaults()
