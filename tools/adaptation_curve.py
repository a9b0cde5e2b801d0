"""What adapting to a home buys, by how many frames its owner has labelled: the curve in docs/adaptation.md.

    make adaptation   or   python tools/adaptation_curve.py --data ../shared/data --work build/student.work

Starts from the student and the teacher of a run of ``tools/train.py`` that never saw ``tunnel``, gives them its earlier
visits, and judges by its later ones; ``--part calibration`` judges by visits in between, to choose a setting by. Writes
docs/adaptation.md and .svg; twelve minutes on two cores.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402 - the repository's own packages come from ROOT
import torch  # noqa: E402
from adapt import FULL  # noqa: E402
from adaptation import (  # noqa: E402
    Effort,
    Ground,
    Origin,
    adapted,
    joined_views,
    mean_of,
    only_views,
    said_by,
)
from adaptation_page import (  # noqa: E402
    AT_RANDOM,
    BEFORE,
    BY_RULE,
    COLUMNS,
    DRAWN_ALONE,
    EVERYTHING,
    HALF_WAY,
    NO_LABEL,
    OF_MANIFEST,
    ORDER,
    Row,
    Setting,
    page,
    series,
)
from bundle_comparison import gate_of_frames  # noqa: E402
from dataset import SIM, DataSetError, draw_weights, plain_patches  # noqa: E402
from doc_plots import draw  # noqa: E402
from evaluation_figures import accuracies  # noqa: E402
from figures import calibrate, softmax  # noqa: E402
from frame_scores import frames_of  # noqa: E402
from make_bundle import write  # noqa: E402
from measure import balanced_over_homes, visits_of  # noqa: E402
from memory import start_again_holding_on  # noqa: E402
from plan import COSTS, opened  # noqa: E402
from prey_figures import risks_of_frames  # noqa: E402
from product import Making, product_of  # noqa: E402
from splits import CALIBRATE_UNTIL, TRAIN_UNTIL  # noqa: E402
from spool_choice import first_frames, in_time, worth_a_label  # noqa: E402
from stages import Progress  # noqa: E402
from student_net import float_logits  # noqa: E402
from teacher import look  # noqa: E402

from edge import bundle  # noqa: E402
from edge.assembly import load_model  # noqa: E402
from edge.evaluation import bootstrap, calibration_error  # noqa: E402
from edge.messages import Label  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from course import Course
    from dataset import Photographs, Sample
    from frame_scores import Frames
    from plan import Plan
    from student_net import Student
    from teacher import Views

    from edge.assembly import LoadedModel
    from edge.evaluation import Indices
    from edge.messages import Metric
    from edge.worth import Worth

HOME = "tunnel"
COUNTS = (10, 30, 100, 300)
HALF = 0.5
REHEARSED = 3000
DRAWN_SEEN, DRAWN_VIEWS = 400, 600  # drawn frames by which a teacher rehearses that has no photographs of elsewhere
SPOOL_S, JUDGE_S = 60.0, 8.0
"""What is expected of the replay with an int8 student, and of judging one student."""

_JUDGED = {
    "test": "its later months, from March on",
    "calibration": "visits between the earlier ones, to choose settings by",
}


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says."""

    data: Path
    work: Path
    part: str
    counts: tuple[int, ...]
    effort: Effort
    threads: int
    docs: Path
    device_python: Path

    @property
    def expected_s(self) -> float:
        """What all of it is expected to take: by rule, at random, without a label, and with drawn frames alone."""
        students = 2 * len(self.counts) + 2
        judged = students + len(self.counts)
        views = DRAWN_SEEN + DRAWN_VIEWS
        return students * self.effort.cost_s + judged * JUDGE_S + views * COSTS.view_s + SPOOL_S


def parse(arguments: list[str]) -> Options:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="an imagefolder with metadata.jsonl")
    parser.add_argument("--work", type=Path, required=True, help="the work of tools/train.py on it")
    parser.add_argument("--part", choices=tuple(_JUDGED), default="test", help="which visits of the home judge")
    parser.add_argument("--counts", type=int, nargs="+", default=COUNTS, help="how many frames are labelled")
    parser.add_argument("--teacher", type=int, default=1000, help="pictures shown to each teacher")
    parser.add_argument("--pictures", type=int, default=3000, help="pictures shown to each student")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2, help="cores to use")
    parser.add_argument("--docs", type=Path, default=ROOT / "docs", help="where page and plot go")
    parser.add_argument("--device-python", type=Path, default=ROOT / ".venv/bin/python", help="with both runtimes")
    said = parser.parse_args(arguments)
    effort = Effort(said.teacher, said.pictures, said.seed)
    counts = tuple(sorted(said.counts))
    return Options(said.data, said.work, said.part, counts, effort, said.threads, said.docs, said.device_python)


