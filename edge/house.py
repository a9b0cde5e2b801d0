"""House rules: who may come in at this moment, whatever the camera sees. Floor 2, pure: every moment is passed in.

A rule can only take entry away, or (a grant) give back what another rule took; it never judges a mouth and never makes
a stranger ours. Going out is mechanically free in every mode, so no rule here prevents it: ``in_only``, ``locked`` and
a curfew mean that a cat *should* not go out, and ``leaving_is_noted`` says when that makes an event of it.

Hours and curfew go by the local clock, every timeout by the monotonic one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from edge.config import curfew_of
from edge.errors import CatflapError
from edge.hours import Curfew, Span, within
from edge.messages import Mode

if TYPE_CHECKING:
    from datetime import datetime

    from edge.config import Config
    from edge.hours import Moment

MAX_GRANT_S = 3600.0
"""A grant is for now: one that is forgotten must not let somebody in tonight. What is to last is a rule."""


class OnBadClock(StrEnum):
    """What hours and curfew are worth while the wall clock cannot be trusted."""

    IGNORE_HOURS = "ignore_hours"  # they do not apply: a cat in at the wrong hour is better than a cat out all night
    KEEP_HOURS = "keep_hours"  # they apply by the clock as it stands: for a battery-backed clock without a network


class Why(StrEnum):
    """Why somebody may come in, or may not."""

    NO_OBJECTION = "no_objection"
    GRANTED = "granted"  # let in by a grant, which is used up by it
    HOURS_IGNORED = "hours_ignored"  # hours or curfew may be against it, but the clock cannot be trusted
    PANIC = "panic"
    MODE = "mode"
    CURFEW = "curfew"
    OUT_OF_HOURS = "out_of_hours"
    NOT_LISTED = "not_listed"  # a name that the rules do not know has no rights


@dataclass(frozen=True, slots=True)
class HouseRules:
    """The owner's rules. ``hours`` pairs each listed cat with the spans it may come in; no spans: at any hour."""

    mode: Mode
    curfew: Curfew | None
    on_bad_clock: OnBadClock
    hours: tuple[tuple[str, tuple[Span, ...]], ...]

    def hours_of(self, name: str) -> tuple[Span, ...] | None:
        """Return the spans of a listed cat, or None for a name that nobody listed."""
        return next((spans for known, spans in self.hours if known == name), None)


@dataclass(frozen=True, slots=True)
class Grant:
    """A one-time "let him in now": for one cat, or with ``who`` None for any that would be let in on another day.

    It gives back what mode, hours and curfew took, never what a panic lock did, and identity and mouth
    are asked as ever. It ends at ``until_ns`` (monotonic) or with its first use.
    """

    who: str | None
    until_ns: int

    def fits(self, who: str | None, now_ns: int) -> bool:
        """Return whether it is still good, and for this animal (None: one without a name)."""
        return now_ns < self.until_ns and self.who in (None, who)


@dataclass(frozen=True, slots=True)
class Lasting:
    """What survives a restart: the mode that overrides the configuration's (None: its own), and the panic lock."""

    mode: Mode | None = None
    panic: bool = False


@dataclass(frozen=True, slots=True)
class HouseState:
    """What was commanded since. Grants do not survive a restart: their clock does not, and shut is the safe side."""

    lasting: Lasting = Lasting()
    grants: tuple[Grant, ...] = ()


@dataclass(frozen=True, slots=True)
class Permission:
    """Whether the rules let somebody in, and why.

    ``until`` is the local time at which this ``why`` ends by itself (another may follow), None where it does not.
    ``grant`` is the one that applies, whether or not it was needed: it is used up by the opening, see ``grant_used``.
    """

    allowed: bool
    why: Why
    until: datetime | None = None
    grant: Grant | None = None


@dataclass(frozen=True, slots=True)
class Closed:
    """Entry is closed for everybody, for this reason, until this local time (None: until somebody changes it)."""

    why: Why
    until: datetime | None = None


class GrantRefusedError(CatflapError):
    """A grant that cannot be given; nothing was changed."""


def house_rules(config: Config) -> HouseRules:
    """Return the rules that a configuration holds."""
    house = config.house
    return HouseRules(
        mode=Mode(house.mode),
        curfew=curfew_of(house),
        on_bad_clock=OnBadClock(house.on_bad_clock),
        hours=tuple((cat.name, cat.hours) for cat in config.cat),
    )


def no_rules(config: Config) -> HouseRules:
    """Return rules that let in every cat the configuration lists, at any hour: what happened is judged, not when."""
    return HouseRules(Mode.IN_AND_OUT, None, OnBadClock.IGNORE_HOURS, tuple((cat.name, ()) for cat in config.cat))


def mode_of(rules: HouseRules, state: HouseState) -> Mode:
    """Return the mode that is in force."""
    return state.lasting.mode or rules.mode


