"""How alike the scores of two frames are that differ by so many grey levels, beside what ``edge.policy.novelty`` takes.

    python tools/similarity.py --data ../shared/data      (a part of make error-rates)

Prints a section of docs/error-rates.md: the variogram (Matheron, "Principles of Geostatistics", Economic Geology 1963)
of the log-likelihood ratio of a clear mouth over the difference of the patches, for frames of one visit that show a cat
with a clear mouth: of the simulated world's scenes, and of the tunnel's training and calibration visits. The later
months of the tunnel have no part in it.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402 - the repository's own packages come from ROOT
from dataset import read_photographs  # noqa: E402
from error_rates import LOOK_GREY  # noqa: E402

from edge import assembly, features, simulation  # noqa: E402
from edge.adapters.absent import AbsentHeartbeat, AbsentRecord  # noqa: E402
from edge.adapters.sim import shipped_scene  # noqa: E402
from edge.assembly import Host, Memory  # noqa: E402
from edge.messages import Label  # noqa: E402
from edge.policy import likelihood_shares, novelty  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import numpy.typing as npt

    from edge.adapters.sim import World
    from edge.assembly import LoadedModel
    from edge.messages import EvidenceSettings, Patch, Scores, Visit
    from edge.ports import Interpreter

SCENARIOS = ROOT / "tests" / "scenarios"
BANDS_GREY = (0.0, 2.5, 3.0, 3.5, 4.0, 5.0, 7.0, 10.0, 14.0, 18.0, 22.0, 1000.0)
_NEAR = 40  # frames apart at most
_FEWEST = 20  # pairs of a band that is shown
_TINY = 1e-6
_ABOUT = """
## Where the discount comes from

Pairs of frames of one visit, a clear mouth in both; {model}. *Measured*: the correlation of their log-likelihood
ratios, by the variogram. *Taken*: what the policy takes for it from the difference of the patches."""


@dataclass(frozen=True, slots=True)
class Look:
    """A frame that shows a cat with a clear mouth: its patch and how far it speaks for one."""

    patch: Patch
    llr: float


@dataclass(frozen=True, slots=True)
class Pair:
    """Two frames of one visit, half the squared difference of their llrs, and the correlation that the policy takes."""

    apart_grey: float
    semivariance: float
    assumed: float


class _Noting:
    """The Interpreter port over the real one that notes what the simulated world showed."""

    def __init__(self, inner: Interpreter, world: World) -> None:
        self.runtime = inner.runtime
        self.shown: list[Label] = []
        self._inner = inner
        self._world = world

    def invoke(self, tensor: npt.NDArray[np.int8]) -> tuple[npt.NDArray[np.int8], ...]:
        self.shown.append(self._world.truth().label)
        return self._inner.invoke(tensor)


class _Visits(AbsentRecord):
    """The Record port that keeps the visits."""

    def __init__(self) -> None:
        self.kept: list[Visit] = []

    def visit(self, visit: Visit) -> None:
        self.kept.append(visit)


def main(arguments: list[str]) -> int:
    """Print the section; 0 done."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="an imagefolder with metadata.jsonl")
    options = parser.parse_args(arguments)
    loaded = assembly.load_model("factory", "auto", 1)
    print(_ABOUT.format(model=loaded.model_id))
    scenes = [*sorted(SCENARIOS.glob("*.toml")), shipped_scene("night")]
    drawn = [visit for scene in scenes for visit in scene_visits(scene, loaded)]
    for name, visits in (
        ("the simulated world", drawn),
        ("the tunnel, until February", tunnel_visits(options.data, loaded)),
    ):
        print("\n".join(section(name, visits, loaded.evidence)))
    return 0


