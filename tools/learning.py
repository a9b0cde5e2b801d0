"""How a network learns: one cycle of the rate, the mean of the last weights, and a way back after an interruption.

Every step draws from a generator of its own, made of seed and step, so that a run that was interrupted and goes on ends
as it would have without (bit for bit with as many threads on the same machine). Needs torch.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KEEP_EVERY_S = 60.0
_MEAN_OVER = 20
"""The weights handed out are the mean over about the last twentieth of the steps."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long and how fast. ``pictures`` counts every picture shown.

    ``known_share`` is the part of the rate at which weights learn that know ImageNet already.
    """

    pictures: int
    batch: int
    peak_rate: float
    known_share: float
    decay: float
    seed: int

    @property
    def steps(self) -> int:
        """How many steps that makes, at least one."""
        return max(self.pictures // self.batch, 1)


class Learner(Protocol):
    """A network that says which of its weights know something already, and what a batch costs."""

    net: Any

    def known_and_new(self) -> tuple[list[Any], list[Any]]:
        """Return the weights that know ImageNet, and those that know nothing."""
        ...

    def loss(self, rng: np.random.Generator, batch: int) -> Any:  # noqa: ANN401 - tensors have no type where torch is not installed
        """Draw a batch and return its loss."""
        ...


def learn(
    learner: Learner,
    schedule: Schedule,
    kept: Path | None,
    shown: Callable[[int, float], None],
    *,
    keep_every_s: float = KEEP_EVERY_S,
) -> Any:  # noqa: ANN401 - as above
    """Train ``learner.net`` and return its averaged twin in evaluation mode.

    Args:
        learner: what learns.
        schedule: for how long.
        kept: where the state is put down now and then and taken up from; None: nowhere. Removed at the end.
        shown: is told how many pictures were shown, and the loss.
        keep_every_s: how often it is put down.
    """
    run = _Run(learner, schedule)
    start = run.take_up(kept)
    if start:
        shown(start * schedule.batch, float("nan"))
    put_down_at_s = time.monotonic() + keep_every_s
    for step in range(start, schedule.steps):
        shown(schedule.batch, run.step(step))
        if kept is not None and time.monotonic() >= put_down_at_s:
            run.put_down(kept, step + 1)
            put_down_at_s = time.monotonic() + keep_every_s
    if kept is not None:
        kept.unlink(missing_ok=True)
    return run.average.module.eval()


class _Run:
    """Weights, their mean, the optimiser and its rate: everything a step changes."""

    def __init__(self, learner: Learner, schedule: Schedule) -> None:
        self._learner, self._schedule = learner, schedule
        known, new = learner.known_and_new()
        rates = [schedule.peak_rate * schedule.known_share, schedule.peak_rate]
        remember = torch.optim.swa_utils.get_ema_multi_avg_fn(max(1 - _MEAN_OVER / schedule.steps, 0.0))
        self.average = torch.optim.swa_utils.AveragedModel(learner.net, multi_avg_fn=remember, use_buffers=True)
        groups = [{"params": known}, {"params": new}]
        self._optimiser = torch.optim.AdamW(groups, lr=schedule.peak_rate, weight_decay=schedule.decay)
        self._rate = torch.optim.lr_scheduler.OneCycleLR(
            self._optimiser, rates, total_steps=schedule.steps + 1, pct_start=0.2
        )

    def step(self, step: int) -> float:
        seed = np.random.SeedSequence((self._schedule.seed, step))
        torch.manual_seed(int(seed.generate_state(1)[0]))
        self._learner.net.train()
        loss = self._learner.loss(np.random.default_rng(seed), self._schedule.batch)
        self._optimiser.zero_grad()
        loss.backward()
        self._optimiser.step()
        self._rate.step()
        self.average.update_parameters(self._learner.net)
        return float(loss.item())

    def put_down(self, path: Path, step: int) -> None:
        fresh = path.with_suffix(".new")
        torch.save({"step": step, "parts": [part.state_dict() for part in self._parts()]}, fresh)
        fresh.replace(path)

    def take_up(self, path: Path | None) -> int:
        """Return the first step that is still to be done."""
        state: dict[str, Any] = {"step": 0, "parts": []}
        if path is not None:
            with contextlib.suppress(FileNotFoundError):
                state = torch.load(path, weights_only=True)
        for part, known in zip(self._parts(), state["parts"], strict=False):
            part.load_state_dict(known)
        return int(state["step"])

    def _parts(self) -> tuple[Any, ...]:
        return self._learner.net, self.average, self._optimiser, self._rate
