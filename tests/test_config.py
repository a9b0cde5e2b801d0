"""The one configuration file: every mistake is one line that names file, key and what is allowed."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge import config
from edge.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

GOOD = """
[pins]
bolt = 17
[chip]
kind = "serial"
[[cat]]
name = "Mimi"
chip = "276098106123456"
"""


def write(tmp_path: Path, text: str) -> Path:
    """Write a configuration file."""
    path = tmp_path / "catflap.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_short_file_is_enough(tmp_path: Path) -> None:
    """What is not said has its default; what is said is kept."""
    loaded = config.load(write(tmp_path, GOOD))
    assert (17, "shut", "Mimi") == (loaded.pins.bolt, loaded.door.on_blind, loaded.cat[0].name)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[door]\nhold_of_s = 3", "door.hold_of_s: no such key; did you mean door.hold_off_s?"),
        ("[doors]\n", "doors: no such key; did you mean door?"),
        ("[door]\nopen_s = 'long'", "door.open_s: 'long' is not a number from 1.0 to 30.0"),
        ("[door]\nopen_s = 31", "door.open_s: 31 is not a number from 1.0 to 30.0"),
        ("[door]\nopen_s = nan", "door.open_s: nan is not a number from 1.0 to 30.0"),
        ("[camera]\nwidth_px = 320.5", "camera.width_px: 320.5 is not a whole number from 160 to 640"),
        ("[camera]\nwidth_px = true", "camera.width_px: True is not a whole number from 160 to 640"),
        ("[door]\non_blind = 'ajar'", "door.on_blind: 'ajar' is not one of shut, open, chip"),
        ("[door]\non_blind = 3", "door.on_blind: 3 is not one of shut, open, chip"),
        ("[pins]\nbolt = 17\nbolt2 = 17", "pins.bolt2: pin 17 is already pins.bolt; each needs its own"),
        (
            "[pins]\nbolt = 17\nbolt2 = 27\n[lock]\ncoil_w = 13",
            "lock.supply_w: 24 W cannot hold 2 coils of 13 W (lock.coil_w) at once, as an open door needs",
        ),
        ("[lock]\nbolt_delay_s = 0", "lock.bolt_delay_s: 0 is not a number from 0.05 to 5.0"),
        ("door = 3", "door: must be a table, headed [door]"),
        ("cat = 3", "cat: must be a list of tables, each headed [[cat]]"),
        ("[[cat]]\nname = 'Mimi'\nchip = '12'", "cat[0].chip: '12' is not 15 digits as on the vet's paper, or empty"),
        ("[[cat]]\nchip = ''\nname = ''", "cat[0].name: '' is not 1 to 32 letters, digits, spaces or . ' -"),
        ("[pins]\nbolt = 17\npir = 17", "pins.pir: pin 17 is already pins.bolt; each needs its own"),
        ("[pins]\nbolt = -1", "pins.bolt: must be the number (0 to 27) of the pin that drives the bolt"),
        ("[pins]\nbolt = 17", "door.identity: chip can let no cat in without a chip reader"),
        ("[camera]\nkind = 'video'\n[pins]\nbolt = 17", "camera.source: must name a device, address, file or folder"),
        (
            "[camera]\nkind = 'sim'\n[pins]\nbolt = 17",
            "camera.kind, pins.factory, chip.kind: the simulated world needs both",
        ),
        (GOOD + "[lock]\nkind = 'power_to_lock'", "lock.kind: power_to_lock holds the coil all day"),
        (GOOD + "[[cat]]\nname = 'Mimi'", "cat.name: 'Mimi' is there twice; each cat needs its own"),
        (
            "[pins]\nbolt = 17\n[door]\nidentity = 'any_cat'\non_blind = 'chip'",
            "door.on_blind: chip needs a chip reader",
        ),
        ("[door\n", "is not TOML"),
    ],
)
def test_a_mistake_is_one_line(tmp_path: Path, text: str, expected: str) -> None:
    """Unknown key, wrong type, value out of range, contradiction: one line with file, key and what is allowed."""
    path = write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        config.load(path)
    assert (True, False) == (str(caught.value).startswith(f"{path}: {expected}"), "\n" in str(caught.value))


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    """A file that is not there is named."""
    path = tmp_path / "none.toml"
    with pytest.raises(ConfigError) as caught:
        config.load(path)
    assert f"{path}: cannot be read: No such file or directory" == str(caught.value)


def test_the_digest_names_the_values() -> None:
    """The same values have the same digest, one changed value another."""
    table: dict[str, Any] = {"pins": {"bolt": 17}, "door": {"identity": "any_cat"}}
    first, again = (config.parse(table, "test").digest() for _ in range(2))
    changed = config.parse({**table, "door": {"identity": "any_cat", "open_s": 5.0}}, "test").digest()
    assert (first, True) == (again, changed != first)


def test_every_value_is_described() -> None:
    """Each value of each section has bounds or choices and a meaning."""
    described = config.describe(config.parse({"pins": {"bolt": 17}, "door": {"identity": "any_cat"}}, "test"))
    fields = sum(len(dataclasses.fields(kind)) for kind in config.SECTIONS.values())
    assert (fields, True) == (len(described), all(allowed and meaning for _, _, allowed, meaning in described))


scalars = st.one_of(st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.lists(st.integers(), max_size=2))
keys = st.sampled_from(
    [f"{name}.{entry.name}" for name, kind in config.SECTIONS.items() for entry in dataclasses.fields(kind)]
)


@given(st.dictionaries(keys, scalars, max_size=6))
def test_any_table_is_taken_or_refused(values: dict[str, object]) -> None:
    """Whatever is written into the file, it is a configuration or one ConfigError; never anything else."""
    table: dict[str, Any] = {}
    for key, value in values.items():
        section, name = key.split(".")
        table.setdefault(section, {})[name] = value
    assert _outcome(table) in ("taken", "refused in one line")


def _outcome(table: dict[str, Any]) -> str:
    try:
        config.parse(table, "test").digest()
    except ConfigError as error:
        return "refused in one line" if "\n" not in str(error) else str(error)
    return "taken"
