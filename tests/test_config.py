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
        ("[pins]\nbolt = 17", "door.identity: chip can let no cat in without a [[cat]]"),
        (GOOD + "[[cat]]\nname = 'Tom'\nneeds = 'both'", "cat Tom: needs = 'both' lets it in never: no chip is listed"),
        (
            "[pins]\nbolt = 17\n[[cat]]\nname = 'Tom'\nchip = '276098106123456'",
            "cat Tom: needs its chip and can be let in by no chip reader (chip.kind is none)",
        ),
        ("[guard]\nkind = 'serial'\n[pins]\nbolt = 17", "pins.bolt: the bolt has one driver; leave it out where guard"),
        ("[guard]\nkind = 'sim'\n[pins]\nbolt = 17", "guard.kind: sim drives a bolt of the simulated world; pins."),
        ("[guard]\nkind = 'serial'\n[pins]\nfactory = 'sim'", "guard.kind: serial drives a real bolt; the simulated"),
        (
            "[guard]\nkind = 'serial'\nport = '/dev/serial0'\n[chip]\nkind = 'serial'",
            "guard.port: '/dev/serial0' is already chip.port; each needs its own",
        ),
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
        (GOOD + "[lock]\nprofile = 'ed52'", "lock.profile: 'ed52' is not one of custom, ed5, ed15, ed25"),
        (
            GOOD + "[lock]\nprofile = 'adafruit_1512'\nmax_on_s = 11",
            "lock.max_on_s: 11 is looser than adafruit_1512 allows: at most 10 (product page",
        ),
        (
            GOOD + "[lock]\nprofile = 'ed25'\nduty = 0.26",
            "lock.duty: 0.26 is looser than ed25 allows: at most 0.25 (DIN VDE 0580",
        ),
        (
            GOOD + "[lock]\nprofile = 'ed25'\nheat_budget_s = 76",
            "lock.heat_budget_s: 76 is looser than ed25 allows: at most 75",
        ),
        (
            GOOD + "[lock]\nprofile = 'ed25'\nmin_rest_s = 0.5",
            "lock.min_rest_s: 0.5 is looser than ed25 allows: at least 1",
        ),
        ("[door\n", "is not TOML"),
        ("[house]\nmode = 'open'", "house.mode: 'open' is not one of in_and_out, in_only, out_only, locked"),
        ("[house]\ncurfew = '22:00'", "house.curfew: '22:00' is not a span of the day such as"),
        ("[house]\ncurfew = 22", "house.curfew: 22 is not text in quotes"),
        ("[house]\ncurfew_days = ['mo']", "house.curfew_days[0]: 'mo' is not one of mon, tue, wed, thu, fri, sat, sun"),
        ("[house]\ncurfew_days = ['mon', 'mon']", "house.curfew_days: 'mon' is there twice"),
        ("[house]\ncurfew_days = []", "house.curfew_days: [] is not a list of mon, tue, wed, thu, fri, sat, sun in"),
        ("[house]\ncurfew_days = 'mon'", "house.curfew_days: 'mon' is not a list of mon, tue"),
        ("[house]\ncome_home_min = 1441", "house.come_home_min: 1441 is not a whole number from 0 to 1440"),
        (
            "[house]\ntimezone = 'Europe/Berln'",
            "house.timezone: 'Europe/Berln' is no time zone that this machine's tzdata knows; did you mean Europe/Ber",
        ),
        ("[house]\ntimezone = 'Europe'", "house.timezone: 'Europe' is no time zone that"),
        ("[house]\ntimezone = '/etc/localtime'", "house.timezone: '/etc/localtime' is no time zone that"),
        (
            GOOD + "[house]\ncurfew = '00:00-24:00'\ncome_home_min = 0",
            "house.curfew: 00:00-24:00 never ends, and house.come_home_min is 0; nobody could come in",
        ),
        (
            GOOD + "hours = []",
            "cat[0].hours: [] is not a list of spans of the day in brackets, at least one of them; leave",
        ),
        (GOOD + "hours = '06:00-09:00'", "cat[0].hours: '06:00-09:00' is not a list of spans of the day in brackets"),
        (GOOD + "hours = ['08:00-08:00']", "cat[0].hours[0]: '08:00-08:00' is not a span of the day such as"),
        (GOOD + "hours = ['06:00-09:00', 7]", "cat[0].hours[1]: 7 is not text in quotes"),
        (GOOD + "hours = ['06:00-09:00', '06:00-09:00']", "cat[0].hours: '06:00-09:00' is there twice"),
        (
            GOOD + "hours = ['22:30-23:00', '04:00-06:00']\n[house]\ncurfew = '22:00-06:00'",
            "cat[0].hours: Mimi could never come in: 22:30-23:00, 04:00-06:00 lies within house.curfew 22:00-06:00, af",
        ),
        (
            GOOD + "hours = ['06:00-09:00']\n[door]\nidentity = 'any_cat'",
            "cat[0].hours: 06:00-09:00 can bind nobody: with door.identity = any_cat no cat is told from another",
        ),
    ],
)
def test_a_mistake_is_one_line(tmp_path: Path, text: str, expected: str) -> None:
    """Unknown key, wrong type, value out of range, contradiction: one line with file, key and what is allowed."""
    path = write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        config.load(path)
    assert (True, False) == (str(caught.value).startswith(f"{path}: {expected}"), "\n" in str(caught.value))


