"""The owner's word: what it does, when it is refused, and what no order of words brings about."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import pytest
from house_made import CURFEW, Book, House, house, rules_of
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from edge.adapters.absent import AbsentFlap, AbsentIndicator
from edge.coil import CoilGuard
from edge.config import LockConfig
from edge.door import Door, DoorState, DoorTimes
from edge.entry import Entry, EntryParts, EntrySettings
from edge.errors import HardwareError
from edge.house import GrantRefusedError
from edge.messages import Command, CommandKind, Label, Mode, Reply, Request, SensorReading, Status
from edge.owner import Owner, Powers

STATUS = Status("watching", Mode.IN_AND_OUT, False, None, None, 0.0, None, "student", None)
MOUSE = Command(CommandKind.LABEL, visit="20261121T210000-0001", label=Label.CAT_PREY)
MINUTE = Command(CommandKind.LET_IN, cat="Mimi", for_s=60.0)


@dataclass
class Words:
    """The Control port: what is put in comes out at the next poll, and replies are kept."""

    waiting: deque[Request] = field(default_factory=deque)
    replies: list[tuple[int, Reply]] = field(default_factory=list)
    lost: bool = False

    def say(self, *commands: Command) -> None:
        """Let each be said by a client of its own."""
        self.waiting.extend(Request(number, command) for number, command in enumerate(commands))

    def poll(self) -> tuple[Request, ...]:
        """Return all that was said, or fail."""
        if self.lost:
            raise HardwareError("nobody can be heard")
        said = tuple(self.waiting)
        self.waiting.clear()
        return said

    def answer(self, request: Request, reply: Reply) -> None:
        """Keep the reply."""
        self.replies.append((request.client, reply))

    def close(self) -> None:
        """Nothing to release."""


@dataclass
class Hands:
    """A door and rules that only note what is asked of them."""

    state: DoorState = DoorState.WATCHING
    mode: Mode = Mode.IN_AND_OUT
    panic: bool = False
    done: list[str] = field(default_factory=list)

    def override(self, why: str, now_ns: int) -> None:
        """Note it."""
        self.done.append(f"override {why} {now_ns}")

    def clear(self, now_ns: int) -> None:
        """Note it."""
        self.done.append(f"clear {now_ns}")

    def lock(self) -> None:
        """Note it, and lock."""
        self.panic = True
        self.done.append("lock")

    def lift(self) -> None:
        """Note it, and lift."""
        self.panic = False
        self.done.append("lift")

    def set_mode(self, mode: Mode) -> None:
        """Note it, and set the mode."""
        self.mode = mode
        self.done.append(f"mode {mode}")

    def obey(self, kind: CommandKind) -> Reply:
        """Note it, and do it."""
        self.done.append(kind)
        return Reply(ok=True, says=f"{kind} as soon as nobody is there")

    def labelled(self) -> None:
        """Note it."""
        self.done.append("labelled")

    def grant(self, who: str | None, for_s: float, now_ns: int) -> None:
        """Note it; nobody but Mimi is known."""
        if who not in (None, "Mimi"):
            raise GrantRefusedError(f"{who!r} is no listed cat")
        self.done.append(f"grant {who} {for_s:g} {now_ns}")


def owner_of(hands: Hands, words: Words, book: Book) -> Owner:
    """Return an owner whose door and rules are ``hands``."""
    return Owner(words, Powers(hands, hands, hands), book, lambda _: STATUS)


DONE = [
    (Command(CommandKind.UNLOCK), Hands(), ["override by the owner's word 7"], "open for one"),
    (
        Command(CommandKind.LOCK),
        Hands(),
        ["lock"],
        "locked: nobody comes in until `catflap door unlock-panic`; going out stays free",
    ),
    (
        Command(CommandKind.UNLOCK_PANIC),
        Hands(panic=True, mode=Mode.OUT_ONLY),
        ["lift"],
        "the panic lock is off; the mode is out_only",
    ),
    (Command(CommandKind.MODE, mode=Mode.IN_ONLY), Hands(), ["mode in_only"], "the mode is in_only"),
    (
        Command(CommandKind.MODE, mode=Mode.IN_ONLY),
        Hands(panic=True),
        ["mode in_only"],
        "the mode is in_only; the panic lock is still on",
    ),
    (MINUTE, Hands(), ["grant Mimi 60 7"], "Mimi may come in once within 60 s"),
    (
        Command(CommandKind.LET_IN, for_s=300.0),
        Hands(),
        ["grant None 300 7"],
        "the next cat of ours may come in once within 300 s",
    ),
    (
        Command(CommandKind.CLEAR),
        Hands(DoorState.FAULT),
        ["clear 7"],
        "the fault is cleared; it comes back if the bolt still does not follow",
    ),
    (Command(CommandKind.PROMOTE), Hands(), ["promote"], "promote as soon as nobody is there"),
    (Command(CommandKind.ROLLBACK), Hands(), ["rollback"], "rollback as soon as nobody is there"),
    (MOUSE, Hands(), ["labelled"], "visit 20261121T210000-0001 was cat_prey"),
]
REFUSED = [
    (
        Command(CommandKind.UNLOCK),
        Hands(panic=True),
        "the panic lock is on: `catflap door unlock-panic` lifts it first",
    ),
    (
        Command(CommandKind.UNLOCK),
        Hands(DoorState.FAULT),
        "the bolt is at fault: `catflap door clear` when it is mended",
    ),
    (Command(CommandKind.LET_IN, cat="Otto", for_s=60.0), Hands(), "'Otto' is no listed cat"),
    (Command(CommandKind.CLEAR), Hands(), "there is no fault to clear"),
    (
        Command(CommandKind.LABEL, visit="20201121T210000-0001", label=Label.EMPTY),
        Hands(),
        "the journal knows no visit 20201121T210000-0001",
    ),
    (Command(CommandKind.LABEL), Hands(), "a visit can only be labelled with a label"),
    (Command(CommandKind.MODE), Hands(panic=True), "mode cannot be obeyed as it was said"),
]


def test_every_kind_of_word_is_tried() -> None:
    """There is no command that the tables of this file leave out, but status, which does nothing."""
    assert set(CommandKind) - {CommandKind.STATUS} == {command.kind for command, *_ in DONE}


@pytest.mark.parametrize(("command", "hands", "done", "says"), DONE, ids=lambda value: str(getattr(value, "kind", "")))
def test_what_is_said_is_done_told_and_answered(command: Command, hands: Hands, done: list[str], says: str) -> None:
    """Each word does one thing, at the tick's own time; whoever said it hears so, and the journal too."""
    words, book = Words(), Book()
    hands = Hands(hands.state, hands.mode, hands.panic)
    words.say(command)
    owner_of(hands, words, book).hear(7)
    assert (done, [(0, Reply(ok=True, says=says))], [("owner", f"{command.kind}: done, {says}")]) == (
        hands.done,
        words.replies,
        book.events,
    )


