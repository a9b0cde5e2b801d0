"""How far people agree with the labels that are there: Wilson, Cohen's kappa, and who said what."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
from check_data import read_rows
from dataset import PARTIAL, DataSetError, allowed_by
from label_answers import ANSWERS, CANNOT_TELL, Answer, standing

from edge.evaluation import bootstrap, wilson
from edge.messages import LABELS, Label

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from check_data import Row

    from edge.evaluation import Flags, Indices
    from edge.messages import Metric


def labelled(folder: Path) -> dict[str, Row]:
    """Return the rows whose label is known, by file name; ``check_data`` names the others."""
    return {row.file_name: row for row in read_rows(folder)[0] if row.label in [*LABELS, *PARTIAL]}


def report(folder: Path, given: Sequence[Answer]) -> str:
    """Return, for everyone who answered, how far they agree with ``metadata.jsonl``; without one, the counts."""
    try:
        rows = labelled(folder)
    except DataSetError:
        rows = {}
    people = dict.fromkeys(answer.who for answer in given)
    return "\n\n".join(_of_one(who, rows, standing(given, who)) for who in people) or "No answers yet."


def _of_one(who: str, rows: Mapping[str, Row], mine: Mapping[str, str]) -> str:
    counts = Counter(mine.values())
    said = ", ".join(f"{label} {counts[label]}" for label in ANSWERS if counts[label])
    lines = [f"{who}: {len(mine)} pictures{': ' if said else ''}{said}"]
    known = {name: label for name, label in mine.items() if name in rows}
    judged = {name: label for name, label in known.items() if label != CANNOT_TELL}
    if judged:
        lines += _agreement(rows, judged)
    if known:
        lines += ["", *_confusion([(rows[name].label, label) for name, label in known.items()])]
    return "\n".join(lines)


def _agreement(rows: Mapping[str, Row], judged: Mapping[str, str]) -> list[str]:
    """Return the figures over the pictures that have a label and an answer other than ``cannot_tell``."""
    said = np.array([LABELS.index(Label(label)) for label in judged.values()])
    allowed = np.array([[label in allowed_by(rows[name].label, name) for label in LABELS] for name in judged])
    right = allowed[np.arange(len(said)), said]
    figures = [_figure(wilson("agreement", int(right.sum()), len(right)))]
    if not math.isnan(kappa(said, allowed)):
        visits = [f"{rows[name].home}/{rows[name].visit or name}" for name in judged]
        figures.append(_figure(bootstrap("Cohen's kappa", lambda i: kappa(said[i], allowed[i]), visits)))
    labels = np.array([rows[name].label for name in judged])
    total = Counter(row.label for row in rows.values())
    shares = {label: float(right[labels == label].mean()) for label in sorted(set(labels.tolist()))}
    weighted = sum(total[label] * share for label, share in shares.items()) / sum(total[label] for label in shares)
    return [*figures, f"agreement, each label weighted by how often it occurs: {weighted:.3f}"]


def _figure(metric: Metric) -> str:
    return f"{metric.name} {metric.value:.3f} ({metric.low:.3f} to {metric.high:.3f}), {metric.count} pictures"


def kappa(said: Indices, allowed: Flags) -> float:
    """Return how far answers agree with labels beyond chance, at most 1; nan where chance would agree always.

    Cohen's kappa (Cohen, 1960), for labels that may leave several classes open: an answer agrees if it is one of them,
    and by chance as often as answers drawn from their own shares would. ``said`` is (count,), ``allowed`` (count,
    labels).
    """
    shares = np.bincount(said, minlength=allowed.shape[1]) / len(said)
    agreed, by_chance = float(np.mean(allowed[np.arange(len(said)), said])), float(np.mean(allowed @ shares))
    return (agreed - by_chance) / (1 - by_chance) if by_chance < 1 - 1e-12 else math.nan


def _confusion(pairs: Sequence[tuple[str, str]]) -> list[str]:
    """Return a table of (label, answer) counts, a row for each label that was drawn."""
    counts, there = Counter(pairs), {label for label, _ in pairs}
    heads = ["label, answer", *ANSWERS]
    names = [name for name in (*LABELS, *PARTIAL) if name in there]
    table = [[name, *(str(counts[name, answer]) for answer in ANSWERS)] for name in names]
    return ["  ".join(f"{cell:>{len(head)}}" for head, cell in zip(heads, row, strict=True)) for row in [heads, *table]]