def test_a_profile_fills_what_the_file_does_not_say(tmp_path: Path) -> None:
    """A named coil brings its limits, and the file's own stricter ones stand."""
    lock = config.load(write(tmp_path, GOOD + "[lock]\nprofile = 'ed25'\nmax_on_s = 12\nmin_rest_s = 2")).lock
    assert (12.0, 2.0, 75.0, 0.25) == (lock.max_on_s, lock.min_rest_s, lock.heat_budget_s, lock.duty)


def test_a_coil_without_a_name_is_as_the_file_says(tmp_path: Path) -> None:
    """The profile custom allows everything within the bounds, and changes no default."""
    plain = config.load(write(tmp_path, GOOD)).lock
    lock = config.load(write(tmp_path, GOOD + "[lock]\nprofile = 'custom'\nduty = 0.9")).lock
    assert (dataclasses.replace(plain, duty=0.9), "custom") == (lock, plain.profile)


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    """A file that is not there is named."""
    path = tmp_path / "none.toml"
    with pytest.raises(ConfigError) as caught:
        config.load(path)
    assert f"{path}: cannot be read: No such file or directory" == str(caught.value)


def test_hours_that_are_sometimes_outside_the_curfew_are_kept(tmp_path: Path) -> None:
    """A cat that may come in on other days, or within the grace, or all night, is no contradiction."""
    night = "hours = ['22:30-23:00']\n[house]\ncurfew = '22:00-06:00'\n"
    kept = [
        str(config.load(write(tmp_path, GOOD + night + more)).cat[0].hours[0])
        for more in ("curfew_days = ['sun']", "come_home_min = 31", "come_home_min = 1440")
    ]
    assert ["22:30-23:00"] * 3 == kept


@pytest.mark.parametrize("mode", ["out_only", "locked"])
def test_a_mode_that_lets_nobody_in_is_a_wish(tmp_path: Path, mode: str) -> None:
    """Closed for ever, if that is what the file says; it is one command away from open."""
    assert mode == config.load(write(tmp_path, GOOD + f"[house]\nmode = '{mode}'")).house.mode


def test_spans_are_shown_as_they_are_written(tmp_path: Path) -> None:
    """`catflap config show` prints curfew and hours as the file would say them."""
    loaded = config.load(write(tmp_path, GOOD + "hours = ['06:00-09:00']\n[house]\ncurfew = '22:00-06:00'"))
    shown = {key: value for key, value, _, _ in config.describe(loaded)}
    days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
    assert ("22:00-06:00", days, ["06:00-09:00"]) == (
        shown["house.curfew"],
        shown["house.curfew_days"],
        shown["cat[0].hours"],
    )


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


scalars = st.one_of(
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.lists(st.integers(), max_size=2),
    st.lists(st.sampled_from(["mon", "sun", "06:00-09:00"]), max_size=2),
    st.sampled_from(["22:00-06:00", "00:00-24:00", "Europe/Berlin", "Europe", "\0"]),
)
keys = st.sampled_from(
    [f"{name}.{entry.name}" for name, kind in config.SECTIONS.items() for entry in dataclasses.fields(kind)]
)
cat_keys = st.sampled_from([entry.name for entry in dataclasses.fields(config.CatConfig)])


@given(st.dictionaries(keys, scalars, max_size=6), st.dictionaries(cat_keys, scalars, max_size=3))
def test_any_table_is_taken_or_refused(values: dict[str, object], cat: dict[str, object]) -> None:
    """Whatever is written into the file, it is a configuration or one ConfigError; never anything else."""
    table: dict[str, Any] = {"cat": [cat]}
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
