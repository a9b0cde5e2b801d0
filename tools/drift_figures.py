"""How often the watch for drift is wrong, and what it notices, in the simulated world; as a part of docs/push.md.

    python tools/drift_figures.py --write docs/push.md        (make drift)

The shipped night is played with several seeds by the model that ships. Windows are drawn from its visits, with
replacement: none should alarm. Then the world or the scores are changed for a whole night.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pages import replaced

from edge import assembly, bundle, simulation
from edge.adapters.absent import AbsentHeartbeat, AbsentRecord
from edge.adapters.sim import shipped_scene
from edge.assembly import Host, Memory
from edge.drift import VISITS, DriftWatch, bound, reference_of
from edge.messages import LABELS, Scores, Visit

NIGHTS = 4
DRAWN = 2000
EVENTS = (
    ("", 0.0, "nothing is wrong"),
    ("camera_knocked", 0.5, "the camera was knocked"),
    ("lamp_step", 0.2, "the lamp gives a fifth of its light"),
    ("lens_web", 0.9, "a web before the lens"),
    ("lens_drops", 0.5, "drops on the lens"),
    ("daylight", 3.0, "three lamps' worth of daylight"),
)
SCORES = ((40.0, "scores that are sure of nothing"), (3.0, "scores at three times the temperature"))
Frames = tuple[list["np.ndarray[tuple[int, ...], np.dtype[np.uint8]]"], list[Scores]]


@dataclass
class Diary(AbsentRecord):
    """Keeps the visits."""

    visits: list[Visit]

    def visit(self, visit: Visit) -> None:
        """Keep it."""
        self.visits.append(visit)


def play(seed: int, event: str, level: float) -> list[Frames]:
    """Return the frames of evidence of every visit of the shipped night, with one thing wrong all along."""
    text = shipped_scene("night").read_text(encoding="utf-8").replace("seed = 3", f"seed = {seed}")
    if event:
        text += f'\n[[event]]\nwhat = "{event}"\nat_s = 1\nfor_s = 300\nlevel = {level}\n'
    with tempfile.TemporaryDirectory() as place:
        scene = Path(place) / "night.toml"
        scene.write_text(text, encoding="utf-8")
        stage, diary = simulation.stage(scene, Path(place) / "state", None), Diary([])
        models = assembly.one_model(stage.config, assembly.load_model("factory", "auto", 1))
        host = Host(stage.clock, AbsentHeartbeat())
        with (
            closing(assembly.pipeline(stage.config, models, stage.devices, host, Memory(diary, 0.0))) as loop,
            suppress(EOFError),
        ):
            while True:
                loop.tick()
    return [_frames(visit) for visit in diary.visits]


def _frames(visit: Visit) -> Frames:
    seen = [(entry.patch, entry.scores) for entry in visit.observations]
    whole = [(patch.pixels, scores) for patch, scores in seen if patch is not None and scores is not None]
    return [pixels for pixels, _ in whole], [scores for _, scores in whole]


def judged(visits: list[Frames]) -> str:
    """Return what one window of these visits finds, repeated in their order until it is full."""
    watch = _watch()
    for number in range(VISITS):
        found = watch.add(*visits[number % len(visits)])
    return "; ".join(f"{entry.what} {entry.value:.2f} > {entry.bound:.2f}" for entry in found or ()) or "nothing"


def softened(visits: list[Frames], temperature: float) -> list[Frames]:
    """Return the visits as a model at a higher temperature would have scored them."""
    return [(shown, [_soft(one, temperature) for one in scores]) for shown, scores in visits]


def _soft(scores: Scores, temperature: float) -> Scores:
    shares = np.array(scores.probabilities) ** (1 / temperature)
    return Scores(tuple((shares / shares.sum()).tolist()), scores.embedding)


def _watch() -> DriftWatch:
    path = bundle.factory_directory() / "reference.json"
    return DriftWatch(reference_of(path.read_bytes(), path))


def false_alarms(visits: list[Frames]) -> int:
    """Return how many of ``DRAWN`` windows, drawn from visits of honest nights, alarm."""
    chance, watch, wrong = np.random.default_rng(5), _watch(), 0
    for _ in range(DRAWN * VISITS):
        wrong += bool(watch.add(*visits[chance.integers(len(visits))]))
    return wrong


def main() -> int:
    """Print the part; 1 where an honest night alarms."""
    parser = argparse.ArgumentParser(description="What the watch for drift notices.")
    parser.add_argument("--write", type=Path, metavar="PAGE")
    arguments = parser.parse_args()
    honest = [visit for seed in range(NIGHTS) for visit in play(seed, "", 0.0)]
    wrong = false_alarms(honest)
    rows = [(says, judged(play(3, event, level))) for event, level, says in EVENTS]
    rows += [(says, judged(softened(honest, temperature))) for temperature, says in SCORES]
    certain = [(shown, [Scores((0.0, 0.0, 1.0, 0.0, 0.0, 0.0), (1.0,))] * len(scores)) for shown, scores in honest]
    rows.append((f"scores that are sure of {LABELS[2]} whatever comes", judged(certain)))
    share = f"{wrong} of {DRAWN}" if wrong else f"0 of {DRAWN}: at most {3 / DRAWN:.2%} with 95 % confidence"
    said = (
        f"False alarms in windows of {VISITS} visits drawn from {len(honest)} visits of {NIGHTS} nights: {share}. "
        f"A PSI of {bound(8, VISITS, 2001):.2f} is the bound of sureness."
    )
    lines = [f"| {says} | {told} |" for says, told in rows]
    part = "\n".join([said, "", "| a whole night of | told |", "|---|---|", *lines])
    print(part)
    if arguments.write is not None:
        text = replaced(arguments.write.read_text(encoding="utf-8"), "drift", part)
        arguments.write.write_text(text, encoding="utf-8")
    return 1 if wrong or rows[0][1] != "nothing" else 0


if __name__ == "__main__":
    sys.exit(main())
