"""The galleries' files: what was kept is what is read, through every cut of the power."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.errors import InputError
from edge.files import DiskFiles
from edge.galleries import Galleries
from edge.identity import Confirmation, Exemplar, Gallery

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FINITE = st.floats(allow_nan=False, allow_infinity=False)


def exemplar(seed: int, height: int = 4, width: int = 5) -> Exemplar:
    """Return a picture of noise and some embedding."""
    rng = np.random.default_rng(seed)
    return Exemplar(rng.integers(0, 256, (height, width), dtype=np.uint8), tuple(rng.normal(size=3).tolist()))


MIMI = Gallery("Mimi", "model 1", (exemplar(1), exemplar(2)), (Confirmation("v1", (exemplar(3),)),))

exemplars = st.builds(exemplar, st.integers(0, 99), st.integers(1, 6), st.integers(1, 6))
galleries = st.builds(
    Gallery,
    name=st.text(min_size=1, max_size=32),
    model_id=st.text(max_size=20),
    enrolled=st.lists(exemplars, max_size=3).map(tuple),
    confirmed=st.lists(
        st.builds(Confirmation, st.text(max_size=20), st.lists(exemplars, max_size=2).map(tuple)), max_size=3
    ).map(tuple),
)


def plain(gallery: Gallery) -> tuple[object, ...]:
    """Return everything of a gallery as values that compare."""

    def of(pictures: tuple[Exemplar, ...]) -> list[object]:
        return [(picture.patch.tolist(), picture.embedding) for picture in pictures]

    visits = [(visit.visit_id, of(visit.exemplars)) for visit in gallery.confirmed]
    return (gallery.name, gallery.model_id, of(gallery.enrolled), visits)


class CutOff(DiskFiles):
    """A disk whose power goes before the n-th operation that changes it."""

    def __init__(self, after: int) -> None:
        """Count down from ``after``."""
        self.left = after

    def _spend(self) -> None:
        if self.left == 0:
            raise OSError("the power is gone")
        self.left -= 1

    def write(self, path: Path, data: bytes) -> None:
        """Write, or half of it as the power goes."""
        if self.left == 0:
            path.write_bytes(data[: len(data) // 2])
        self._spend()
        super().write(path, data)

    def rename(self, source: Path, target: Path) -> None:
        """Rename."""
        self._spend()
        super().rename(source, target)

    def sync_directory(self, path: Path) -> None:
        """Sync."""
        self._spend()
        super().sync_directory(path)


@given(gallery=galleries)
@settings(max_examples=40)
def test_what_was_kept_is_what_is_read(tmp_path_factory: pytest.TempPathFactory, gallery: Gallery) -> None:
    """Every number and every pixel comes back, whatever the cat is called."""
    store = Galleries(tmp_path_factory.mktemp("s") / "residents", DiskFiles())
    store.save(gallery)
    read = store.load(gallery.name)
    assert read is not None
    assert plain(gallery) == plain(read)


@pytest.mark.parametrize("after", range(4))
def test_a_cut_of_the_power_leaves_the_old_or_the_new(tmp_path: Path, after: int) -> None:
    """Wherever the power goes while a gallery is replaced, a whole one of the two is there."""
    store = Galleries(tmp_path / "residents", DiskFiles())
    store.save(MIMI)
    newer = replace(MIMI, confirmed=())
    with pytest.raises(OSError, match="power"):
        Galleries(tmp_path / "residents", CutOff(after)).save(newer)
    shelf = store.shelf()
    assert ((), True) == (shelf.broken, [plain(g) for g in shelf.galleries] in ([plain(MIMI)], [plain(newer)]))


def test_a_cat_can_be_forgotten(tmp_path: Path) -> None:
    """A forgotten cat's file is gone, another's is left, and forgetting twice says that there was none."""
    store = Galleries(tmp_path / "residents", DiskFiles())
    empty = store.shelf().galleries
    store.save(MIMI)
    store.save(replace(MIMI, name="Tom"))
    gone = (store.forget("Mimi"), store.forget("Mimi"))
    assert ((), (True, False), ["Tom"], None) == (
        empty, gone, [gallery.name for gallery in store.shelf().galleries], store.load("Mimi")
    )  # fmt: skip


def _edited(change: Callable[[Any], None]) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        document = json.loads(path.read_text())
        change(document)
        path.write_text(json.dumps(document))

    return damage


def _bomb(document: Any) -> None:  # noqa: ANN401 - JSON
    head = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + (40000).to_bytes(4, "big") * 2
    import base64  # noqa: PLC0415 - one liar's tool

    document["enrolled"][0]["png"] = base64.b64encode(head + b"\x08\0\0\0\0").decode()


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "cut off": (lambda path: path.write_bytes(path.read_bytes()[:200]), "not JSON"),
    "other format": (_edited(lambda document: document.update(format=9)), "format 9"),
    "another's name": (_edited(lambda document: document.update(name="Tom")), "is not the file of 'Tom'"),
    "no base64": (_edited(lambda document: document["enrolled"][0].update(png="!")), "not base64"),
    "no picture": (_edited(lambda document: document["enrolled"][0].update(png="aGVq")), "no whole grey PNG"),
    "a bomb": (_edited(_bomb), "no whole grey PNG"),
    "too large": (lambda path: path.write_bytes(b" " * (32 * 2**20 + 1)), "more than the"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_gallery_is_named_and_spoils_no_other(tmp_path: Path, name: str) -> None:
    """Whatever is wrong with one cat's file, it is one line, and the other cats are there."""
    store = Galleries(tmp_path / "residents", DiskFiles())
    store.save(MIMI)
    path = next((tmp_path / "residents").iterdir())
    store.save(replace(MIMI, name="Tom"))
    damage, complaint = DAMAGES[name]
    damage(path)
    shelf = store.shelf()
    with pytest.raises(InputError, match=complaint):
        store.load("Mimi")
    assert (["Tom"], 1, True) == (
        [gallery.name for gallery in shelf.galleries], len(shelf.broken), str(path) in shelf.broken[0]
    )  # fmt: skip


def test_a_directory_that_cannot_be_read_is_told_of(tmp_path: Path) -> None:
    """A file in the directory's place is one line, not the end of the daemon."""
    (tmp_path / "residents").write_text("")
    shelf = Galleries(tmp_path / "residents", DiskFiles()).shelf()
    assert ((), 1) == (shelf.galleries, len(shelf.broken))
