"""``catflap cat``: who lives here and what they look like. Floor 9.

The configuration says who is ours and by what; the galleries in the state directory say what they look like. Every
change is an event in the journal. The running flap reads both when it starts.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from edge import assembly, config, features
from edge.adapters.images import read_image
from edge.errors import InputError
from edge.files import DiskFiles, replace
from edge.identity import Confirmation, Exemplar, Gallery, confirm, enrol, is_far, shows_cat, unconfirm
from edge.journal import Journal
from edge.quality import QualitySettings, judge_light
from edge.record import is_visit_id, read_record
from edge.replay import grey_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from edge.assembly import LoadedModel
    from edge.config import CatConfig, Config
    from edge.galleries import Galleries
    from edge.messages import Grey, Visit

FINDING = 1
PHOTO_SIDE_PX = 640
"""A photograph is brought to at most this before it is judged: sharpness is a matter of scale."""

_NEXT_START = "the flap takes it at its next start"


@dataclass(frozen=True, slots=True)
class _Row:
    """One line of ``catflap cat list``; ``model`` made the gallery, None where there is none."""

    name: str
    listed: bool
    chip: str
    needs: str
    prey_check: bool
    photographs: int
    visits: int
    model: str | None


def add(arguments: argparse.Namespace) -> int:
    """Enrol a cat from photographs, and list it in the configuration if it is not there yet.

    A photograph that cannot be used is refused by name and the rest is kept; with none left nothing is stored.
    """
    wanted, text = config.with_cat(arguments.config, arguments.name, arguments.chip)
    loaded = _loaded(wanted)
    exemplars = _photographs(arguments.photos, loaded)
    with _disk():
        store = assembly.galleries(wanted, DiskFiles())
        gallery = enrol(_gallery(store, arguments.name, loaded), exemplars)
        store.save(gallery)
    _note(wanted, "cat_enrolled", f"{gallery.name}: {len(exemplars)} photographs")
    print(f"{gallery.name}: {len(exemplars)} photographs enrolled, {len(gallery.enrolled)} in all; {_NEXT_START}")
    listed = text is None or _listed(arguments.config, text)
    return FINDING if len(exemplars) < len(arguments.photos) or not listed else 0


def list_all(arguments: argparse.Namespace) -> int:
    """Show who lives here, by what each is known, and how much of it the flap has seen."""
    wanted = config.load(arguments.config)
    shelf = assembly.galleries(wanted, DiskFiles()).shelf()
    kept = {gallery.name: gallery for gallery in shelf.galleries}
    unlisted = [config.CatConfig(name) for name in kept if name not in {cat.name for cat in wanted.cat}]
    rows = [_row(cat, kept.get(cat.name), listed=cat not in unlisted) for cat in (*wanted.cat, *unlisted)]
    for row in rows:
        print(json.dumps(dataclasses.asdict(row)) if arguments.json else _line(row))
    for why in shelf.broken:
        print(f"catflap: {why}", file=sys.stderr)
    return FINDING if shelf.broken else 0


def forget(arguments: argparse.Namespace) -> int:
    """Remove what a cat looks like; the configuration is its owner's to change."""
    wanted = config.load(arguments.config)
    with _disk():
        known = assembly.galleries(wanted, DiskFiles()).forget(arguments.name)
    if not known:
        raise InputError(f"{arguments.name}: has no gallery here")
    _note(wanted, "cat_forgotten", arguments.name)
    print(f"{arguments.name}: its pictures are gone; {_NEXT_START}")
    if arguments.name in {cat.name for cat in wanted.cat}:
        print(f"it is still let in as [[cat]] in {arguments.config} says: take it out there as well")
    return 0


def confirm_visit(arguments: argparse.Namespace) -> int:
    """Take the owner's word that a visit was this cat's: its pictures join the gallery."""
    wanted = config.load(arguments.config)
    _require_listed(wanted, arguments.name)
    loaded = _loaded(wanted)
    with _disk():
        store = assembly.galleries(wanted, DiskFiles())
        _require_free(store, arguments.name, arguments.visit)
        gallery = _gallery(store, arguments.name, loaded)
        exemplars = _seen(_visit(wanted, arguments.visit), loaded)
        changed = confirm(gallery, Confirmation(arguments.visit, exemplars))
        far = is_far(changed.confirmed[-1].exemplars, gallery)
        if far and not arguments.sure:
            raise InputError(
                f"visit {arguments.visit} is farther from {arguments.name} than its own pictures are from each other;"
                " look at it again, and say --sure if it was"
            )
        store.save(changed)
    _note(wanted, "cat_confirmed", f"{arguments.name}: visit {arguments.visit}" + (", far, --sure" if far else ""))
    print(f"{arguments.name}: visit {arguments.visit} confirmed; {_NEXT_START}")
    return 0


def unconfirm_visit(arguments: argparse.Namespace) -> int:
    """Take the owner's word back: the gallery is as if it had never been given."""
    wanted = config.load(arguments.config)
    with _disk():
        store = assembly.galleries(wanted, DiskFiles())
        gallery = store.load(arguments.name)
        if gallery is None:
            raise InputError(f"{arguments.name}: has no gallery here")
        store.save(unconfirm(gallery, arguments.visit))
    _note(wanted, "cat_unconfirmed", f"{arguments.name}: visit {arguments.visit}")
    print(f"{arguments.name}: visit {arguments.visit} taken back; {_NEXT_START}")
    return 0


