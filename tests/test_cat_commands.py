"""``catflap cat``: enrolment, the owner's word and its taking back, at the command line."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import replace
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from visits_made import scores, visit_of
from words import rules

from edge import assembly, features
from edge.adapters.sim.backdrop import Light, backdrop
from edge.adapters.sim.render import Renderer, Shot
from edge.adapters.sim.stills import INDIVIDUALS, evenings_of
from edge.cli import main
from edge.config import load
from edge.files import DiskFiles
from edge.identity import LLR_CAP, IdentitySettings
from edge.messages import (
    Box,
    Label,
    Motion,
    MotionWhy,
    Needs,
    Observation,
    Quality,
    QualityWhy,
    Resident,
    Residents,
)
from edge.policy import VisitJudge
from edge.record import read_record, write_record
from edge.visits import replayed

if TYPE_CHECKING:
    from pathlib import Path

    from edge.adapters.sim.stills import Still
    from edge.galleries import Shelf

CHIP = "276098106123456"
MIMI, TOM = INDIVIDUALS + 1, INDIVIDUALS + 2
CONFIG = """
[camera]
kind = "video"
source = "x"
[pins]
factory = "mock"
bolt = 17
[chip]
kind = "serial"
[state]
directory = "{state}"
[[cat]]
name = "Tom"
chip = "276098100000002"
"""


@cache
def evening(cat: int, number: int) -> tuple[Still, ...]:
    """Return the pictures of one evening of a cat: the first are its photographs, the second is its visit."""
    return next(islice(evenings_of(cat, 7, seed=3), number, None))


@pytest.fixture(scope="module")
def loaded() -> assembly.LoadedModel:
    """The model that ships."""
    return assembly.load_model("factory", "auto", 1)


class Home:
    """A home with a configuration, photographs and a spool."""

    def __init__(self, root: Path, loaded: assembly.LoadedModel, capfd: pytest.CaptureFixture[str]) -> None:
        """Lay it out."""
        self.root, self._loaded, self._capfd = root, loaded, capfd
        self.config = root / "catflap.toml"
        self.config.write_text(CONFIG.format(state=root / "state"))

    def run(self, *arguments: str | Path) -> tuple[int, list[str], list[str]]:
        """Run ``catflap cat``; return status, output lines and error lines."""
        self._capfd.readouterr()
        status = main(["cat", *map(str, arguments), "--config", str(self.config)])
        said = self._capfd.readouterr()
        errors = [line for line in said.err.splitlines() if not line.startswith("INFO: Created TensorFlow Lite")]
        return status, said.out.splitlines(), errors

    def output(self) -> list[str]:
        """Return what was printed since the last command."""
        return self._capfd.readouterr().out.splitlines()

    def photos(self, cat: int, count: int) -> list[Path]:
        """Return photographs of a cat as files, cut to the cat."""
        paths: list[Path] = []
        for still in evening(cat, 0)[:count]:
            path = self.root / f"{cat}-{len(paths)}.png"
            crop = features.crop_box(still.box, 320, 240, self._loaded.model.recipe)
            cv2.imwrite(str(path), still.grey[crop.y : crop.y + crop.height, crop.x : crop.x + crop.width])
            paths.append(path)
        return paths

    def visit(self, cat: int) -> str:
        """Put a visit of a cat into the spool; return its name."""
        name = f"v{cat}"
        seen = tuple(self._seen(seq, still) for seq, still in enumerate(evening(cat, 1)))
        directory = self.root / "state" / "spool" / name
        directory.mkdir(parents=True)
        for file in write_record(replace(visit_of(visit_id=name), observations=seen), "random"):
            (directory / file.name).write_bytes(file.data)
        return name

    def _seen(self, seq: int, still: Still) -> Observation:
        patch = features.extract(still.grey, still.box, self._loaded.model.recipe)
        motion = Motion(present=True, why=MotionWhy.MOVING, box=Box(0, 0, 9, 9), area_fraction=0.2)
        quality = Quality(ok=True, why=QualityWhy.OK, mean=90.0, contrast=40.0, sharpness=0.2)
        return Observation(seq, seq * 10**8, motion, quality, patch, self._loaded.model.score(patch))

    def shelf(self) -> Shelf:
        """Return what is kept."""
        return assembly.galleries(load(self.config), DiskFiles()).shelf()

    def events(self) -> list[tuple[str, str]]:
        """Return what the journal noted."""
        with sqlite3.connect(self.root / "state" / "journal.sqlite") as journal:
            return list(journal.execute("SELECT kind, detail FROM events ORDER BY rowid"))


@pytest.fixture
def home(tmp_path: Path, loaded: assembly.LoadedModel, capfd: pytest.CaptureFixture[str]) -> Home:
    """A home where Tom is listed and nobody enrolled."""
    return Home(tmp_path, loaded, capfd)


def test_a_cat_is_enrolled_and_listed_in_one_command(home: Home) -> None:
    """The photographs become a gallery, the cat an entry of the configuration, the deed an event."""
    status, lines, errors = home.run("add", "Mimi", *home.photos(MIMI, 4), "--chip", CHIP)
    mimi = load(home.config).cat[1]
    (gallery,) = home.shelf().galleries
    assert (0, [], ("Mimi", CHIP, "chip"), 4) == (
        status, errors, (mimi.name, mimi.chip, mimi.known_by), len(gallery.enrolled)
    )  # fmt: skip
    assert "4 photographs enrolled, 4 in all" in lines[0]
    assert [("cat_enrolled", "Mimi: 4 photographs")] == home.events()


def test_embeddings_of_a_gallery_have_unit_length(home: Home) -> None:
    """What is kept of a photograph is as long as what the loop compares it with."""
    home.run("add", "Tom", *home.photos(TOM, 3))
    lengths = [np.linalg.norm(exemplar.embedding) for exemplar in home.shelf().galleries[0].enrolled]
    assert pytest.approx([1.0, 1.0, 1.0]) == lengths


def test_what_is_no_photograph_of_a_cat_is_refused_by_name(home: Home) -> None:
    """No picture, a black one and one without a cat are each refused in a line; the rest is kept, with status 1."""
    text, black, yard = (home.root / name for name in ("a.txt", "black.png", "yard.png"))
    text.write_text("no picture")
    cv2.imwrite(str(black), np.zeros((240, 320), np.uint8))
    cv2.imwrite(str(yard), Renderer(backdrop(7, Light.FRONT)).render(Shot()).grey)
    status, _, errors = home.run("add", "Tom", text, *home.photos(TOM, 2), black, yard)
    assert (1, 2) == (status, len(home.shelf().galleries[0].enrolled))
    assert [True, True, True] == [
        str(path) in line for path, line in zip((text, black, yard), errors, strict=True)
    ]  # fmt: skip
    assert ("is dark" in errors[1], "shows no cat" in errors[2]) == (True, True)


def test_nothing_is_stored_where_no_photograph_can_be_used(home: Home) -> None:
    """Without one usable photograph nothing changes: no gallery, no entry, status 2 and one line more."""
    before = home.config.read_text()
    status, _, errors = home.run("add", "Mimi", home.root / "none.jpg")
    assert (2, before, ()) == (status, home.config.read_text(), home.shelf().galleries)
    assert "nothing was stored" in errors[-1]


def test_another_chip_than_the_listed_one_is_refused(home: Home) -> None:
    """The configuration says which chip a cat has; the command does not say otherwise behind its back."""
    status, _, errors = home.run("add", "Tom", *home.photos(TOM, 1), "--chip", CHIP)
    assert (2, ()) == (status, home.shelf().galleries)
    assert "Tom: is listed with chip 276098100000002; change it there" in errors[-1]


@pytest.mark.parametrize("name", ["", 'x"\nbolt = 3', "x" * 40])
def test_a_name_that_is_none_changes_nothing(home: Home, name: str) -> None:
    """What cannot be a cat's name is refused before anything is written, whatever it would do to the file."""
    before = home.config.read_text()
    status, _, errors = home.run("add", name, *home.photos(MIMI, 1))
    assert (2, 1, before) == (status, len(errors), home.config.read_text())