@pytest.mark.parametrize(("command", "hands", "says"), REFUSED, ids=lambda value: str(getattr(value, "kind", "")))
def test_what_is_refused_changes_nothing_and_says_why(command: Command, hands: Hands, says: str) -> None:
    """A word that cannot be obeyed now is answered with why, and with what would help; the journal keeps it."""
    words, book = Words(), Book()
    words.say(command)
    owner_of(hands, words, book).hear(7)
    assert ([], [(0, Reply(ok=False, says=says))], [("owner", f"{command.kind}: refused, {says}")]) == (
        hands.done,
        words.replies,
        book.events,
    )


def test_status_is_answered_and_kept_nowhere() -> None:
    """Who only asks changes nothing and leaves no line in the journal."""
    words, book, hands = Words(), Book(), Hands()
    words.say(Command(CommandKind.STATUS))
    owner_of(hands, words, book).hear(7)
    assert ([(0, Reply(ok=True, says="", status=STATUS))], [], []) == (words.replies, book.events, hands.done)


def test_words_of_one_tick_are_obeyed_in_their_order() -> None:
    """What is said first is done first: an unlock after a panic lock is refused within the same tick."""
    words, hands = Words(), Hands()
    words.say(Command(CommandKind.UNLOCK), Command(CommandKind.LOCK), Command(CommandKind.UNLOCK))
    owner_of(hands, words, Book()).hear(7)
    assert [(0, True), (1, True), (2, False)] == [(client, reply.ok) for client, reply in words.replies]


def test_a_control_that_fails_is_named_once_each_time() -> None:
    """Nobody can be heard: one event however long it lasts, another when it happens again; what was said is kept."""
    words, book, hands = Words(lost=True), Book(), Hands()
    owner = owner_of(hands, words, book)
    words.say(Command(CommandKind.LOCK))
    for words.lost in (True, True, True, False, True, True):
        owner.hear(7)
    assert (["control_lost", "owner", "control_lost"], ["lock"]) == (book.kinds, hands.done)
    assert ("control_lost", "nobody can be heard") == book.events[0]


# --- whatever is said in whatever order -------------------------------------------------------------------------------

COMMANDS = st.one_of(
    st.sampled_from([Command(kind) for kind in CommandKind if kind not in (CommandKind.MODE, CommandKind.LET_IN)]),
    st.just(MOUSE),
    st.builds(Command, st.just(CommandKind.MODE), mode=st.sampled_from(Mode)),
    st.builds(
        Command,
        st.just(CommandKind.LET_IN),
        cat=st.sampled_from(["", "Mimi", "Tom", "Otto"]),
        for_s=st.sampled_from([10.0, 300.0]),
    ),
)
OPEN_STATES = (DoorState.ADMITTED, DoorState.PASSING, DoorState.OVERRIDE)
OPEN_S, LOCK = 6.0, LockConfig()