def main(arguments: list[str]) -> int:
    """Run; 0 done, 2 refused."""
    options = parse(arguments)
    torch.set_num_threads(options.threads)
    try:
        plan, course = opened(options.data, options.work, Progress(0.0))
    except DataSetError as error:
        print(f"adaptation_curve: {error}", file=sys.stderr)
        return 2
    rows, setting = _Curve(plan, course, options).measured()
    (options.docs / "adaptation.md").write_text(page(rows, setting), encoding="utf-8")
    labels = ("frames the owner has labelled", "six-class accuracy on later visits")
    draw(options.docs / "adaptation.svg", series(rows), labels)
    return 0


class _Curve:
    """All rows of the table: one student adapted anew for each."""

    def __init__(self, plan: Plan, course: Course, options: Options) -> None:
        self._options, self._plan, self._course = options, plan, course
        design, taught = course.material.design, course.taught((HOME,), plan.fold_lengths)
        self._origin = Origin(taught.student, taught.teacher, design)
        real = [sample for sample in course.material.photographs if not sample.composed]
        everything = (*real, *plan.drawn)
        self._home = in_time(sample for sample in real if sample.home == HOME and sample.part == "train")
        self._visits = tuple(dict.fromkeys(visits_of(self._home)))
        later = [sample for sample in real if sample.home == HOME and sample.part == options.part]
        held = [sample for sample in everything if sample.home != HOME and sample.part == "calibration"]
        self._judge = _Judge(self._origin, later, held)
        self._elsewhere = [sample for sample in everything if sample.home != HOME and sample.part == "train"]
        self._views = only_views(course.views, _places(course.material.photographs, self._home))
        self._progress = Progress(options.expected_s)

    def measured(self) -> tuple[list[Row], Setting]:
        """Return every row of the table, in its order, and what they have in common."""
        kept = self._kept()
        chosen = [visit for visit in self._visits if visit in kept]
        rng = np.random.default_rng(self._options.effort.seed)
        shuffled = [self._visits[index] for index in rng.permutation(len(self._visits))]
        whole, counts = self._ground(self._elsewhere), self._options.counts
        rows = [self._judge.row(BEFORE, (), self._origin.student), *self._rows(NO_LABEL, whole, chosen, (0,))]
        rows += self._rows(BY_RULE, whole, chosen, counts)
        rows += self._rows(AT_RANDOM, whole, shuffled, counts)
        drawn = [sample for sample in self._elsewhere if sample.home == SIM]
        rows += self._rows(DRAWN_ALONE, self._ground(drawn), chosen, counts[-1:])
        rows.sort(key=lambda row: ORDER.index(row.chosen))
        return [*rows, _of_everything(self._home)], self._setting(kept)

    def _rows(self, how: str, ground: Ground, visits: Sequence[str], counts: Iterable[int]) -> list[Row]:
        """Return a row for each number of labelled frames; where they follow the rule, one half way to the old too."""
        rows = list[Row]()
        for count in counts:
            frames = first_frames(self._home, visits, count)
            self._progress.say(f"{len(frames)} frames labelled, {how}")
            held = self._calibrating(frames)
            known = ground.knowing(frozenset(frames)).without(held)
            new = adapted(self._origin, known, self._options.effort, self._progress)
            labelled, calibrating = ([self._home[index] for index in which] for which in (frames, sorted(held)))
            judged = [(how, new.student)]
            if how == BY_RULE:
                judged.append((HALF_WAY, mean_of(self._origin.student, new.student, HALF)))
            rows += (self._judge.row(chosen, labelled, student, calibrating) for chosen, student in judged)
            self._progress.counter(JUDGE_S)(len(judged), math.nan)
        return rows

    def _calibrating(self, frames: Sequence[int]) -> frozenset[int]:
        """Return the frames of the last of the labelled visits: the share that ``splits.parts`` would hold back."""
        visit = dict(zip(frames, visits_of([self._home[index] for index in frames]), strict=True))
        visits = list(dict.fromkeys(visit.values()))
        last = visits[round(len(visits) * TRAIN_UNTIL / CALIBRATE_UNTIL) :]
        return frozenset(index for index in frames if visit[index] in last)

    def _ground(self, elsewhere: Sequence[Sample]) -> Ground:
        """Choose what is rehearsed: photographs first, of which the teacher has views already."""
        rng, count = np.random.default_rng(self._options.effort.seed), min(REHEARSED, len(elsewhere))
        at = rng.choice(len(elsewhere), count, replace=False, p=draw_weights(elsewhere))
        chosen = sorted((elsewhere[index] for index in at), key=lambda sample: sample.home == SIM)
        samples = (*self._home, *chosen)
        before = said_by(self._origin.student, self._origin.design, samples)
        return Ground(samples, len(self._home), before, joined_views(self._views, self._rehearsed_views(chosen)))

    def _rehearsed_views(self, chosen: Sequence[Sample]) -> Views:
        photographs = [sample for sample in chosen if sample.home != SIM]
        if photographs:
            return only_views(self._course.views, _places(self._course.material.photographs, photographs))
        shown = self._progress.counter(COSTS.view_s)
        return look(chosen[:DRAWN_SEEN], min(DRAWN_VIEWS, self._options.effort.teacher), 1, shown)

    def _kept(self) -> dict[str, Worth]:
        """Return which of the earlier visits the spool keeps, by the int8 student that was not adapted."""
        self._progress.say("the spool's choice, by the student that was not adapted, in int8")
        with tempfile.TemporaryDirectory() as folder:
            kept = worth_a_label(self._options.data, self._home, self._in_int8(Path(folder)))
        self._progress.counter(SPOOL_S)(1, math.nan)
        return kept

    def _in_int8(self, folder: Path) -> LoadedModel:
        known = tuple(sample for sample in self._plan.real.samples if sample.home != HOME)
        photographs: Photographs = replace(self._plan.real, samples=known)
        making = Making(
            name="not-adapted",
            version="0",
            command="tools/adaptation_curve.py",
            student=self._origin.student,
            recipe=self._origin.design.recipe,
            samples=(*known, *self._plan.drawn),
            photographs=photographs,
            teacher_figures=[],
            folds=(),
            seed=self._plan.seed,
        )
        write(product_of(making, self._options.device_python, folder), folder / "bundle")
        return load_model(str(folder / "bundle"), "auto", threads=1)

    def _setting(self, kept: dict[str, Worth]) -> Setting:
        later, effort = self._judge.later, self._options.effort
        prey = [sample for sample in later if sample.label == Label.CAT_PREY]
        return Setting(
            judged=f"the {len(later)} frames of {len(set(visits_of(later)))} visits of {_JUDGED[self._options.part]}",
            frames=len(self._home),
            visits=len(self._visits),
            teacher=(effort.teacher, FULL.teacher),
            student=(effort.student, FULL.student),
            seed=effort.seed,
            prey=len(prey),
            prey_visits=len(set(visits_of(prey))),
            elsewhere=len(self._judge.elsewhere),
            rules=tuple(one.rule for one in kept.values()),
        )