def test_a_configuration_that_cannot_be_written_is_told_what_to_add(home: Home) -> None:
    """The photographs are kept, the block to add is printed, and the status is 1."""
    (home.root / ".catflap.toml.new").mkdir()  # where the new text would go
    status, _, errors = home.run("add", "Mimi", *home.photos(MIMI, 1), "--chip", CHIP)
    assert (1, ["Mimi"]) == (status, [gallery.name for gallery in home.shelf().galleries])
    assert ["[[cat]]", 'name = "Mimi"', f'chip = "{CHIP}"'] == errors[-3:], errors


def test_the_owners_word_is_taken_and_taken_back(home: Home) -> None:
    """A confirmed visit joins the gallery and leaves no trace in it when it is taken back; both are events."""
    home.run("add", "Tom", *home.photos(TOM, 5))
    before = [exemplar.embedding for exemplar in home.shelf().galleries[0].active]
    name = home.visit(TOM)
    first, _, _ = home.run("confirm", "Tom", name, "--sure")
    during = len(home.shelf().galleries[0].active)
    second, _, _ = home.run("unconfirm", "Tom", name)
    after = [exemplar.embedding for exemplar in home.shelf().galleries[0].active]
    assert (0, 0, before, True) == (first, second, after, during > len(before))
    assert ["cat_enrolled", "cat_confirmed", "cat_unconfirmed"] == [kind for kind, _ in home.events()]


def test_a_visit_that_is_far_needs_to_be_sure(home: Home) -> None:
    """Where the gallery says that it looks otherwise, the word is asked for twice, and the journal says so."""
    name = home.visit(MIMI)
    status, _, errors = home.run("confirm", "Tom", name)
    kept = home.shelf().galleries
    sure, _, _ = home.run("confirm", "Tom", name, "--sure")
    assert (2, (), 0) == (status, kept, sure)
    assert "say --sure if it was" in errors[-1]
    assert [("cat_confirmed", f"Tom: visit {name}, far, --sure")] == home.events()


