"""What flap and bolt say of themselves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.opening import NS, BoltWatch, FindingKind, Look, OpeningWatch

TICK_NS = NS // 10
LOOKS = st.builds(
    Look, flap_open=st.sampled_from([True, False, None]), entry_open=st.booleans(), somebody=st.booleans(),
    seeing=st.booleans(),
)  # fmt: skip


def watched(*stretches: tuple[float, str], watch: OpeningWatch | None = None) -> list[FindingKind]:
    """Return what a watch finds; a stretch is seconds and letters: o flap open, e entry open, s somebody, b blind."""
    watch, now_ns, found = watch or OpeningWatch(), 0, list[FindingKind]()
    for seconds, letters in stretches:
        for _ in range(round(seconds * 10)):
            now_ns += TICK_NS
            look = Look("o" in letters, "e" in letters, "s" in letters, "b" not in letters)
            found += [finding.kind for finding in watch.look(look, now_ns)]
    return found


def test_somebody_outside_before_and_nobody_after_is_forced_entry() -> None:
    """With the bolt shut, whoever was outside and is there no more went in."""
    assert [FindingKind.FORCED_ENTRY] == watched((2, "s"), (1, "so"), (0.5, "o"), (2, ""))


@pytest.mark.parametrize(
    "stretches",
    [
        ((2, ""), (1, "o"), (3, "s")),  # somebody comes out
        ((2, ""), (1, "o"), (3, "")),  # and is gone at once
        ((2, "s"), (1, "so"), (3, "s")),  # one looks on while another comes out
        ((2, "sb"), (1, "ob"), (3, "b")),  # nothing can be seen: the PIR alone proves no direction
        ((2, "s"), (2, ""), (1, "o"), (2, "")),  # who was outside had left long before
    ],
)
def test_without_evidence_of_the_direction_it_is_an_exit(stretches: tuple[tuple[float, str], ...]) -> None:
    """A flap that opens while it is shut to entry is somebody going out, unless it is proven otherwise."""
    assert [FindingKind.EXIT] == watched(*stretches)


@pytest.mark.parametrize(
    "stretches",
    [
        ((2, "se"), (1, "soe"), (0.5, "oe"), (3, "")),  # one cat, and nobody behind
        ((2, "se"), (0.4, "soe"), (3, "se")),  # a nudge
        ((2, "e"), (1, "oe"), (3, "se")),  # one goes out through an open door, and stays in sight
        ((2, "se"), (1, "soe"), (0.5, "oe"), (2, ""), (2, "s")),  # the next comes when the bolt is shut
    ],
)
def test_one_cat_is_no_tailgating(stretches: tuple[tuple[float, str], ...]) -> None:
    """An opening of the usual length with nobody left outside is an entry and nothing to tell."""
    assert [] == watched(*stretches)


@pytest.mark.parametrize(
    "stretches",
    [
        ((2, "se"), (2.7, "soe"), (0.5, "oe"), (3, "")),  # two in one swing
        ((2, "se"), (1, "soe"), (2, "s")),  # one in, the next at the flap
        ((2, "seb"), (6.5, "oeb"), (2, "b")),  # nothing can be seen, but the flap stays open
        ((2, "se"), (1, "soe"), (0.4, ""), (1, "o"), (2, "")),  # the bolt had not fallen yet
    ],
)
def test_a_second_animal_in_one_opening_is_told_once(stretches: tuple[tuple[float, str], ...]) -> None:
    """Somebody still outside, a flap too long open or opened again before the bolt had shut: tailgating."""
    assert [FindingKind.TAILGATING] == watched(*stretches)


def test_a_flap_that_never_closes_is_told_once() -> None:
    """After a minute it is no animal any more."""
    assert [FindingKind.FLAP_STUCK] == watched((300, "o"))


@given(st.lists(st.tuples(LOOKS, st.integers(0, 3 * NS)), max_size=60))
def test_nothing_is_told_of_a_flap_that_never_moved(looks: list[tuple[Look, int]]) -> None:
    """Without an opening there is nothing to tell, and of one opening there is at most one thing of each kind."""
    watch, now_ns, openings, before = OpeningWatch(), 0, 0, False
    found: list[FindingKind] = []
    for look, step_ns in looks:
        now_ns += step_ns
        openings += bool(look.flap_open) and not before
        before = before if look.flap_open is None else look.flap_open
        found += [finding.kind for finding in watch.look(look, now_ns)]
    assert all(found.count(kind) <= openings for kind in FindingKind)


# --- the bolt's own sensor -----------------------------------------------------------------------------------------


def looked(*stretches: tuple[float, bool, bool | None, bool], tick_s: float = 0.1) -> list[float]:
    """Return when a bolt of 0.5 s is found wanting; a stretch is seconds, ordered open, drawn, flap open."""
    watch, now_ns, wanting = BoltWatch(0.5, 0.5), 10 * NS, list[float]()
    for seconds, ordered, drawn, flap in stretches:
        for _ in range(round(seconds / tick_s)):
            now_ns += round(tick_s * NS)
            if watch.look(ordered_open=ordered, drawn=drawn, flap_open=flap, now_ns=now_ns) is not None:
                wanting.append(round(now_ns / NS - 10, 3))
    return wanting


def test_a_bolt_that_follows_within_its_delay_is_well() -> None:
    """Both ways."""
    assert [] == looked((1, False, False, False), (0.5, True, False, False), (1, True, True, False),
                        (0.5, False, True, False), (1, False, False, False))  # fmt: skip


@pytest.mark.parametrize("ordered", [True, False])
def test_a_bolt_that_does_not_follow_is_told_after_its_delay(ordered: bool) -> None:
    """Ordered open it does not draw back, or ordered shut it does not fall: a tick more than the delay after."""
    assert 1.7 == looked((1, not ordered, not ordered, False), (1, ordered, not ordered, False))[0]


def test_a_bolt_over_an_open_flap_is_excused() -> None:
    """It cannot fall; when the flap hangs straight its delay begins anew."""
    wanting = looked((1, True, True, True), (5, False, True, True), (1, False, True, False))
    assert 6.6 == wanting[0]


def test_without_a_sensor_nothing_is_told() -> None:
    """None is no evidence."""
    assert [] == looked((5, True, None, False), (5, False, None, False))


def test_a_loop_that_stood_still_blames_nobody() -> None:
    """After a gap longer than the lease the coil had no order."""
    assert [] == looked((30, True, False, False), tick_s=1.0)