class _Judge:
    """Judges float students by the home's later visits and by what is held out elsewhere; the latter calibrates too."""

    def __init__(self, origin: Origin, later: list[Sample], elsewhere: list[Sample]) -> None:
        self.later, self.elsewhere = later, elsewhere
        self._recipe = origin.design.recipe
        self._later_patches = plain_patches(later, self._recipe)
        self._elsewhere_patches = plain_patches(elsewhere, self._recipe)
        self._before = self._frames(origin.student, [])[1]

    def row(self, chosen: str, labelled: Sequence[Sample], student: Student, calibrating: Sequence[Sample] = ()) -> Row:
        """Return everything that is measured of a student; some of the labelled frames may calibrate it."""
        later, elsewhere = self._frames(student, calibrating)
        gate = gate_of_frames(self._before, elsewhere)
        return Row(
            chosen=chosen,
            labelled=len(labelled),
            visits=len(set(visits_of(labelled))),
            figures=figures_of(later),
            elsewhere=balanced_over_homes("elsewhere", self.elsewhere, elsewhere.probabilities),
            broken=None if chosen == BEFORE else tuple(group.group for group in gate if not group.passed),
        )

    def _frames(self, student: Student, calibrating: Sequence[Sample]) -> tuple[Frames, Frames]:
        logits, samples = float_logits(student, self._elsewhere_patches), [*self.elsewhere, *calibrating]
        mine = float_logits(student, plain_patches(calibrating, self._recipe)) if calibrating else logits[:0]
        by = np.concatenate([logits, mine])
        calibration = calibrate(by, samples).calibration
        later = softmax(float_logits(student, self._later_patches), calibration)
        return frames_of(self.later, later), frames_of(self.elsewhere, softmax(logits, calibration))


def figures_of(frames: Frames) -> dict[str, Metric]:
    """Return the figures of ``COLUMNS`` that there are, each with its interval by visit."""
    whole = frames.only(frames.whole)

    def error(chosen: Indices) -> float:
        return calibration_error(whole.probabilities[chosen], whole.right[chosen])

    found = [*accuracies("later", frames), *risks_of_frames(frames).figures("later")]
    found.append(bootstrap("later/calibration_error", error, whole.visits))
    return {name: figure for figure in found if (name := figure.name.removeprefix("later/")) in COLUMNS}


def _of_everything(home: Sequence[Sample]) -> Row:
    """Return what the shipped bundle's manifest says of the same months."""
    metrics = {metric.name: metric for metric in bundle.load(bundle.factory_directory()).manifest.metrics}
    figures = {column: metrics[name] for column, name in OF_MANIFEST.items() if name in metrics}
    return Row(EVERYTHING, len(home), len(set(visits_of(home))), figures)


def _places(photographs: Sequence[Sample], wanted: Sequence[Sample]) -> Indices:
    """Return where samples stand among all photographs."""
    place = {id(sample): index for index, sample in enumerate(photographs)}
    return np.array([place[id(sample)] for sample in wanted])


if __name__ == "__main__":
    start_again_holding_on()
    sys.exit(main(sys.argv[1:]))
