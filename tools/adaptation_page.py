"""docs/adaptation.md and what is drawn beside it, from what tools/adaptation_curve.py measured."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from string import Template
from typing import TYPE_CHECKING

from doc_plots import Series

from edge.worth import Rule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge.messages import Metric

COLUMNS = ("coarse_accuracy", "coarse_balanced_accuracy", "six_class_accuracy", "prey_auc", "calibration_error")
_HEADS = (
    "frames labelled (visits)",
    "chosen",
    "coarse accuracy",
    "balanced",
    "six classes",
    "prey AUC",
    "calibration error",
    "elsewhere",
    "broke",
)
OF_MANIFEST = {name: f"tunnel_later_{name}" for name in COLUMNS} | {
    "coarse_accuracy": "tunnel_later_accuracy",
    "coarse_balanced_accuracy": "tunnel_later_balanced_accuracy",
}
"""Under which names a manifest has the same figures."""

DRAWN = "six_class_accuracy"

BEFORE = "not adapted"
NO_LABEL = "none, the teacher's word alone"
BY_RULE = "by the spool's rule"
AT_RANDOM = "at random"
HALF_WAY = "by the spool's rule, half way"
DRAWN_ALONE = "by the spool's rule, drawn frames alone"
EVERYTHING = "trained on everything"
ORDER = (BEFORE, NO_LABEL, BY_RULE, HALF_WAY, AT_RANDOM, DRAWN_ALONE, EVERYTHING)
_PAGE = Template("""\
# What adapting to a home buys

$date, by `make adaptation`: a student and its teacher that never saw `tunnel` are adapted to it with the first frames
an owner labels there, all other frames of the earlier visits taking part unlabelled. The earlier visits hold $frames
frames in $visits visits. What comes out is judged by
$judged.
Every adaptation shows the teacher $teacher pictures and the student $student (in brackets: by `tools/adapt.py`), seed
$seed. Of the visits labelled the last eighth calibrates, with held-out visits of elsewhere, and teaches nothing. Float
networks: what int8 costs stands on the model's card.

![six-class accuracy over labelled frames](adaptation.svg)

$heads
$rows

- 95 % intervals, by resampling the later visits: which frames were labelled, and the seed, are one draw. Prey among
  the later frames: $prey (visits: $prey_visits), so its ranking says little.
- *By the spool's rule*: the earlier visits ran through the flap's own loop with the int8 student that was not adapted;
  the spool kept $kept of them:
  $rules.
  Labelled are their frames in order of time: what an owner has in the first days. *At random*: visits drawn from all of
  the earlier time, which no owner has before it is over.
- *Half way*: the mean of the old and the new weights. *Drawn frames alone*: rehearsed without photographs of elsewhere,
  as an owner does who says no `--rehearse`.
- *Trained on everything*: the shipped bundle, int8, by its manifest. It learnt from all frames labelled, and from prey
  composed into them; its accuracies have intervals by picture.
- *Elsewhere*: held-out pictures of all other homes and drawn nights, $elsewhere of them: coarse balanced accuracy, the
  mean over the homes. *Broke*: in which homes and classes of these the adapted one is worse than before beyond its
  interval.
""")


@dataclass(frozen=True, slots=True)
class Row:
    """One student: how its labelled frames were chosen, how many, and what it is worth at the home and elsewhere.

    ``broken`` names the groups in which it is worse than before; None where it was not compared.
    """

    chosen: str
    labelled: int
    visits: int
    figures: dict[str, Metric]
    elsewhere: Metric | None = None
    broken: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Setting:
    """What all rows have in common.

    ``teacher`` and ``student`` are how many pictures each is shown here, and by ``tools/adapt.py``; ``rules`` has one
    entry a visit that the spool kept.
    """

    judged: str
    frames: int
    visits: int
    teacher: tuple[int, int]
    student: tuple[int, int]
    seed: int
    prey: int
    prey_visits: int
    elsewhere: int
    rules: tuple[Rule, ...]


def page(rows: Sequence[Row], setting: Setting) -> str:
    """Return the page."""
    counts = Counter(setting.rules)
    return _PAGE.substitute(
        date=f"{datetime.now(UTC):%Y-%m-%d}",
        judged=setting.judged,
        frames=setting.frames,
        visits=setting.visits,
        teacher="{} ({})".format(*setting.teacher),
        student="{} ({})".format(*setting.student),
        seed=setting.seed,
        heads=f"| {' | '.join(_HEADS)} |\n|{'---|' * len(_HEADS)}",
        rows="\n".join(_line(row) for row in rows),
        prey=setting.prey,
        prey_visits=setting.prey_visits,
        kept=len(setting.rules),
        rules=", ".join(f"{counts[rule]} for {rule.replace('_', ' ')}" for rule in Rule if counts[rule]) or "none",
        elsewhere=setting.elsewhere,
    )


def _line(row: Row) -> str:
    cells = [_cell(row.figures.get(name)) for name in COLUMNS]
    broke = "" if row.broken is None else "; ".join(row.broken) or "nothing"
    return f"| {row.labelled} ({row.visits}) | {row.chosen} | {' | '.join(cells)} | {_cell(row.elsewhere)} | {broke} |"


def _cell(figure: Metric | None) -> str:
    return "" if figure is None else f"{figure.value:.3f} ({figure.low:.3f} to {figure.high:.3f})"


def series(rows: Sequence[Row]) -> list[Series]:
    """Return what is drawn: what labels buy, chosen by rule and at random; and what no label of the home changes."""
    rows = [row for row in rows if DRAWN in row.figures]
    most = max(row.labelled for row in rows if row.chosen != EVERYTHING)
    lines = [_series(who, [row for row in rows if row.chosen in (NO_LABEL, who)]) for who in (BY_RULE, AT_RANDOM)]
    levels = [
        Series(row.chosen, [(0, row.figures[DRAWN]), (most, row.figures[DRAWN])])
        for row in rows
        if row.chosen in (BEFORE, EVERYTHING)
    ]
    return [*lines, *levels]


def _series(name: str, rows: Sequence[Row]) -> Series:
    return Series(name, [(row.labelled, row.figures[DRAWN]) for row in rows])
