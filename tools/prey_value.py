"""What composed prey buys, measured on real prey that no student has learnt from.

    make prey-value        or        python tools/prey_value.py --data ../shared/data --composed DIR

Two students, alike but for the composed pictures (tools/compose_prey.py), learn as long from everything *but* the real
pictures of prey: one home's worth of an owner who has none yet. Both are asked to rank all real prey of ``tunnel``
against the cats of its later months. Prints docs/prey.md.
"""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402 - the repository's own packages come from ROOT
import torch  # noqa: E402
from dataset import DataSetError, plain_patches, read_photographs, simulated  # noqa: E402
from figures import UNCALIBRATED, softmax  # noqa: E402
from learning import Schedule  # noqa: E402
from measure import prey_ranking, visits_of  # noqa: E402
from student_net import HARD_ONLY, SHIPPED, Lesson, float_logits, teach, untold  # noqa: E402

from edge.evaluation import Risks, recall_at  # noqa: E402
from edge.messages import LABELS, Label  # noqa: E402

if TYPE_CHECKING:
    from dataset import Sample

    from edge.messages import Metric

FALSE_REFUSALS = 0.02
_PREY = LABELS.index(Label.CAT_PREY)
_PAGE = Template("""\
# What composed prey buys

$date, by `make prey-value` ($pictures pictures shown to each student, $composed composed ones among those it could be
shown, seeds $seeds): students that never saw a real picture of prey rank the $prey real ones of `tunnel` ($visits
visits) against $cats cats of its later months. 95 % by resampling visits. The composer was written by somebody who had
looked at the real ones.

| learnt from | seed | area under the curve | recall at $rate false refusals |
|---|---|---|---|
$rows
""")


def main(arguments: list[str]) -> int:
    """Run; 0 done, 2 refused."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="an imagefolder with metadata.jsonl")
    parser.add_argument("--composed", type=Path, required=True, help="what tools/compose_prey.py made of it")
    parser.add_argument("--pictures", type=int, default=8000, help="augmented pictures shown to each student")
    parser.add_argument("--sim", type=int, default=2000, help="frames of the simulated world, for both")
    parser.add_argument("--seeds", type=int, default=1, help="students of each kind")
    options = parser.parse_args(arguments)
    torch.set_num_threads(2)
    try:
        real = read_photographs(options.data).samples
        composed = read_photographs(options.composed).samples
    except DataSetError as error:
        print(f"prey_value: {error}", file=sys.stderr)
        return 2
    prey = [sample for sample in real if sample.home == "tunnel" and sample.label == Label.CAT_PREY]
    cats = [sample for sample in real if sample.part == "test" and sample.coarse == "cat"]
    without = [s for s in (*real, *simulated(options.sim, 1)) if s.part == "train" and not _is_real_prey(s)]
    rows = []
    for seed in range(1, options.seeds + 1):
        for name, known in (("without composed prey", without), ("with composed prey", [*without, *composed])):
            area, recall = _judged(known, prey, cats, _schedule(options.pictures, seed))
            rows.append(f"| {name} | {seed} | {_cell(area)} | {_cell(recall)} |")
            print(rows[-1], file=sys.stderr, flush=True)
    sys.stdout.write(
        _PAGE.substitute(
            date=f"{datetime.now(UTC):%Y-%m-%d}",
            pictures=options.pictures,
            composed=len(composed),
            seeds=f"1 to {options.seeds}",
            prey=len(prey),
            visits=len(set(visits_of(prey))),
            cats=len(cats),
            rate=f"{FALSE_REFUSALS:.0%}",
            rows="\n".join(rows),
        )
    )
    return 0


def _is_real_prey(sample: Sample) -> bool:
    return sample.label == Label.CAT_PREY and sample.home != "sim"


def _schedule(pictures: int, seed: int) -> Schedule:
    return Schedule(pictures, batch=32, peak_rate=1.5e-3, known_share=0.2, decay=0.03, seed=seed)


def _judged(known: list[Sample], prey: list[Sample], cats: list[Sample], schedule: Schedule) -> tuple[Metric, Metric]:
    """Train, and return the ranking of prey against cats and the recall at a bounded share of false refusals."""
    lesson = Lesson(known, untold(len(known)), SHIPPED, HARD_ONLY)
    net = teach(lesson, schedule, None, lambda _pictures, _loss: None)
    asked = [*prey, *cats]
    risk = softmax(float_logits(net, plain_patches(asked, SHIPPED.recipe)), UNCALIBRATED)[:, _PREY]
    is_prey = np.arange(len(asked)) < len(prey)
    area = prey_ranking("real", risk, (is_prey, ~is_prey), visits_of(asked))
    point = recall_at(
        "recall",
        Risks(risk[is_prey], tuple(visits_of(prey))),
        Risks(risk[~is_prey], tuple(visits_of(cats))),
        FALSE_REFUSALS,
    )
    return area, point.recall


def _cell(figure: Metric) -> str:
    return f"{figure.value:.3f} ({figure.low:.3f} to {figure.high:.3f})"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
