"""What every test starts from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import structlog
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from collections.abc import Iterator

# How fast a machine is decides nothing here: a first run on a busy one draws its examples slowly.
settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")


@pytest.fixture(autouse=True)
def fresh_log() -> Iterator[None]:
    """Give each test structlog as a fresh process has it: a command sets it up once, for a stream that ends with it."""
    structlog.reset_defaults()
    yield
    structlog.reset_defaults()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let a report say what was counted: ``tools/attacks.py`` reads it."""
    for item in items:
        for kind in ("attack", "conformance"):
            item.user_properties += [(kind, mark.args[0]) for mark in item.iter_markers(kind)]
