"""The bolt is rested without the daemon: by whatever is there, from whatever of the configuration can be read."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from test_boot import EXAMPLE

from edge.cli import main
from edge.rest import HOLD_S, LOOK_EVERY_S, WIRED, _bolts, rest

if TYPE_CHECKING:
    from pathlib import Path

PINS = """[pins]
factory = "mock"
bolt = 5
bolt2 = 6
reed = 23
[lock]
kind = "{kind}"
duty = 1.0
max_on_s = 3600.0
heat_budget_s = 3600.0
[door]
identity = "any_cat"
"""

PINCTRL = """#!{python}
import pathlib, sys
state = pathlib.Path({state!r})
levels = dict(line.split() for line in state.read_text().splitlines())
state.with_suffix(".calls").open("a").write(" ".join(sys.argv[1:]) + "\\n")
if {broken}:
    sys.exit("pinctrl: no such chip")
for number in sys.argv[2].split(","):
    if sys.argv[1] == "set":
        levels[number] = "lo"
    elif number in levels:
        print(f"{{number:>2}}: {{'ip    pu' if number == '23' else 'op dh pd'}} | {{levels[number]}} // GPIO{{number}}")
state.write_text("".join(f"{{number}} {{level}}\\n" for number, level in levels.items()))
"""


class Bench:
    """A configuration, a pinctrl that keeps its levels in a file, and somebody who closes the flap."""

    def __init__(self, directory: Path) -> None:
        """Nothing is there yet."""
        self.path = directory / "catflap.toml"
        self._levels = directory / "levels"
        self._program = directory / "pinctrl"
        self.said: list[str] = []
        self.waited_s = 0.0
        self.closes_after_s = 1e9

    def wired(self, *, kind: str = "power_to_unlock", flap_open: bool, broken: bool = False) -> str:
        """Give the flap a pinctrl, both bolts with power; return the program."""
        self.path.write_text(PINS.format(kind=kind), encoding="utf-8")
        self._set({"5": "hi", "6": "hi", "23": "hi" if flap_open else "lo"})
        text = PINCTRL.format(python=sys.executable, state=str(self._levels), broken=broken)
        self._program.write_text(text, encoding="utf-8")
        self._program.chmod(0o755)
        return str(self._program)

    def rest(self, pinctrl: str | None = None) -> bool:
        """Rest; return whether it was done."""
        return rest(self.path, self.said.append, pinctrl, self._wait)

    @property
    def levels(self) -> dict[str, str]:
        """The pins as they are now."""
        return dict(line.split() for line in self._levels.read_text(encoding="ascii").splitlines())

    def _set(self, levels: dict[str, str]) -> None:
        self._levels.write_text("".join(f"{pin} {level}\n" for pin, level in levels.items()), encoding="ascii")

    def _wait(self, seconds: float) -> None:
        self.waited_s += seconds
        if self.waited_s >= self.closes_after_s:
            self._set(self.levels | {"23": "lo"})


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A bench on a machine without pinctrl of its own."""
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    return Bench(tmp_path)


def test_pinctrl_drives_every_bolt_low(bench: Bench) -> None:
    """Where there is pinctrl it does it, at once on a flap that hangs straight, and says so."""
    assert bench.rest(bench.wired(flap_open=False))
    assert ({"5": "lo", "6": "lo", "23": "lo"}, 0.0) == (bench.levels, bench.waited_s)
    assert ["GPIO 5,6: driven low by pinctrl"] == bench.said


def test_a_bolt_is_not_let_fall_on_an_open_flap(bench: Bench) -> None:
    """A bolt that rests shut and has power still is held until the flap is closed."""
    program = bench.wired(flap_open=True)
    bench.closes_after_s = 5 * LOOK_EVERY_S
    assert bench.rest(program)
    assert ("lo", True) == (bench.levels["5"], 5 * LOOK_EVERY_S <= bench.waited_s < HOLD_S)


def test_a_coil_is_not_cooked_for_a_flap_that_stays_open(bench: Bench) -> None:
    """After HOLD_S the coil is let go, whatever the flap says."""
    assert bench.rest(bench.wired(flap_open=True))
    assert {"lo"} == {bench.levels["5"], bench.levels["6"]}
    assert pytest.approx(HOLD_S) == bench.waited_s


