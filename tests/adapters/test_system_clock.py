"""The machine's clock: the zone it is in, and whether the kernel vouches for it."""

from __future__ import annotations

import ctypes
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import TZPATH, ZoneInfo

import pytest

from edge.adapters.clock import MAX_ERROR_US, SystemClock, _Timex, machine_zone, zone_of
from edge.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

SUMMER, WINTER = datetime(2026, 7, 1, 12, tzinfo=UTC), datetime(2026, 12, 1, 12, tzinfo=UTC)


def test_the_machines_zone_knows_summer_from_winter(tmp_path: Path) -> None:
    """What /etc/localtime says is a zone with its changes, not the offset of the moment."""
    localtime = tmp_path / "localtime"
    localtime.write_bytes(_zone_file("Europe/Berlin"))
    zone = machine_zone(localtime)
    assert ["14:00 CEST", "13:00 CET"] == [f"{at.astimezone(zone):%H:%M %Z}" for at in (SUMMER, WINTER)]


def test_a_machine_without_a_zone_is_at_utc(tmp_path: Path) -> None:
    """Where /etc/localtime is absent the C library takes UTC, and so does this."""
    assert UTC is machine_zone(tmp_path / "none")


def test_a_zone_file_that_is_none_is_one_line(tmp_path: Path) -> None:
    """A spoilt /etc/localtime is for the owner to know, not to be taken for UTC."""
    spoilt = tmp_path / "localtime"
    spoilt.write_bytes(b"not a zone")
    with pytest.raises(ConfigError) as caught:
        machine_zone(spoilt)
    assert (True, False) == (str(caught.value).startswith(f"{spoilt}: is no time zone: "), "\n" in str(caught.value))


def test_the_zone_of_the_configuration_goes_before_the_machines() -> None:
    """A named zone is that zone; an empty name is the machine's."""
    assert (ZoneInfo("Europe/Berlin"), machine_zone().tzname(SUMMER)) == (
        zone_of("Europe/Berlin"),
        zone_of("").tzname(SUMMER),
    )


@pytest.mark.parametrize(
    ("returned", "error_us", "expected"),
    [(0, 1_500, True), (0, MAX_ERROR_US - 1, True), (5, MAX_ERROR_US, False), (-1, 0, False)],
)
def test_the_kernel_says_whether_the_clock_is_set(returned: int, error_us: int, expected: bool) -> None:
    """A small possible error means that somebody set the clock; the largest, or a refusal, that nobody did."""
    clock = SystemClock()
    clock._adjtimex = _kernel(returned, error_us)
    assert expected is clock.synchronised()


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_boot_that_cannot_be_named_has_no_name(tmp_path: Path, content: bytes | None) -> None:
    """Without the kernel's word the boot is no boot that was met before, and its time goes on all the same."""
    path = tmp_path / "boot_id"
    if content is not None:
        path.write_bytes(content)
    moment = SystemClock(path).boot()
    assert ("", True) == (moment.boot_id, moment.since_ns > 0)


def test_a_boot_is_named_as_the_kernel_names_it(tmp_path: Path) -> None:
    """The name is the kernel's line without its end."""
    path = tmp_path / "boot_id"
    path.write_text("57e1cc57-05d1-4bd4-a6ae-5a7d0e4d1c5e\n")
    assert "57e1cc57-05d1-4bd4-a6ae-5a7d0e4d1c5e" == SystemClock(path).boot().boot_id


def _kernel(returned: int, error_us: int) -> Callable[[Any], int]:
    def adjtimex(pointer: Any) -> int:  # noqa: ANN401 - what byref returns has no name
        ctypes.cast(pointer, ctypes.POINTER(_Timex)).contents.maxerror_us = error_us
        return returned

    return adjtimex


def _zone_file(name: str) -> bytes:
    """Return a zone's file, from the system or from the tzdata package, as zoneinfo finds it."""
    found = next((Path(folder) / name for folder in TZPATH if (Path(folder) / name).exists()), None)
    return found.read_bytes() if found else resources.files("tzdata").joinpath("zoneinfo", name).read_bytes()