class Commanded(RuleBasedStateMachine):
    """Owner, housekeeper and entry together, through a day with its curfew, on a clock that anything happens to."""

    own_mode: Mode
    house: House
    entry: Entry
    words: Words
    owner: Owner

    @initialize(mode=st.sampled_from(Mode), hour=st.sampled_from(["12:00", "21:59", "23:30", "05:59"]))
    def begin(self, mode: Mode, hour: str) -> None:
        """Put them together as the loop does."""
        self.own_mode = mode
        self.house = house(f"2026-11-04T{hour}", rules=rules_of(mode, CURFEW))
        book = self.house.book
        coil = CoilGuard(LOCK, 0.0, self.house.now_ns)
        door = Door(DoorTimes(OPEN_S, 120.0))
        self.entry = Entry(
            EntryParts(door, coil, AbsentFlap(), AbsentIndicator(), book),
            EntrySettings(LOCK.kind, LOCK.lease_s, LOCK.bolt_delay_s),
        )
        self.words = Words()
        self.owner = Owner(self.words, Powers(self.entry, self.house.keeper, Hands()), book, lambda _: STATUS)
        self.given = 0
        self.pressed = False
        self.flap_open = False

    def tick(self, who: str | None = None, *, comes: bool = False, button: bool = False) -> None:
        """Turn once, in the loop's own order; ``who`` comes with an empty mouth."""
        self.house.clock.advance(0.1)
        now_ns, keeper, entry = self.house.now_ns, self.house.keeper, self.entry
        self.owner.hear(now_ns)
        reading = SensorReading(pir=None, flap_open=self.flap_open, button=button)
        entry.feel(reading, somebody=comes, seeing=True, now_ns=now_ns)
        entry.pass_time(now_ns)
        entry.heed(keeper.closure(now_ns), now_ns, said=keeper.take_said())
        if comes and keeper.refuses(who, now_ns) is None:
            entry.admit(now_ns)
            if entry.state in OPEN_STATES:
                keeper.let_in(who, now_ns)
        entry.drive(now_ns)
        self.pressed = (self.pressed or button) and entry.open

    @rule(command=COMMANDS)
    def say(self, command: Command) -> None:
        """The owner says something; a panic lock counts for what the button opened before it, too."""
        self.words.say(command)
        self.pressed = self.pressed and command.kind is not CommandKind.LOCK
        self.tick()
        done = self.words.replies[-1][1].ok
        self.given += done and command.kind is CommandKind.LET_IN

    @rule(who=st.sampled_from([None, "Mimi", "Tom"]))
    def come(self, who: str | None) -> None:
        """A cat comes, and was seen with an empty mouth."""
        shut = self.entry.state is not DoorState.FAULT and not self.entry.open
        used = self.house.book.kinds.count("grant_used")
        self.tick(who, comes=True)
        if shut and self.entry.open:
            mode_lets_in = self.house.keeper.mode in (Mode.IN_AND_OUT, Mode.IN_ONLY)
            assert mode_lets_in or self.house.book.kinds.count("grant_used") == used + 1

    @rule()
    def press(self) -> None:
        """Somebody presses the button."""
        self.tick(button=True)
        self.tick()

    @rule()
    def move_flap(self) -> None:
        """The flap opens, or falls back."""
        self.flap_open = not self.flap_open
        self.tick()

    @rule(for_s=st.sampled_from([1.0, 10.0, 120.0, 3600.0]))
    def wait(self, for_s: float) -> None:
        """Time passes."""
        self.house.clock.advance(for_s)
        self.tick()

    @rule(by_s=st.sampled_from([-86400.0 * 365 * 60, -3600.0, 30.0, 3600.0 * 9]))
    def step_the_clock(self, by_s: float) -> None:
        """Somebody sets the wall clock."""
        self.house.clock.step_wall(by_s)
        self.tick()

    @rule()
    def lose_or_find_the_network(self) -> None:
        """Nobody sets the wall clock any more, or somebody does again."""
        self.house.clock.set_synchronised(not self.house.clock.synchronised())
        self.tick()

    @invariant()
    def panic_lets_nobody_in(self) -> None:
        """While the panic lock is on, the door is open to nobody, but to whoever pressed the button since."""
        assert not (self.house.keeper.panic and self.entry.state in OPEN_STATES) or self.pressed

    @invariant()
    def a_grant_is_used_once(self) -> None:
        """No more cats come in on a grant than there were grants."""
        assert self.house.book.kinds.count("grant_used") <= self.given

    @invariant()
    def what_stands_is_what_is_kept(self) -> None:
        """A restart at any moment finds the panic lock and the mode as they are."""
        for kept in self.house.book.houses[-1:]:
            assert (self.house.keeper.mode, self.house.keeper.panic) == (kept.mode or self.own_mode, kept.panic)


TestCommanded = Commanded.TestCase
