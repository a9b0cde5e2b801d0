"""Compare what simple things reach with the student that ships, on the same pictures.

    make baselines        or        python tools/evaluate.py --baselines --data ../shared/data

Prints docs/baselines.md: five coarse classes, later months of ``tunnel`` (learning from everything before), and homes
never seen (leaving out one after the other, pooled). The student's rows are the figures of its manifest. The row of
frozen features needs torch (.venv-train) and is left out, by name, where there is none.
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
from baselines import Baseline, Majority, MotionArea, Silhouette  # noqa: E402
from dataset import COARSE, FOLDS, DataSetError, read_photographs  # noqa: E402
from measure import coarse_judgement, coarse_truth, prey_ranking, visits_of  # noqa: E402

from edge.bundle import factory_directory, load  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dataset import Sample

    from edge.evaluation import Reals
    from edge.messages import Metric

_HEADING = Template("""\
# What simple things reach

Five coarse classes (hidden and clear cats are one) on $pictures photographs, $date, by `make baselines`. Accuracies
with Wilson 95 % intervals per picture; balanced accuracy (mean recall of the classes) and the ranking of prey against
cats (area under the curve) with 95 % by resampling visits. `tunnel_later`: learning from all that came before, later
months of the one real flap. `unseen`: each home by what was learnt in the others, pooled; a home that holds nearly one
class is hard for who does not know so: the majority class is the one that was the most common *elsewhere*.
""")
COLUMNS = ("accuracy", "balanced_accuracy", "prey_auc")


def main(arguments: list[str]) -> int:
    """Run; 0 done, 2 refused."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="an imagefolder with metadata.jsonl")
    parser.add_argument("--baselines", action="store_true", required=True, help="judge the simple things")
    options = parser.parse_args(arguments)
    try:
        samples = read_photographs(options.data).samples
    except DataSetError as error:
        print(f"evaluate: {error}", file=sys.stderr)
        return 2
    print(_HEADING.substitute(date=f"{datetime.now(UTC):%Y-%m-%d}", pictures=len(samples)))
    print(f"| on | who | {' | '.join(name.replace('_', ' ') for name in COLUMNS)} |\n|---|---|{'---|' * len(COLUMNS)}")
    for baseline in _baselines():
        for place, judged, probabilities in _judged(baseline, samples):
            figures = {figure.name: figure for figure in _figures(place, judged, probabilities)}
            print(_row(place, baseline.name, figures), flush=True)
    manifest = load(factory_directory()).manifest
    shipped = {figure.name: figure for figure in manifest.metrics}
    for place in ("tunnel_later", "unseen"):
        print(_row(place, f"{manifest.name} {manifest.version}", shipped))
    return 0


def _baselines() -> list[Baseline]:
    simple: list[Baseline] = [Majority(), MotionArea(), Silhouette()]
    try:
        from frozen_features import FrozenFeatures  # noqa: PLC0415 - needs torch, which the device's environment lacks
    except ImportError as missing:
        print(f"evaluate: without frozen EfficientNet-Lite0 features: {missing}", file=sys.stderr)
        return simple
    return [*simple, FrozenFeatures()]


def _judged(baseline: Baseline, samples: Sequence[Sample]) -> list[tuple[str, list[Sample], Reals]]:
    """Return place, pictures and probabilities: later months of the tunnel, and all homes by those without them."""
    later = [sample for sample in samples if sample.part == "test"]
    before = [sample for sample in samples if sample.part == "train"]
    unseen: list[Sample] = []
    told: list[Reals] = []
    for fold in FOLDS:
        there = [sample for sample in samples if sample.home in fold]
        unseen += there
        told.append(baseline.judge([sample for sample in before if sample.home not in fold], there))
    return [("tunnel_later", later, baseline.judge(before, later)), ("unseen", unseen, np.concatenate(told))]


def _figures(place: str, samples: Sequence[Sample], probabilities: Reals) -> list[Metric]:
    prey, cat = COARSE.index("cat_prey"), COARSE.index("cat")
    truth = coarse_truth(samples)
    ranking = prey_ranking(place, probabilities[:, prey], (truth == prey, truth == cat), visits_of(samples))
    return [*coarse_judgement(place, samples, probabilities), ranking]


def _row(place: str, who: str, figures: dict[str, Metric]) -> str:
    cells = [_cell(figures.get(f"{place}_{name}")) for name in COLUMNS]
    return f"| {place} | {who} | {' | '.join(cells)} |"


def _cell(figure: Metric | None) -> str:
    return "" if figure is None else f"{figure.value:.3f} ({figure.low:.3f} to {figure.high:.3f})"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
