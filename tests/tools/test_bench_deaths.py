"""What the bench of deaths reads and says; the deaths themselves take real time and are no business of the tests."""

from __future__ import annotations

import pytest
from bench_deaths import STOP_POST_S, WATCHDOG_S, Death, Pin, Trial, Watchdog, bound_s, notified, summary

NS = 1_000_000_000


def test_a_datagram_is_its_variables() -> None:
    """One sd_notify datagram may carry several variables, and a value may hold an equals sign."""
    assert {"STATUS": "a=b", "STOPPING": "1"} == notified(b"STATUS=a=b\nSTOPPING=1\n")


def test_a_line_that_assigns_nothing_is_no_datagram() -> None:
    """What is no assignment raises; it is never taken for a heartbeat."""
    with pytest.raises(ValueError, match="dictionary update"):
        notified(b"WATCHDOG")


def test_the_watchdog_sleeps_until_ready() -> None:
    """A daemon that has not said READY=1 may take its time."""
    assert Watchdog(10.0).late_ns(3600 * NS) is None


@pytest.mark.parametrize("word", [b"READY=1", b"WATCHDOG=1"])
def test_the_watchdog_is_due_after_the_last_word(word: bytes) -> None:
    """READY=1 and every WATCHDOG=1 wind it up anew; at its time it is due, and not a nanosecond before."""
    watchdog = Watchdog(10.0)
    watchdog.hear(b"READY=1", 0)
    watchdog.hear(word, 5 * NS)
    assert [None, 0, 7] == [watchdog.late_ns(15 * NS + late) for late in (-1, 0, 7)]


@pytest.mark.parametrize("word", [b"STATUS=well", b"WATCHDOG=0", b"STOPPING=1"])
def test_other_words_do_not_wind_the_watchdog_up(word: bytes) -> None:
    """A daemon that chats but does not beat is not alive."""
    watchdog = Watchdog(10.0)
    watchdog.hear(b"READY=1", 0)
    watchdog.hear(word, 5 * NS)
    assert (0, 0) == (watchdog.late_ns(10 * NS), watchdog.beats)


def test_a_pin_stays_where_it_was() -> None:
    """A pin is low before the first word, and keeps the level of the last one."""
    pin = Pin()
    levels = [pin.high]
    for at_ns, word in ((1, b"1"), (5, b"0")):
        pin.hear(word, at_ns)
        levels.append(pin.high)
    assert ([False, True, False], 5) == (levels, pin.changed_ns)


def test_a_pin_has_two_levels() -> None:
    """A word that is no level raises."""
    with pytest.raises(ValueError, match="tuple"):
        Pin().hear(b"2", 0)


@pytest.mark.parametrize(
    ("death", "guard", "expected"),
    [
        (Death.KILLED, False, STOP_POST_S),
        (Death.STOPPED, False, WATCHDOG_S + STOP_POST_S),
        (Death.HUNG, False, WATCHDOG_S + STOP_POST_S),
        (Death.KILLED, True, 0.6),
        (Death.STOPPED, True, 0.6),
        (Death.HUNG, True, 0.6),
    ],
)
def test_the_bound_is_what_was_promised(death: Death, expected: float, *, guard: bool) -> None:
    """With the guard lease and one tick, whatever the death; without it the watchdog, or at once for a process gone."""
    assert expected == pytest.approx(bound_s(death, guard=guard))


def test_a_summary_shows_the_worst() -> None:
    """The line of a death has the least and the most, and counts where the watchdog had to bite and how late."""
    trials = [Trial(Death.HUNG, 10.1, 0.2), Trial(Death.HUNG, 9.98, 0.01), Trial(Death.HUNG, 10.0, None)]
    line = summary(trials, guard=False)
    assert ("coil_off_after_hung_interpreter_without_guard", {"least": 9.98, "most": 10.1}, 3, 2, 0.2) == (
        line["figure"],
        line["value"],
        line["trials"],
        line["watchdog_killed"],
        line["stand_in_late_s"],
    )
