"""How well the student's embedding tells one cat from another at one flap, in the simulated world.

    python tools/identity_value.py > docs/identity.md

Homes of four cats each: every cat has a gallery of its first evenings, its later evenings are held against it and
against the other three. Boxes are the true ones, mouths are free. Prints docs/identity.md.
"""

from __future__ import annotations

import argparse
import itertools
import math
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402 - the repository's own packages come from ROOT

from edge import assembly, features  # noqa: E402
from edge.adapters.sim.stills import INDIVIDUALS, evenings_of  # noqa: E402
from edge.evaluation import auc, bootstrap, wilson  # noqa: E402
from edge.identity import (  # noqa: E402
    POOR_EQUAL_ERROR,
    Confirmation,
    Exemplar,
    Gallery,
    at_home,
    confirm,
    nearness,
    shows_cat,
    worth,
)
from edge.policy import Budgets, wald_bounds  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge.adapters.sim.stills import Still
    from edge.assembly import LoadedModel
    from edge.evaluation import Indices, Reals
    from edge.identity import IdentitySettings
    from edge.messages import Metric

CATS_A_HOME = 4
BUDGETS = Budgets(prey_let_in=0.02, resident_refused=0.05)
_PAGE = Template("""\
# What the camera's word on a cat is worth

$date, by `tools/identity_value.py` with $model: $homes simulated homes of $cats cats, $gallery evenings of each cat in
its gallery, $asked more of each asked about. Boxes are the true ones. Nothing here was measured on real cats: no
photograph that the student learnt from says which cat it shows. 95 % by resampling visits.

| cats | area under the curve, by visit | equal error, by visit | own visits known | strangers' visits known |
|---|---|---|---|---|
$rows

*Equal error* is the share of visits told wrongly at the threshold where as many own cats are taken for strangers as the
other way round; 50 % is a coin. *Known* is what the flap would make of it alone: each home measures itself on the
visits its owner confirmed (`edge/identity.py`, `at_home`), and a cat is known at the budgets as they ship
($wrong of strangers let in, $missed of own cats refused). An equal error above $poor is not worth trusting a door to;
`catflap doctor` says so where a cat depends on it.
""")


@dataclass(frozen=True, slots=True)
class _Asked:
    """One visit held against one gallery: whether it was that cat's own, how near, and what the flap would say."""

    visit: str
    own: bool
    near: float
    llr: float


def main(arguments: list[str]) -> int:
    """Run; 0 done."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="factory", metavar="BUNDLE")
    parser.add_argument("--homes", type=int, default=10)
    parser.add_argument("--gallery", type=int, default=8, help="evenings of each cat in its gallery")
    parser.add_argument("--asked", type=int, default=8, help="evenings of each cat that are asked about")
    options = parser.parse_args(arguments)
    loaded = assembly.load_model(options.model, "auto", 1)
    rows = []
    for name, first in (("unseen", INDIVIDUALS), ("learnt", 0)):
        homes = range(options.homes)
        asked = [one for h in homes for one in _home(h, first, loaded, options.gallery, options.asked)]
        rows.append(_row(name, asked))
        print(rows[-1], file=sys.stderr, flush=True)
    sys.stdout.write(
        _PAGE.substitute(
            date=f"{datetime.now(UTC):%Y-%m-%d}",
            model=f"`{loaded.model_id}`",
            homes=options.homes,
            cats=CATS_A_HOME,
            gallery=options.gallery,
            asked=options.asked,
            rows="\n".join(rows),
            wrong=f"{BUDGETS.prey_let_in:.0%}",
            missed=f"{BUDGETS.resident_refused:.0%}",
            poor=f"{POOR_EQUAL_ERROR:.0%}",
        )
    )
    return 0


def _home(home: int, first: int, loaded: LoadedModel, gallery: int, asked: int) -> Iterator[_Asked]:
    """Yield every visit asked about, held against every cat of its home; ``first`` numbers the first home's first."""
    cats = [first + home * CATS_A_HOME + number for number in range(CATS_A_HOME)]
    told, later = [], []
    for cat in cats:
        visits = itertools.islice(_visits(cat, home, loaded), gallery + asked)
        kept = Gallery(str(cat), loaded.model_id)
        for visit in itertools.islice(visits, gallery):
            kept = confirm(kept, visit)
        told.append(kept)
        later += [(cat, visit) for visit in visits]
    settings = at_home(told)
    for cat, visit in later:
        for kept in told:
            nears = [nearness(exemplar.embedding, kept.active) for exemplar in visit.exemplars]
            yield _Asked(f"{cat}/{visit.visit_id}", kept.name == str(cat), float(np.mean(nears)), _llr(nears, settings))


def _llr(nears: list[float], settings: IdentitySettings | None) -> float:
    return 0.0 if settings is None else float(np.mean([worth(near, settings) for near in nears]))


def _visits(cat: int, home: int, loaded: LoadedModel) -> Iterator[Confirmation]:
    """Yield a cat's evenings at its flap, without end: the pictures in which the model sees a cat."""
    for number, stills in enumerate(evenings_of(cat, 1000 + home, seed=1)):
        exemplars = tuple(exemplar for still in stills if (exemplar := _exemplar(still, loaded)) is not None)
        if exemplars:
            yield Confirmation(str(number), exemplars)


def _exemplar(still: Still, loaded: LoadedModel) -> Exemplar | None:
    patch = features.extract(still.grey, still.box, loaded.model.recipe)
    scores = loaded.model.score(patch)
    return Exemplar(patch.pixels, scores.embedding) if shows_cat(scores) else None


def _row(name: str, asked: list[_Asked]) -> str:
    own, near = np.array([one.own for one in asked]), np.array([one.near for one in asked])
    visits = [one.visit for one in asked]
    area = bootstrap("area", lambda chosen: auc(near[chosen][own[chosen]], near[chosen][~own[chosen]]), visits)
    error = bootstrap("error", lambda chosen: _of(near, own, chosen), visits)
    bound = wald_bounds(BUDGETS).admit + math.log(CATS_A_HOME)
    known = np.array([one.llr >= bound for one in asked])
    shares = [wilson("known", int(known[side].sum()), int(side.sum())) for side in (own, ~own)]
    return f"| {name} | {_cell(area, 3)} | {' | '.join(_percent(one) for one in (error, *shares))} |"


def _of(near: Reals, own: Indices, chosen: Indices) -> float:
    return equal_error(near[chosen][own[chosen]], near[chosen][~own[chosen]])


def equal_error(own: Reals, other: Reals) -> float:
    """Return the share told wrongly where both errors are as frequent, 0..1; nan without either kind."""
    if not len(own) or not len(other):
        return math.nan
    limits = np.unique(np.concatenate([own, other]))
    missed = np.searchsorted(np.sort(own), limits) / len(own)
    wrong = 1 - np.searchsorted(np.sort(other), limits) / len(other)
    best = int(np.argmin(np.abs(missed - wrong)))
    return float(missed[best] + wrong[best]) / 2


def _cell(figure: Metric, digits: int) -> str:
    return f"{figure.value:.{digits}f} ({figure.low:.{digits}f} to {figure.high:.{digits}f})"


def _percent(figure: Metric) -> str:
    return f"{100 * figure.value:.1f} % ({100 * figure.low:.1f} to {100 * figure.high:.1f})"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
