"""A bundle in its place, and beside it the float networks that adaptation starts from, in halves. Needs torch."""

from __future__ import annotations

import json
import pickle
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from dataset import DataSetError
from make_bundle import Product, write
from student_net import Design, Student
from teacher import Teacher

from edge.features import Recipe

if TYPE_CHECKING:
    from collections.abc import Iterable

_STUDENT, _TEACHER, _DESIGN = "student.pt", "teacher.pt", "design.json"


def training_folder(bundle: Path) -> Path:
    """Return where the float student and the teacher of a bundle lie."""
    return bundle.with_name(f"{bundle.name}.training")


def refuse_taken(places: Iterable[Path], device_python: Path) -> None:
    """Refuse to begin what could not be put down.

    Raises:
        DataSetError: a bundle or its networks lie in one of the places, or there is no such Python.
    """
    for place in places:
        for path in (place, training_folder(place)):
            if path.exists():
                raise DataSetError(f"{path}: is there already, and a bundle is never overwritten; name another --out")
    if not device_python.exists():
        raise DataSetError(f"{device_python}: is not there; make setup first, or name one with --device-python")


def put_in_place(product: Product, nets: tuple[Student, Teacher], design: Design, place: Path) -> None:
    """Write a bundle and what it was made from, whole, the networks first.

    Raises:
        TrustError: the product is no bundle.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.parent, prefix=".new.") as folder:
        write(product, Path(folder) / "bundle")
        (training := Path(folder) / "training").mkdir()
        keep_student(training, nets[0], design)
        keep_teacher(training, nets[1])
        training.rename(training_folder(place))
        (Path(folder) / "bundle").rename(place)


def keep_student(folder: Path, student: Student, design: Design) -> None:
    """Write a student and what it looks like."""
    (folder / _DESIGN).write_text(json.dumps(asdict(design), indent=1) + "\n", encoding="utf-8")
    torch.save(_halved(student), folder / _STUDENT)


def keep_teacher(folder: Path, teacher: Teacher) -> None:
    """Write what a teacher learnt; its first blocks are ImageNet's."""
    torch.save(_halved(teacher), folder / _TEACHER)


def kept_student(folder: Path) -> tuple[Student, Design]:
    """Return a kept student; raises DataSetError where there is none."""
    try:
        raw = json.loads((folder / _DESIGN).read_text(encoding="utf-8"))
        design = Design(**(raw | {"recipe": Recipe(**raw["recipe"])}))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataSetError(f"{folder / _DESIGN}: {error}; name a folder that tools/train.py wrote") from error
    student: Student = _filled(Student(design), folder / _STUDENT)
    return student, design


def kept_teacher(folder: Path) -> Teacher:
    """Return a kept teacher; raises DataSetError where there is none."""
    teacher: Teacher = _filled(Teacher(), folder / _TEACHER)
    return teacher


def _halved(net: Any) -> dict[str, Any]:  # noqa: ANN401 - tensors have no type where torch is not installed
    return {name: value.half() if value.is_floating_point() else value for name, value in net.state_dict().items()}


def _filled(net: Any, path: Path) -> Any:  # noqa: ANN401 - as above
    try:
        net.load_state_dict(torch.load(path, weights_only=True))
    except (OSError, EOFError, RuntimeError, pickle.UnpicklingError) as error:
        why = getattr(error, "strerror", None) or "is no network of this kind"
        raise DataSetError(f"{path}: {why}; name a folder that tools/train.py wrote") from error
    return net.eval()
