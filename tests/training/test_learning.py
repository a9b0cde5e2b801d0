"""Learning survives an interruption without a trace. Needs the trainer's environment: make train-test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

torch = pytest.importorskip("torch", reason="the trainer's environment has it: make train-test")

from learning import Schedule, learn  # noqa: E402 - after it is known that there is torch

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

SCHEDULE = Schedule(pictures=60, batch=4, peak_rate=0.01, known_share=0.5, decay=0.01, seed=3)


class Line:
    """Learns a straight line, with something random in it, as dropout is."""

    def __init__(self, stop_at: int | None = None, kept: Path | None = None) -> None:
        """Stop like a power cut at this step, if any, once the state was put down."""
        torch.manual_seed(0)
        self.net = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.Dropout(0.5), torch.nn.Linear(8, 1))
        self._steps, self._stop_at, self._kept = 0, stop_at, kept

    def known_and_new(self) -> tuple[list[Any], list[Any]]:
        """Return the first and the last layer's weights."""
        return list(self.net[0].parameters()), list(self.net[2].parameters())

    def loss(self, rng: np.random.Generator, batch: int) -> Any:  # noqa: ANN401 - tensors have no type where torch is not installed
        """Return the squared error on random points."""
        self._steps += 1
        if self._kept is not None and self._steps == self._stop_at:
            raise KeyboardInterrupt
        points = torch.from_numpy(rng.normal(size=(batch, 3))).float()
        return ((self.net(points)[:, 0] - points.sum(dim=1)) ** 2).mean()


def ignore(_pictures: int, _loss: float) -> None:
    """Say nothing."""


@pytest.mark.parametrize("stop_at", [1, 2, 9, 15])
def test_an_interrupted_run_ends_as_one_that_was_not(tmp_path: Path, stop_at: int) -> None:
    """Bit for bit the same weights, wherever it was interrupted."""
    kept = tmp_path / "line.partial"
    whole = learn(Line(), SCHEDULE, None, ignore)
    with pytest.raises(KeyboardInterrupt):
        learn(Line(stop_at, kept), SCHEDULE, kept, ignore, keep_every_s=0.0)
    assert kept.exists() == (stop_at > 1)
    again = learn(Line(), SCHEDULE, kept, ignore, keep_every_s=0.0)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, again.state_dict()[name])
    assert not kept.exists()


def test_it_learns() -> None:
    """After enough steps the line is found."""
    long = Schedule(pictures=16_000, batch=16, peak_rate=0.02, known_share=1.0, decay=0.0, seed=1)
    learnt = learn(Line(), long, None, ignore)
    points = torch.tensor([[1.0, 2.0, 3.0], [-1.0, 0.5, 0.0]])
    assert pytest.approx([6.0, -0.5], abs=0.8) == learnt(points)[:, 0].tolist()