def test_a_bolt_that_rests_open_is_never_waited_for(bench: Bench) -> None:
    """Without power such a bolt draws back: an open flap is no reason to wait."""
    assert bench.rest(bench.wired(kind="power_to_lock", flap_open=True))
    assert ("lo", 0.0) == (bench.levels["5"], bench.waited_s)


def test_where_pinctrl_fails_the_daemons_own_adapter_does_it(bench: Bench) -> None:
    """A pinctrl that does not know this machine is named, and then each pin is claimed, driven low and let go."""
    assert bench.rest(bench.wired(flap_open=False, broken=True))
    lows = [f"GPIO {number}: driven low through mock, and let go" for number in (5, 6)]
    assert ["pinctrl: pinctrl: no such chip", *lows] == bench.said


def test_without_a_chip_it_says_so_and_fails(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    """A machine without the pins' library is told of, pin by pin, and the status is 1."""
    bench.path.write_text(PINS.format(kind="power_to_unlock").replace("mock", "pigpio"), encoding="utf-8")
    assert 1 == main(["rest", "--config", str(bench.path)])
    said = capsys.readouterr().out.splitlines()
    assert 2 == len([line for line in said if line.endswith("the resistor at the gate has to hold it")])


@pytest.mark.parametrize(
    ("text", "numbers", "origin"),
    [
        ("[pins]\nbolt = 5\nbotl2 = 6\n", (5,), "catflap.toml"),
        ("[pins]\nbolt = 5\nbolt2 = 99\n[dor]\n", (5,), "catflap.toml"),
        ("pins = 3", WIRED, "docs/wiring.md"),
        ("[pins", WIRED, "docs/wiring.md"),
        ("\x00\x01", WIRED, "docs/wiring.md"),
        (None, WIRED, "docs/wiring.md"),
    ],
)
def test_a_broken_configuration_has_pins_all_the_same(
    tmp_path: Path, text: str | None, numbers: tuple[int, ...], origin: str
) -> None:
    """What can still be read of the pins counts; else those of docs/wiring.md; and it is known whose they are."""
    path = tmp_path / "catflap.toml"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    bolts = _bolts(path, None)
    assert (numbers, "lgpio", -1, origin) == (
        bolts.pins,
        bolts.factory,
        bolts.reed,
        bolts.origin.removeprefix(f"{tmp_path}/"),
    )


def test_a_broken_configuration_is_told_of(bench: Bench) -> None:
    """The mistake is said first, in the words of `catflap config check`, and whose pins are rested instead."""
    bench.wired(flap_open=False)
    bench.path.write_text("[pins]\nbolt = 5\nbotl2 = 6\n", encoding="utf-8")
    assert bench.rest(str(bench.path.parent / "pinctrl"))
    assert [True, True] == [words in bench.said[0] for words in ("did you mean pins.bolt2?", "the pins are those of")]
    assert ("lo", "hi") == (bench.levels["5"], bench.levels["6"])


def test_a_guard_that_is_gone_is_named(bench: Bench) -> None:
    """Where a guard drives the bolt it is asked; one that cannot be reached lets go by itself, and that is said."""
    bench.path.write_text(
        '[guard]\nkind = "serial"\nport = "/nonexistent"\n[door]\nidentity = "any_cat"\n', encoding="utf-8"
    )
    assert not bench.rest()
    assert ["guard.port /nonexistent: cannot", "when its lease ends"] == [bench.said[0][:31], bench.said[0][-19:]]


def test_simulated_pins_need_no_rest(bench: Bench) -> None:
    """A configuration of the simulated world has nothing to rest."""
    bench.path.write_text(
        '[camera]\nkind = "sim"\n[pins]\nfactory = "sim"\n[door]\nidentity = "any_cat"\n', encoding="utf-8"
    )
    assert bench.rest()


def test_the_pins_of_last_resort_are_the_wiring_pages() -> None:
    """What is rested where nothing can be read is what page, fragment and example call the bolt."""
    assert WIRED[0] == EXAMPLE.bolt


def test_nothing_heavy_stands_before_the_rest() -> None:
    """Until pinctrl was asked no numpy, no OpenCV, no runtime and no hardware library is loaded."""
    code = "import sys, edge.commands.rest; print(*sorted({'numpy', 'cv2', 'gpiozero', 'serial'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "" == done.stdout.strip()