def permission(rules: HouseRules, state: HouseState, who: str | None, at: Moment) -> Permission:
    """Return whether the rules let this animal in now.

    ``who`` is its name, None for one that has none: every cat where all count as ours, or one that could not be seen
    and that ``on_blind`` lets in. Hours are a rule about a cat that is known, and do not bind it; all else does.
    """
    if state.lasting.panic:
        return Permission(allowed=False, why=Why.PANIC)
    if who is not None and rules.hours_of(who) is None:
        return Permission(allowed=False, why=Why.NOT_LISTED)
    grant = _grant_for(state, who, at.now_ns)
    if grant is not None:
        return Permission(allowed=True, why=Why.GRANTED, grant=grant)
    if _shuts(mode_of(rules, state)):
        return Permission(allowed=False, why=Why.MODE)
    return _by_the_clock(rules, who, at)


def closed(rules: HouseRules, state: HouseState, at: Moment) -> Closed | None:
    """Return why entry is closed for everybody now, or None where it is not.

    A grant that is still good opens the door to somebody, so with one only a panic lock closes it for everybody.
    """
    if state.lasting.panic:
        return Closed(Why.PANIC)
    if any(at.now_ns < grant.until_ns for grant in state.grants):
        return None
    if _shuts(mode_of(rules, state)):
        return Closed(Why.MODE)
    return _curfew(rules, at) if _clock_counts(rules, at) else None


def leaving_is_noted(rules: HouseRules, state: HouseState, at: Moment) -> bool:
    """Return whether somebody who goes out now does so against the owner's wish: an event, never prevented."""
    if mode_of(rules, state) in (Mode.IN_ONLY, Mode.LOCKED):
        return True
    curfew = rules.curfew
    return curfew is not None and _clock_counts(rules, at) and _curfew_since(curfew, at) is not None


def with_mode(state: HouseState, mode: Mode | None) -> HouseState:
    """Return the state with a mode that overrides the configuration's, or with its own again (None)."""
    return replace(state, lasting=replace(state.lasting, mode=mode))


def with_panic(state: HouseState, *, on: bool) -> HouseState:
    """Return the state with the panic lock on or lifted; locking drops every grant, so that lifting revives none."""
    return HouseState(replace(state.lasting, panic=on), () if on else state.grants)


def with_grant(rules: HouseRules, state: HouseState, grant: Grant, now_ns: int) -> HouseState:
    """Return the state with a grant; it replaces an earlier one for the same cat, and drops those that are over.

    Raises:
        GrantRefusedError: one line: it is over or lasts too long, its cat is not listed, or the panic lock is on.
    """
    lasts_s = (grant.until_ns - now_ns) / 1e9
    if not 0 < lasts_s <= MAX_GRANT_S:
        raise GrantRefusedError(f"a grant lasts more than 0 and at most {MAX_GRANT_S:g} s, not {lasts_s:g}")
    if grant.who is not None and rules.hours_of(grant.who) is None:
        known = ", ".join(name for name, _ in rules.hours) or "none"
        raise GrantRefusedError(f"{grant.who!r} is no listed cat (listed: {known})")
    if state.lasting.panic:
        raise GrantRefusedError("the panic lock is on: lift it first")
    others = (old for old in state.grants if old.until_ns > now_ns and old.who != grant.who)
    return replace(state, grants=(*others, grant))


def grant_used(state: HouseState, grant: Grant) -> HouseState:
    """Return the state after the door was opened on this grant."""
    return replace(state, grants=tuple(old for old in state.grants if old != grant))


def _shuts(mode: Mode) -> bool:
    return mode in (Mode.OUT_ONLY, Mode.LOCKED)


def _grant_for(state: HouseState, who: str | None, now_ns: int) -> Grant | None:
    """Return the cat's own grant before one for any cat, so that the one for any cat is left for another."""
    fitting = [grant for grant in state.grants if grant.fits(who, now_ns)]
    return min(fitting, key=lambda grant: grant.who is None, default=None)


def _by_the_clock(rules: HouseRules, who: str | None, at: Moment) -> Permission:
    spans = (rules.hours_of(who) or ()) if who is not None else ()
    shut = _curfew(rules, at)
    if shut is None and not within(spans, at.minute):
        shut = Closed(Why.OUT_OF_HOURS, min(at.next_reading(span.start_min) for span in spans))
    if shut is None:
        return Permission(allowed=True, why=Why.NO_OBJECTION)
    if not _clock_counts(rules, at):
        return Permission(allowed=True, why=Why.HOURS_IGNORED)
    return Permission(allowed=False, why=shut.why, until=shut.until)


def _clock_counts(rules: HouseRules, at: Moment) -> bool:
    return at.trusted or rules.on_bad_clock is OnBadClock.KEEP_HOURS


def _curfew_since(curfew: Curfew, at: Moment) -> int | None:
    return curfew.since(at.local.weekday(), at.minute)


def _curfew(rules: HouseRules, at: Moment) -> Closed | None:
    """Return the curfew if it keeps everybody out; its grace counts real minutes, so no clock change cuts it short."""
    curfew = rules.curfew
    since = None if curfew is None else _curfew_since(curfew, at)
    if curfew is None or since is None or not curfew.closes(at.minutes_since(since)):
        return None
    return Closed(Why.CURFEW, at.next_reading(curfew.span.end_min))
