"""What would make hours of training worthless, said in one line before they are spent.

``dataset.read_photographs`` has refused by then what a line or a file shows alone; here is what only all of them show.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataset import COPY, UNJUDGED
from rows import DataSetError, refuse

from edge.messages import LABELS, Label

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dataset import Photographs, Sample


def check(photographs: Photographs, samples: Sequence[Sample]) -> None:
    """Refuse a data set that nothing can be learnt from, or that would be judged by what it was learnt from.

    Args:
        photographs: what was read, from however many folders.
        samples: all that a model is to learn from and be judged by, drawn frames included.

    Raises:
        DataSetError: the first fault, and how many more there are.
    """
    if not photographs.samples:
        raise DataSetError("the data set holds no picture; name a folder with --data")
    refuse([*_empty_classes(samples), *_copies(photographs.samples)])


_WAYS_TO_MORE = dict.fromkeys(LABELS, "label some (tools/label.py), or train with another data set beside this one") | {
    Label.CAT_PREY: "compose some (tools/compose_prey.py), or train with another data set beside this one"
}


def _empty_classes(samples: Sequence[Sample]) -> Iterator[str]:
    for label in LABELS:
        parts = [sample.part for sample in samples if sample.label == label]
        if "train" not in parts:
            yield f"{label}: none of its {len(parts)} pictures is there to train on; {_WAYS_TO_MORE[label]}"


def _copies(samples: Sequence[Sample]) -> Iterator[str]:
    """Name pictures that are one, byte for byte, and lie in several homes or parts.

    ``COPY`` has been dealt with; from ``UNJUDGED`` nothing is learnt and by it nothing is judged.
    """
    alike: dict[bytes, list[Sample]] = {}
    for sample in samples:
        if sample.part not in (COPY, UNJUDGED):
            alike.setdefault(sample.encoded, []).append(sample)
    for group in alike.values():
        homes, parts = ({getattr(each, field) for each in group} for field in ("home", "part"))
        kind, places = ("homes", homes) if len(homes) > 1 else ("parts", parts)
        if len(places) > 1:
            names = ", ".join(each.name for each in group)
            yield f"{names}: one picture in several {kind} ({', '.join(sorted(places))}); keep one of them"