@pytest.mark.parametrize(
    ("name", "visit", "complaint"),
    [
        ("Felix", "v1", "Felix: is no cat of the configuration (listed there: Tom)"),
        ("Tom", "../up", "'../up' is no visit's name"),
        ("Tom", "v1", "visit v1 is not in the spool"),
    ],
)
def test_a_word_about_nothing_is_one_line(home: Home, name: str, visit: str, complaint: str) -> None:
    """A cat nobody listed, or a visit that is none or not kept, is named."""
    status, _, errors = home.run("confirm", name, visit)
    assert (2, True) == (status, complaint in errors[-1])


def test_a_visit_is_one_cats(home: Home) -> None:
    """What was confirmed as Mimi's is not Tom's until it is taken back."""
    home.run("add", "Mimi", *home.photos(MIMI, 1), "--chip", CHIP)
    name = home.visit(MIMI)
    home.run("confirm", "Mimi", name, "--sure")
    status, _, errors = home.run("confirm", "Tom", name, "--sure")
    assert (2, True) == (status, f"visit {name} is confirmed as Mimi; take that back first" in errors[-1])


def test_the_list_tells_who_is_known_by_what(home: Home) -> None:
    """Every listed cat and every gallery is a line; what is damaged is told on the other stream, with status 1."""
    home.run("add", "Mimi", *home.photos(MIMI, 2), "--chip", CHIP)
    _, lines, _ = home.run("list", "--json")
    rows = {row["name"]: row for row in map(json.loads, lines)}
    assert (("chip", 0, None), ("chip", 2, True)) == (
        (rows["Tom"]["needs"], rows["Tom"]["photographs"], rows["Tom"]["model"]),
        (rows["Mimi"]["needs"], rows["Mimi"]["photographs"], rows["Mimi"]["listed"]),
    )
    next((home.root / "state" / "residents").iterdir()).write_text("{")
    status, lines, errors = home.run("list")
    assert (1, 2, 1) == (status, len(lines), len(errors))


def test_a_forgotten_cat_has_no_pictures_and_keeps_its_entry(home: Home) -> None:
    """Forgetting removes the gallery and says that the configuration still lists the cat; twice is refused."""
    home.run("add", "Tom", *home.photos(TOM, 1))
    status, lines, _ = home.run("forget", "Tom")
    again, _, errors = home.run("forget", "Tom")
    assert (0, (), 2, True) == (status, home.shelf().galleries, again, "has no gallery" in errors[-1])
    assert "still let in as [[cat]]" in lines[-1]


def test_a_gallery_of_another_model_is_made_anew_from_its_pictures(home: Home, loaded: assembly.LoadedModel) -> None:
    """Embeddings of another model are never compared: the new one is shown the pictures, if they are of its size."""
    home.run("add", "Tom", *home.photos(TOM, 2))
    (gallery,) = home.shelf().galleries
    foreign = replace(
        gallery,
        model_id="another",
        enrolled=tuple(replace(exemplar, embedding=(1.0, 0.0)) for exemplar in gallery.enrolled),
    )
    again = assembly.fit_to(foreign, loaded)
    small = replace(gallery, enrolled=tuple(replace(e, patch=e.patch[:-1]) for e in gallery.enrolled))
    assert again is not None
    assert ([e.embedding for e in gallery.enrolled], None) == (
        [e.embedding for e in again.enrolled], assembly.fit_to(small, loaded)
    )  # fmt: skip


def test_a_visit_known_by_its_looks_replays_without_its_gallery(home: Home, loaded: assembly.LoadedModel) -> None:
    """What the likeness was worth that night is in the record: replay says who it was, bit for bit."""
    mimi = Residents((Resident("Mimi", "", Needs.CAMERA, prey_check=True),), any_cat=False)
    directory = home.root / "state" / "spool" / home.visit(MIMI)
    visit = read_record(directory)
    seen = tuple(replace(entry, likeness=(7.125,)) for entry in visit.observations)
    judged_by = rules(residents=mimi)
    verdict = replayed(seen, (), VisitJudge(judged_by))
    known = replace(visit, observations=seen, rules=judged_by, verdict=verdict, model_id=loaded.model_id)
    for file in write_record(known, "random"):
        (directory / file.name).write_bytes(file.data)
    status = main(["replay", str(directory), "--json"])
    told = json.loads(home.output()[-1])
    assert (0, True, "Mimi") == (status, told["same"], told["resident"])


def test_the_camera_knows_the_listed_cats_in_their_order(home: Home, loaded: assembly.LoadedModel) -> None:
    """A likeness is for the cat in the same place of the configuration; an unlisted gallery counts for nobody."""
    home.run("add", "Mimi", *home.photos(MIMI, 2), "--chip", CHIP)
    kept = home.shelf().galleries
    measured = replace(loaded, identity=IdentitySettings(midpoint=-99.0, slope=1.0, equal_error=0.0, visits=9))
    told = assembly.recogniser(load(home.config), measured, (*kept, replace(kept[0], name="Felix")))
    toms, mimis = told.likeness(replace(scores(Label.CAT_CLEAR, 0.9), embedding=kept[0].active[0].embedding))
    assert (0.0, LLR_CAP) == (toms, mimis)