def scene_visits(scene: Path, loaded: LoadedModel) -> list[list[Look]]:
    """Play a scene to the flap's own loop and return what it saw of clear mouths, visit by visit."""
    with tempfile.TemporaryDirectory() as place:
        stage = simulation.stage(scene, Path(place), None)
        noting, record = _Noting(loaded.model.interpreter, stage.world), _Visits()
        watched = replace(loaded, model=replace(loaded.model, interpreter=noting))
        host = Host(stage.clock, AbsentHeartbeat())
        models = assembly.one_model(stage.config, watched)
        loop = assembly.pipeline(stage.config, models, stage.devices, host, Memory(record, 0.0))
        try:
            while True:
                loop.tick()
        except EOFError:
            loop.stop()
        loop.close()
    shown = iter(noting.shown)
    return [list(_clear(visit, shown, loaded.evidence)) for visit in record.kept]


def _clear(visit: Visit, shown: Iterator[Label], settings: EvidenceSettings) -> Iterator[Look]:
    for entry in visit.observations:
        if entry.scores is not None and entry.patch is not None and next(shown) is Label.CAT_CLEAR:
            yield Look(entry.patch, _llr(entry.scores, settings))


def tunnel_visits(folder: Path, loaded: LoadedModel) -> list[list[Look]]:
    """Return the clear mouths of the tunnel's training and calibration visits, in the order they were taken."""
    visits: dict[str, list[Look]] = defaultdict(list)
    for sample in sorted(read_photographs(folder).samples, key=lambda sample: sample.taken):
        if sample.home == "tunnel" and sample.part in ("train", "calibration") and sample.label == Label.CAT_CLEAR:
            patch = features.extract(sample.grey, sample.box, loaded.model.recipe)
            visits[sample.visit].append(Look(patch, _llr(loaded.model.score(patch), loaded.evidence)))
    return list(visits.values())


def _llr(scores: Scores, settings: EvidenceSettings) -> float:
    """Return what ``edge.policy.frame_llrs`` says for a clean cat, uncapped: capped, most frames are alike."""
    empty, _hidden, clear, carried, animal, person = (
        max(share, _TINY) for share in likelihood_shares(scores, settings.priors)
    )
    return float(np.log(clear / max(empty, carried, animal, person)))


def section(name: str, visits: Sequence[Sequence[Look]], settings: EvidenceSettings) -> Iterator[str]:
    """Yield the lines of one table, and the share of the variance that lasts all visit long."""
    taken = replace(settings, discount_scale=LOOK_GREY, discount_floor=0.0)
    pairs = [pair for visit in visits for pair in _pairs(visit, taken)]
    far = _mean(pair.semivariance for pair in pairs if pair.apart_grey >= LOOK_GREY)
    total = float(np.var([look.llr for visit in visits for look in visit]))
    yield from ("", f"| {name}: grey levels apart | pairs | measured | taken |", "|---|---|---|---|")
    for low, high in itertools.pairwise(BANDS_GREY):
        mine = [pair for pair in pairs if low <= pair.apart_grey < high]
        if len(mine) >= _FEWEST:
            measured = 1 - _mean(pair.semivariance for pair in mine) / far
            band = f"{low:g} to {high:g}" if high < BANDS_GREY[-1] else f"{low:g} or more"
            yield f"| {band} | {len(mine)} | {measured:.2f} | {_mean(pair.assumed for pair in mine):.2f} |"
    yield from ("", f"Of the variance over all of these frames, {max(1 - far / total, 0.0):.0%} lasts all visit long.")


def _pairs(visit: Sequence[Look], settings: EvidenceSettings) -> Iterator[Pair]:
    for index, look in enumerate(visit):
        for other in visit[index + 1 : index + _NEAR]:
            pixels = look.patch.pixels.astype(np.int16) - other.patch.pixels
            weight = novelty(other.patch, look.patch, settings)
            yield Pair(
                apart_grey=float(np.abs(pixels).mean()),
                semivariance=(look.llr - other.llr) ** 2 / 2,
                assumed=(1 - weight) / (1 + weight),
            )


def _mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
