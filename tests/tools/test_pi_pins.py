"""What is judged of the emulated board's pins."""

from __future__ import annotations

from dataclasses import replace

from pi_pins import DRIVEN, MOMENTS, RESET, Run, faults

from edge.config import PinsConfig

PINS = PinsConfig(bolt=17, lamp=18, led=25)
IDLE = dict.fromkeys(range(54), "gpio_in lo")
HELD = IDLE | {17: DRIVEN, 18: "gpio_out lo", 25: "gpio_out lo"}
LET_GO = IDLE | {17: "gpio_in hi"}
RUN = Run("6.1", None, {"boot": IDLE, "held": HELD, "killed": LET_GO, "watchdog": HELD, RESET: IDLE})


def test_a_pin_that_nobody_drives_is_at_rest() -> None:
    """A released pin is right, whatever level the board last saw on it."""
    assert [] == list(faults(RUN, PINS))


def test_a_bolt_driven_after_the_reset_is_a_fault() -> None:
    """The line may be driven by nobody at any boot, after a kill and after an end."""
    for moment in ("boot", "killed", RESET):
        wrong = replace(RUN, pins=RUN.pins | {moment: IDLE | {17: DRIVEN}})
        assert f"6.1: GPIO 17 is {DRIVEN} {MOMENTS[moment]}" in list(faults(wrong, PINS))


def test_a_kernel_that_keeps_outputs_must_be_seen_to() -> None:
    """Told to keep outputs, the line stays driven after a kill, or the trial has not tried it; rest ends it."""
    kept = replace(RUN, persists="Y", pins=RUN.pins | {"killed": HELD, "rested": IDLE | {17: "gpio_out lo"}})
    assert [] == list(faults(kept, PINS))
    assert 1 == len(list(faults(replace(RUN, persists="Y"), PINS)))
    assert 1 == len(list(faults(replace(kept, pins=kept.pins | {"rested": HELD}), PINS)))


def test_no_other_pin_may_move() -> None:
    """With the bolt held, every pin but bolt, lamp and light is what it was at boot."""
    wrong = replace(RUN, pins=RUN.pins | {"held": HELD | {4: "gpio_out hi"}})
    assert ["6.1: GPIO 4 is gpio_out hi with the bolt held; gpio_in lo is right"] == list(faults(wrong, PINS))