# --- pictures ------------------------------------------------------------------------------------------------------


def _photographs(paths: list[Path], loaded: LoadedModel) -> list[Exemplar]:
    exemplars: list[Exemplar] = []
    for path in paths:
        try:
            exemplars.append(_exemplar(path, loaded))
        except InputError as error:
            print(f"catflap: refused: {error}", file=sys.stderr)
    if not exemplars:
        raise InputError(f"none of the {len(paths)} photographs can be used; nothing was stored")
    return exemplars


def _exemplar(path: Path, loaded: LoadedModel) -> Exemplar:
    """Return a photograph as the model sees it, by the way that every frame goes."""
    grey = _small(grey_of(read_image(path)))
    quality = judge_light(grey, None, QualitySettings())
    if not quality.ok:
        raise InputError(f"{path}: the picture is {quality.why}")
    patch = features.extract(grey, features.whole(grey), loaded.model.recipe)
    scores = loaded.model.score(patch)
    if not shows_cat(scores):
        raise InputError(f"{path}: shows no cat, but rather {scores.top()} ({scores.of(scores.top()):.0%})")
    return Exemplar(patch.pixels, scores.embedding)


def _small(grey: Grey) -> Grey:
    scale = PHOTO_SIDE_PX / max(grey.shape)
    if scale >= 1.0:
        return grey
    return cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def _visit(wanted: Config, visit_id: str) -> Visit:
    if not is_visit_id(visit_id):
        raise InputError(f"{visit_id!r} is no visit's name; `catflap spool list` tells them")
    directory = Path(wanted.state.directory) / "spool" / visit_id
    if not directory.is_dir():
        raise InputError(f"visit {visit_id} is not in the spool: its pictures were not kept, or are gone")
    return read_record(directory)


def _seen(visit: Visit, loaded: LoadedModel) -> tuple[Exemplar, ...]:
    """Return the frames of a visit that show a cat, judged by the model of today."""
    recipe = loaded.model.recipe
    patches = [entry.patch for entry in visit.observations if entry.patch is not None and entry.quality.ok]
    if any(patch.pixels.shape != (recipe.height_px, recipe.width_px) for patch in patches):
        raise InputError(f"visit {visit.visit_id}: its pictures were cut for {visit.model_id}, not {loaded.model_id}")
    scored = [(patch, loaded.model.score(patch)) for patch in patches]
    return tuple(Exemplar(patch.pixels, scores.embedding) for patch, scores in scored if shows_cat(scores))


# --- galleries -----------------------------------------------------------------------------------------------------


def _loaded(wanted: Config) -> LoadedModel:
    return assembly.model_of(wanted)


def _gallery(store: Galleries, name: str, loaded: LoadedModel) -> Gallery:
    """Return a cat's gallery in the terms of this model; an empty one where it has none."""
    kept = store.load(name)
    if kept is None:
        return Gallery(name, loaded.model_id)
    fitting = assembly.fit_to(kept, loaded)
    if fitting is None:
        raise InputError(
            f"{name}: its pictures were cut for {kept.model_id} and do not fit {loaded.model_id}; forget it first"
        )
    return fitting


def _require_listed(wanted: Config, name: str) -> None:
    names = [cat.name for cat in wanted.cat]
    if name not in names:
        raise InputError(f"{name}: is no cat of the configuration (listed there: {', '.join(names) or 'none'})")


def _require_free(store: Galleries, name: str, visit_id: str) -> None:
    for other in store.shelf().galleries:
        if other.name != name and any(visit.visit_id == visit_id for visit in other.confirmed):
            raise InputError(f"visit {visit_id} is confirmed as {other.name}; take that back first")


def _listed(path: Path, text: str) -> bool:
    """Write the configuration with the new cat; where that cannot be done, say what to write."""
    try:
        replace(DiskFiles(), path, text.encode())
    except OSError as error:
        block = text[text.rindex("[[cat]]") :].rstrip()
        print(f"catflap: {path}: cannot be written ({error.strerror}); add to it:\n{block}", file=sys.stderr)
        return False
    print(f"{path}: [[cat]] added")
    return True


def _row(cat: CatConfig, gallery: Gallery | None, *, listed: bool) -> _Row:
    photographs, visits = (0, 0) if gallery is None else (len(gallery.enrolled), len(gallery.confirmed))
    model = None if gallery is None else gallery.model_id
    return _Row(cat.name, listed, cat.chip, cat.known_by, cat.prey_check, photographs, visits, model)


def _line(row: _Row) -> str:
    rules = f"needs {row.needs}{'' if row.prey_check else ', may bring prey in'}" if row.listed else "not listed"
    return f"{row.name:16}  {row.chip or 'no chip':15}  {rules}; {row.photographs} photographs, {row.visits} visits"


def _note(wanted: Config, kind: str, detail: str) -> None:
    journal = Journal.open(Path(wanted.state.directory) / "journal.sqlite")
    journal.add_event(datetime.now(UTC), kind, detail)
    failure = journal.failure
    journal.close()
    if failure is not None:
        print(f"catflap: done, but not noted in the journal: {failure}", file=sys.stderr)


@contextmanager
def _disk() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(f"{error.filename}: {error.strerror}") from error
