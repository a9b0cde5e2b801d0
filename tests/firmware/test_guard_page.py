"""docs/guard-protocol.md agrees with the code to the byte."""

from __future__ import annotations

import re
import struct
from binascii import crc_hqx

from guards import LIMITS, NONCE, ROOT, HostGuard, host_library

from edge.adapters.guard import COMMAND, REPLY, GuardAnswer, GuardCommand, Order, Reply, pack_order, unpack_reply

PAGE = (ROOT / "docs" / "guard-protocol.md").read_text(encoding="utf-8")


def section(head: str) -> str:
    """Return a part of the page."""
    return PAGE.split(f"\n### {head}", 1)[1].split("\n##", 1)[0]


def fields(head: str) -> list[tuple[int, int, str]]:
    """Return (offset, bytes, field) of a frame's table."""
    rows = re.findall(r"^\| (\d+) \| (\d+) \| (\w+) \|", section(head), re.MULTILINE)
    return [(int(offset), int(size), name) for offset, size, name in rows]


def layout(frame: struct.Struct) -> list[tuple[int, int]]:
    """Return (offset, bytes) of every field of a frame."""
    sizes = [struct.calcsize(f"<{code}") for code in frame.format[1:]]
    return [(sum(sizes[:at]), size) for at, size in enumerate(sizes)]


def vectors() -> list[bytes]:
    """Return the frames that the page shows."""
    return [bytes.fromhex(text) for text in re.findall(r"\| `([0-9a-f ]+)` \|", section("Vectors"))]


def test_offsets_and_sizes_are_the_codes() -> None:
    """Every field of both frames lies where the page says, one behind the other, and is as long."""
    for head, frame in (("Command", COMMAND), ("Reply", REPLY)):
        assert [(offset, size) for offset, size, _ in fields(head)] == layout(frame)
        assert f"{head}: {frame.size} bytes" in PAGE


def test_names_are_the_codes() -> None:
    """The fields bear the names that the code has for them."""
    assert ["start", *Order.__slots__, "crc"] == [name for _, _, name in fields("Command")]
    limits = LIMITS[1].__slots__
    assert ["start", *[name for name in Reply.__slots__ if name != "limits"], *limits, "crc"] == [
        name for _, _, name in fields("Reply")
    ]


def test_the_vectors_are_what_python_packs() -> None:
    """The page's commands are the code's to the byte."""
    orders = (Order(1, 0, 0, 0, 0), Order(2, NONCE, 1, 32_000, 0), Order(3, NONCE, 2, 32_100, 500))
    assert [pack_order(order) for order in orders] == vectors()[:3]


def test_the_vectors_are_what_the_firmware_says() -> None:
    """The guard in C takes the page's commands as it says, and says the page's reply to its power-on."""
    guard = HostGuard()
    guard.live(1)
    said = [guard.take_reply()]
    guard.idle(32_150)
    for vector in vectors()[:3]:
        guard.receive(vector)
        said.append(guard.take_reply())
    told = [unpack_reply(reply) for reply in said[1:]]
    assert vectors()[3] == said[0]
    assert [(1, 0, 0), (2, 1, 0), (3, 2, 500)] == [
        (t.command, t.sequence, t.lease_left_ms) for t in told if t is not None
    ]


def test_the_crc_is_the_one_that_is_named() -> None:
    """Both sides have the check value of CRC-16/IBM-3740, which the page gives."""
    theirs = host_library(1).guard_crc(b"123456789", 9) & 0xFFFF
    assert (0x29B1, 0x29B1, True) == (theirs, crc_hqx(b"123456789", 0xFFFF), "0x29B1" in PAGE)


def test_commands_and_answers_are_the_codes() -> None:
    """Every command and answer is on the page under its number."""
    answers = re.findall(r"^\| (\d) \| ([a-z]\w+) \|", section("Reply"), re.MULTILINE)
    assert [(str(answer.value), answer.name.lower()) for answer in GuardAnswer] == answers
    commands = ", ".join(f"{c.value} {c.name.lower()}" for c in GuardCommand if c is not GuardCommand.BOOT)
    assert f"| command | {commands} |" in section("Command")


def test_the_bounds_are_the_profiles() -> None:
    """The page's table of bounds is what each built guard says of itself."""
    table = re.findall(r"^\| [^|]+ \| (\d+) (?:ms|‰) \| (\d+) (?:ms|‰)[^|]* \| `\w+` \|$", PAGE, re.MULTILINE)
    for profile, column in zip(LIMITS, zip(*table, strict=True), strict=True):
        told = HostGuard(profile).told()
        limits = told.limits
        assert (profile, limits) == (told.profile, LIMITS[profile])
        assert [limits.cap_ms, limits.rest_ms, limits.budget_ms, limits.duty_permille] == [int(text) for text in column]
