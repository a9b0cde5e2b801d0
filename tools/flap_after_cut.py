"""Is a flap whole after its power went, and does it work? Everything is looked at through the project's own classes.

``complaints`` switches the flap on over what a cut left and compares it with the ledger: what was acknowledged must be
there to the last byte; what was under way must be the old thing or the new one, never a part of either. ``works`` then
lets it record one more visit and take one more push all the way to a model on trial.
"""

from __future__ import annotations

import json
import random
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from flap_life import (
    BOOT,
    LOCK,
    Home,
    Life,
    Supplies,
    answer_of,
    events_of,
    house_of,
    inbox_of,
    pointer_of,
    rows_of,
    stock_of,
    trust_of,
    update_once,
)
from flap_said import SLOT_STEPS, Kept, Ledger, Step

from edge.answers import AnswerStatus
from edge.codec import from_json
from edge.errors import CatflapError
from edge.inbox import METADATA, TIMESTAMP
from edge.slots import POINTER, SlotsState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edge.journal import Journal

BROKEN = (CatflapError, OSError, sqlite3.Error, ValueError, KeyError, RuntimeError)
"""What a part that is broken may raise; each becomes a complaint."""
COMMIT = f"{METADATA}/{TIMESTAMP}"
"""A push has arrived once this is there."""


def complaints(home: Home, ledger: Ledger, nexts: str | None) -> Iterator[str]:
    """Yield what is wrong with a flap that was cut; ``nexts`` is the pointer that the cut step would have written."""
    for look in (_journal, _spool, _inbox, _trust):
        yield from _tried(look.__name__.strip("_"), lambda look=look: look(home, ledger))  # type: ignore[misc]
    yield from _tried("slots", lambda: _slots(home, ledger, nexts))


def works(home: Home, supplies: Supplies, ledger: Ledger, push: int) -> Iterator[str]:
    """Yield what a flap cannot do any more: answer what lies in its inbox, keep a visit, take push number ``push``."""
    yield from _tried("works", lambda: _goes_on(home, supplies, ledger, push))


def _tried(what: str, look: Callable[[], Iterator[str]]) -> Iterator[str]:
    try:
        for found in look():
            yield f"{what}: {found}"
    except BROKEN as error:
        yield f"{what}: {type(error).__name__}: {error}"


def _journal(home: Home, ledger: Ledger) -> Iterator[str]:
    path = home.state / "journal.sqlite"
    if not path.exists():
        if ledger.claims.visits or ledger.claims.events or ledger.claims.house:
            yield "is gone"
        return
    with closing(sqlite3.connect(path)) as raw:
        report = raw.execute("PRAGMA integrity_check").fetchone()[0]
    if report != "ok":
        yield f"integrity_check: {report}"
    with closing(home.journal()) as journal:
        if journal.recovered is not None:
            yield f"begun anew: {journal.recovered}"
        yield from _rows(journal, ledger)
        yield from _single_values(journal, ledger)


def _rows(journal: Journal, ledger: Ledger) -> Iterator[str]:
    found, known = rows_of(journal), dict(ledger.claims.visits)
    missing = known.items() - dict(found).items()
    if missing:
        yield f"{len(missing)} of {len(known)} acknowledged visits lost or changed"
    more = len(found) - len(known)
    if more > (ledger.under_way is Step.VISIT):
        yield f"{more} visits more than there were"
    events = ledger.claims.events
    if events is not None and events_of(journal, events.count) != events:
        yield f"the {events.count} acknowledged events are not there"


def _single_values(journal: Journal, ledger: Ledger) -> Iterator[str]:
    claims, heat_s, house = ledger.claims, journal.load_heat(BOOT, LOCK), house_of(journal)
    if claims.heat_s is not None and heat_s != claims.heat_s and ledger.under_way is not Step.HEAT:
        yield f"heat: {heat_s} is not {claims.heat_s}"
    if claims.house is not None and house != claims.house and ledger.under_way is not Step.HOUSE:
        yield f"house: {house} is not {claims.house}"


def _spool(home: Home, ledger: Ledger) -> Iterator[str]:
    spool = home.spool()
    if spool.failure or spool.foreign:
        yield f"{spool.failure or ''}: not its own: {spool.foreign}"
    found, stock = stock_of(home.state, spool), ledger.claims.stock
    claimed = () if stock is None else stock.kept
    there = {entry.visit_id: entry for entry in found.kept}
    changed = [entry for entry in claimed if there.get(entry.visit_id, entry) != entry]
    if changed:
        yield f"{len(changed)} acknowledged records are not what they were"
    new = [entry for entry in found.kept if entry not in claimed]
    if len(new) > (ledger.under_way is Step.VISIT):
        yield f"{len(new)} records that nobody put"
    for entry in (*new, *found.kept[-1:]):
        spool.open(entry.visit_id)
    gone = [entry for entry in claimed if entry.visit_id not in there]
    if gone:
        yield from _made_room(gone, ledger, found.dropped)


