"""The owner of a scene: says the commands of its ``[[command]]`` entries, each at its time (`edge.ports.Control`)."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from edge.errors import HardwareError
from edge.messages import Reply, Request

if TYPE_CHECKING:
    from edge.adapters.sim.scene import CommandPlan, Scene
    from edge.messages import Command
    from edge.ports import Clock, Control

REQUESTS_PER_POLL = 8
_REPLIES_KEPT = 100


class SimControl:
    """A script of commands on a simulated clock; an endless scene says them again each time it begins anew."""

    def __init__(self, scene: Scene, clock: Clock) -> None:
        """Begin the scene at the clock's present moment."""
        self._plans = sorted(scene.commands, key=lambda plan: plan.at_s)
        self._cycle_s = scene.duration_s if scene.endless else None
        self._clock = clock
        self._start_ns = clock.monotonic_ns()
        self._said = 0
        self._closed = False
        self.replies: deque[tuple[Command, Reply]] = deque(maxlen=_REPLIES_KEPT)
        """What was said and what was answered, oldest first."""

    def poll(self) -> tuple[Request, ...]:
        """Return the commands whose time has come, in their order.

        Raises:
            HardwareError: it was closed.
        """
        if self._closed:
            raise HardwareError("the simulated control was closed")
        due: list[Request] = []
        while len(due) < REQUESTS_PER_POLL and (plan := self._due()) is not None:
            due.append(Request(self._said, plan.command))
            self._said += 1
        return tuple(due)

    def answer(self, request: Request, reply: Reply) -> None:
        """Keep the reply."""
        self.replies.append((request.command, reply))

    def close(self) -> None:
        """Say nothing more."""
        self._closed = True

    def _due(self) -> CommandPlan | None:
        """Return the next command, if its time has come."""
        if not self._plans:
            return None
        cycle, index = divmod(self._said, len(self._plans))
        if cycle > 0 and self._cycle_s is None:
            return None
        plan = self._plans[index]
        due_s = plan.at_s + cycle * (self._cycle_s or 0.0)
        return plan if (self._clock.monotonic_ns() - self._start_ns) / 1e9 >= due_s else None


class JoinedControl:
    """Several ways in as one (`edge.ports.Control`): a scene's script beside the socket that a person speaks to."""

    def __init__(self, *controls: Control) -> None:
        """Take them over."""
        self._controls = controls
        self._asked: dict[Request, Control] = {}

    def poll(self) -> tuple[Request, ...]:
        """Return what is said on any of them."""
        self._asked = {request: control for control in self._controls for request in control.poll()}
        return tuple(self._asked)

    def answer(self, request: Request, reply: Reply) -> None:
        """Answer where it was asked."""
        self._asked[request].answer(request, reply)

    def close(self) -> None:
        """Close all."""
        for control in self._controls:
            control.close()
