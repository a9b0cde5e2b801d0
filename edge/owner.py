"""The owner's word to the running loop, obeyed or refused in one line. Floor 3.

The word has been checked by whoever heard it; here it meets the door and the house as they stand now. Every word that
changes something is kept in the journal, done or refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from edge.door import DoorState
from edge.errors import HardwareError
from edge.house import GrantRefusedError
from edge.messages import Command, CommandKind, Mode, Reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge.messages import Status
    from edge.ports import Control, Record


class Entry(Protocol):
    """What the owner may say to the door."""

    @property
    def state(self) -> DoorState:
        """Where the door stands."""

    def override(self, why: str, now_ns: int) -> None:
        """Open for one."""

    def clear(self, now_ns: int) -> None:
        """End the fault."""


class Rules(Protocol):
    """What the owner may change of the house's rules while it runs."""

    @property
    def mode(self) -> Mode:
        """The mode in force."""

    @property
    def panic(self) -> bool:
        """Whether the panic lock is on."""

    def lock(self) -> None:
        """Let nobody in until ``lift``."""

    def lift(self) -> None:
        """Lift the panic lock."""

    def set_mode(self, mode: Mode) -> None:
        """Put a mode over the configuration's."""

    def grant(self, who: str | None, for_s: float, now_ns: int) -> None:
        """Let one cat in once.

        Raises:
            GrantRefusedError: one line; nothing was changed.
        """


class Models(Protocol):
    """What the owner may say of the models."""

    def obey(self, kind: CommandKind) -> Reply:
        """Take PROMOTE or ROLLBACK, or refuse it in one line; what is done is done as soon as nobody is there."""

    def labelled(self) -> None:
        """Hear that the owner has said of a visit what it was."""


@dataclass(frozen=True, slots=True)
class Powers:
    """Everything that the owner has a say in."""

    entry: Entry
    rules: Rules
    models: Models


class Owner:
    """Hears and obeys. ``status`` says how the door is, when it is asked for."""

    def __init__(self, control: Control, powers: Powers, record: Record, status: Callable[[int], Status]) -> None:
        """Take the way in and everything that the owner has a say in."""
        self._control, self._record = control, record
        self._entry, self._rules, self._models = powers.entry, powers.rules, powers.models
        self._status = status
        self._lost = False

    def hear(self, now_ns: int) -> None:
        """Obey what was said since the last tick; a way in that is gone is named once."""
        try:
            requests = self._control.poll()
        except HardwareError as error:
            if not self._lost:
                self._record.event("control_lost", str(error))
            self._lost = True
            return
        self._lost = False
        for request in requests:
            self._control.answer(request, self._obeyed(request.command, now_ns))

    def _obeyed(self, command: Command, now_ns: int) -> Reply:
        if command.kind is CommandKind.STATUS:
            return Reply(ok=True, says="", status=self._status(now_ns))
        reply = self._obey(command, now_ns)
        self._record.event("owner", f"{command.kind}: {'done' if reply.ok else 'refused'}, {reply.says}")
        return reply

    def _obey(self, command: Command, now_ns: int) -> Reply:
        match command.kind:
            case CommandKind.UNLOCK:
                return self._unlock(now_ns)
            case CommandKind.CLEAR:
                return self._clear(now_ns)
            case CommandKind.LET_IN:
                return self._let_in(command, now_ns)
            case CommandKind.PROMOTE | CommandKind.ROLLBACK:
                return self._models.obey(command.kind)
            case CommandKind.LABEL:
                return self._label(command)
        return self._rule(command)

    def _rule(self, command: Command) -> Reply:
        """Change what stands until it is changed again. What is no word for that is refused: it opens nothing."""
        match command:
            case Command(kind=CommandKind.LOCK):
                self._rules.lock()
                return _done("locked: nobody comes in until `catflap door unlock-panic`; going out stays free")
            case Command(kind=CommandKind.UNLOCK_PANIC):
                self._rules.lift()
                return _done(f"the panic lock is off; the mode is {self._rules.mode}")
            case Command(kind=CommandKind.MODE, mode=Mode() as mode):
                self._rules.set_mode(mode)
                return _done(f"the mode is {mode}{'; the panic lock is still on' if self._rules.panic else ''}")
        return _refused(f"{command.kind} cannot be obeyed as it was said")

    def _unlock(self, now_ns: int) -> Reply:
        if self._rules.panic:
            return _refused("the panic lock is on: `catflap door unlock-panic` lifts it first")
        if self._entry.state is DoorState.FAULT:
            return _refused("the bolt is at fault: `catflap door clear` when it is mended")
        self._entry.override("by the owner's word", now_ns)
        return _done("open for one")

    def _clear(self, now_ns: int) -> Reply:
        if self._entry.state is not DoorState.FAULT:
            return _refused("there is no fault to clear")
        self._entry.clear(now_ns)
        return _done("the fault is cleared; it comes back if the bolt still does not follow")

    def _let_in(self, command: Command, now_ns: int) -> Reply:
        try:
            self._rules.grant(command.cat or None, command.for_s, now_ns)
        except GrantRefusedError as error:
            return _refused(str(error))
        return _done(f"{command.cat or 'the next cat of ours'} may come in once within {command.for_s:g} s")

    def _label(self, command: Command) -> Reply:
        if command.label is None:
            return _refused("a visit can only be labelled with a label")
        why = self._record.label(command.visit, command.label)
        if why is not None:
            return _refused(why)
        self._models.labelled()
        return _done(f"visit {command.visit} was {command.label}")


def _done(says: str) -> Reply:
    return Reply(ok=True, says=says)


def _refused(says: str) -> Reply:
    return Reply(ok=False, says=says)