def _made_room(gone: list[Kept], ledger: Ledger, dropped: int) -> Iterator[str]:
    """Say what is wrong with records that are gone: they may only have made room for the one that was under way."""
    stock = ledger.claims.stock
    if ledger.under_way is not Step.VISIT or stock is None:
        yield f"{len(gone)} acknowledged records lost"
        return
    newest = max(entry.sequence for entry in stock.kept)
    order = sorted(stock.kept, key=lambda entry: (entry.sequence == newest, entry.usefulness, entry.sequence))
    if set(gone) != set(order[: len(gone)]):
        yield f"{len(gone)} acknowledged records lost that were not the least useful"
    if dropped < stock.dropped + len(gone):
        yield f"{len(gone)} records made room and {dropped - stock.dropped} are counted"


def _slots(home: Home, ledger: Ledger, nexts: str | None) -> Iterator[str]:
    slots, old, new = home.slots(), ledger.claims.slots, pointer_of(home.state)
    if new not in (old or "", nexts) and not _one_step_on(ledger, old or "", new, known=nexts is not None):
        yield f"the pointer is neither the old nor the new one ({ledger.under_way}): {new[:300]}"
    champion = slots.champion()
    if champion.alarms:
        yield f"at once: {'; '.join(champion.alarms)}"
    if new:
        slots.written(0)  # takes the lock, and so puts right what a cut left of a step
    state = slots.state()
    for record in state.records:
        if slots.verified(record.slot).manifest_sha256 != record.sha256:
            yield f"slot {record.slot}: holds another bundle"


def _one_step_on(ledger: Ledger, old: str, new: str, *, known: bool) -> bool:
    """Return whether a pointer can be what the step under way made of the old one, where its own word is not known."""
    if known or ledger.under_way not in SLOT_STEPS or not new:
        return False
    before = from_json(SlotsState, old.encode(), Path(POINTER)) if old else None
    after = from_json(SlotsState, new.encode(), Path(POINTER))
    history = () if before is None else before.history
    more = len(after.history) - len(history)
    return 0 <= more <= SLOT_STEPS[ledger.under_way] and after.history[: len(history)] == history


def _inbox(home: Home, ledger: Ledger) -> Iterator[str]:
    old, found = dict(ledger.claims.inbox or ()), dict(inbox_of(home.state))
    if ledger.under_way is Step.PUSH and found.get(COMMIT) != old.get(COMMIT):
        return  # the new one: whether it is whole, the update service finds out below
    lost = old.items() - found.items()
    if lost:
        yield f"{len(lost)} of {len(old)} files of the acknowledged push lost or changed"
    answer = answer_of(home.state)
    claimed = ledger.claims.answer
    if claimed is not None and answer != claimed and ledger.under_way not in (Step.PUSH, Step.UPDATE):
        yield f"the answer is {answer!r}, not {claimed!r}"
    if answer:
        json.loads(answer)


def _trust(home: Home, ledger: Ledger) -> Iterator[str]:
    old, found = dict(ledger.claims.trust or ()), dict(trust_of(home.state))
    back = [role for role, version in old.items() if found.get(role, 0) < version]
    if back:
        yield f"goes back: {', '.join(back)}"
    if old != found and ledger.under_way not in (Step.UPDATE, Step.ADOPT):
        yield f"{found} is not {old}"


def _goes_on(home: Home, supplies: Supplies, ledger: Ledger, push: int) -> Iterator[str]:
    with closing(home.journal()) as journal:
        if COMMIT in dict(inbox_of(home.state)):  # without it nothing has arrived, and to refuse is right
            answer = update_once(home, journal, home.slots())
            if answer.status is AnswerStatus.REFUSED and "thrown out" not in answer.why:
                yield f"what lies in the inbox is refused: {answer.why}"
    rng = random.Random(push)  # noqa: S311 - which visit, no secret
    with closing(Life(home, supplies, lambda _: None, push - 1)) as life:
        if not ledger.claims.trust:
            life.adopt()
        for step in (Step.VISIT, Step.PUSH, Step.UPDATE, Step.PROMOTE):
            life.do(step, rng)
    champion = home.slots().champion()
    if champion.bundle is None or champion.alarms or champion.bundle.manifest.version != f"{push}.0.0":
        yield f"after one more push slot {champion.slot} decides: {'; '.join(champion.alarms)}"
