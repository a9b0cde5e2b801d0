"""Tests of ``tools/flap_after_cut.py``: a flap that is whole has no complaint, and each loss has its own."""

from __future__ import annotations

import random
import shutil
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from flap_after_cut import complaints, works
from flap_life import Home, Life, RoomyFiles, Supplies
from flap_said import Ledger, Said, Step
from flap_supplies import make_pushes
from visits_made import scores, visit_of, with_pictures

from edge.messages import Label
from edge.record import write_record

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

STEPS = (Step.VISIT, Step.HEAT, Step.HOUSE, Step.PUSH, Step.UPDATE, Step.VISIT, Step.PROMOTE, Step.WRITE_DOWN)


@pytest.fixture(scope="module")
def supplies(tmp_path_factory: pytest.TempPathFactory) -> Supplies:
    """One visit and three pushes."""
    made = Supplies(tmp_path_factory.mktemp("supplies"))
    visit = with_pictures(visit_of(scores(Label.CAT_CLEAR, 0.9), scores(Label.CAT_CLEAR, 0.8)))
    (made.directory / "visits" / "1").mkdir(parents=True)
    for file in write_record(visit, "random"):
        (made.directory / "visits" / "1" / file.name).write_bytes(file.data)
    make_pushes(made, 3)
    return made


@pytest.fixture(scope="module")
def lived(supplies: Supplies, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ledger]:
    """A flap that has lived for a while, and its ledger."""
    state, said = tmp_path_factory.mktemp("lived") / "state", list[Said]()
    with closing(Life(Home(state, RoomyFiles()), supplies, said.append)) as life:
        life.adopt()
        for step in STEPS:
            life.do(step, random.Random(1))  # noqa: S311 - no secret
    ledger = Ledger()
    for line in said:
        ledger = ledger.after(line)
    return state, ledger


@pytest.fixture
def home(lived: tuple[Path, Ledger], tmp_path: Path) -> Home:
    """A copy of it that a test may spoil."""
    return Home(shutil.copytree(lived[0], tmp_path / "state"), RoomyFiles())


def test_a_whole_flap_has_no_complaint_and_works(home: Home, lived: tuple[Path, Ledger], supplies: Supplies) -> None:
    """Nothing was lost, and one more visit and one more push go all the way."""
    ledger = lived[1]
    assert [] == list(complaints(home, ledger, None))
    assert [] == list(works(home, supplies, ledger, 3))


def _cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


SPOILT: dict[str, tuple[str, Callable[[Path], object]]] = {
    "a journal that is gone": ("journal", lambda state: (state / "journal.sqlite").unlink()),
    "a record that is gone": ("spool", lambda state: shutil.rmtree(min((state / "spool").glob("2026*")))),
    "a record that is torn": ("spool", lambda state: _cut_short(min((state / "spool").glob("2026*/patches.png")))),
    "a pointer that is gone": ("slots", lambda state: (state / "models" / "slots.json").unlink()),
    "a bundle that is torn": ("slots", lambda state: _cut_short(state / "models" / "a" / "model.tflite")),
    "a push that is torn": ("inbox", lambda state: _cut_short(min((state / "incoming" / "targets").iterdir()))),
    "an answer that is gone": ("inbox", lambda state: (state / "incoming" / "answer.json").unlink()),
    "trust that is torn": ("trust", lambda state: _cut_short(state / "trust" / "timestamp.json")),
    "trust that is gone": ("trust", lambda state: (state / "trust" / "snapshot.json").unlink()),
}


@pytest.mark.parametrize("what", SPOILT)
def test_finds(what: str, home: Home, lived: tuple[Path, Ledger]) -> None:
    """Whatever was acknowledged and is not there any more has a complaint under its own name."""
    part, spoil = SPOILT[what]
    spoil(home.state)
    found = list(complaints(home, lived[1], None))
    assert any(text.startswith(f"{part}:") for text in found), found


def test_a_row_too_many_is_found_unless_a_visit_was_under_way(home: Home, lived: tuple[Path, Ledger]) -> None:
    """What was under way may be there; what nobody began may not."""
    ledger = lived[1]
    visits, stock = ledger.claims.visits[:-1], ledger.claims.stock
    assert stock is not None
    before = replace(ledger, claims=replace(ledger.claims, visits=visits, stock=replace(stock, kept=stock.kept[:-1])))
    assert [] == list(complaints(home, replace(before, under_way=Step.VISIT), None))
    assert [] != list(complaints(home, replace(before, under_way=Step.HEAT), None))


def test_a_record_that_was_counted_out_for_room_must_have_been_the_least_useful(
    home: Home, lived: tuple[Path, Ledger]
) -> None:
    """Under a visit a record may go, but not uncounted."""
    shutil.rmtree(min((home.state / "spool").glob("2026*")))
    found = list(complaints(home, replace(lived[1], under_way=Step.VISIT), None))
    assert ["spool: 1 records made room and 0 are counted"] == found


def test_half_of_a_first_push_is_nothing_yet(tmp_path: Path, supplies: Supplies) -> None:
    """Cut before the timestamp was in place, the first push of all leaves files that nobody has to take."""
    home, said = Home(tmp_path / "state", RoomyFiles()), list[Said]()
    with closing(Life(home, supplies, said.append)) as life:
        life.adopt()
        bound = Ledger().after(said[-1])
        life.do(Step.PUSH, random.Random(1))  # noqa: S311 - no secret
    (home.state / "incoming" / "metadata" / "timestamp.json").unlink()
    ledger = replace(bound, under_way=Step.PUSH)
    assert [] == list(complaints(home, ledger, None))
    assert [] == list(works(home, supplies, ledger, 3))
