"""The inbox: what it takes, what it refuses, and what lies in it when the power goes."""

from __future__ import annotations

import errno
import io
import json
import os
import tarfile
from typing import TYPE_CHECKING

import pytest
from faults import CutFiles, ErrnoFiles, Fate, FaultFiles, PowerCut
from hypothesis import given
from hypothesis import strategies as st

from edge.answers import Answer, AnswerStatus
from edge.codec import to_json
from edge.commands import receive
from edge.commands.receive import Patient, serve
from edge.errors import InputError
from edge.files import DiskFiles
from edge.inbox import (
    ARRIVING,
    FORMAT,
    MAX_FILES,
    MAX_REQUEST_BYTES,
    MAX_STREAM_BYTES,
    Act,
    Inbox,
    Request,
    Said,
    read_request,
    request_line,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HASH = "ab" * 32


def _timestamp(version: int) -> bytes:
    return json.dumps({"signed": {"version": version}}).encode()


def _repository(version: int) -> dict[str, bytes]:
    """Return a repository whose every file says which it belongs to."""
    return {
        "metadata/timestamp.json": _timestamp(version),
        "metadata/1.root.json": b"root",
        f"metadata/{version}.snapshot.json": b"snapshot %d" % version,
        f"metadata/{version}.targets.json": b"targets %d" % version,
        f"targets/{version:064d}.m-1.0.0.tar": b"target %d" % version * 100,
    }


def _tar(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def _lies(directory: Path) -> dict[str, bytes]:
    """Return what a reader of the inbox finds, by name."""
    found = (path for part in ("metadata", "targets") for path in (directory / part).glob("*"))
    return {path.relative_to(directory).as_posix(): path.read_bytes() for path in found}


def _taken(directory: Path, data: bytes) -> int:
    return Inbox(directory, DiskFiles()).take(io.BytesIO(data), len(data))


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    """An inbox in which version 1 lies."""
    directory = tmp_path / "incoming"
    directory.mkdir()
    _taken(directory, _tar(_repository(1)))
    return directory


def test_a_push_takes_the_place_of_the_one_before(inbox: Path) -> None:
    """After a push exactly its files lie in the inbox, and the answer to the one before is gone."""
    (inbox / "answer.json").write_text("{}", encoding="utf-8")
    assert 2 == _taken(inbox, _tar(_repository(2)))
    assert _repository(2) == _lies(inbox)
    assert not {"answer.json", ARRIVING} & {path.name for path in inbox.iterdir()}


@pytest.mark.attack("names")
@pytest.mark.parametrize(
    "name",
    [
        "../evil", "/etc/passwd", "metadata/../../x", "metadata/x.json", "metadata/1.root.json/x", "targets/x.tar",
        f"targets/{HASH}.a/b.tar", "answer.json", ".lock", "metadata/0.root.json", "metadata/\x1b[2J.json",
        f"targets/{HASH}...tar", "metadata", f"targets/{'AB' * 32}.m.tar", "metadata/1.root.json\n",
    ],
)  # fmt: skip
def test_names_that_are_no_repositorys_are_refused(inbox: Path, name: str) -> None:
    """A name that climbs, is absolute, or is no file of a repository is refused, and the inbox is as it was."""
    with pytest.raises(InputError, match="the push: "):
        _taken(inbox, _tar({**_repository(2), name: b"x"}))
    assert (_repository(1), False) == (_lies(inbox), (inbox / ARRIVING).exists())


@pytest.mark.attack("device nodes")
@pytest.mark.parametrize(
    "kind",
    [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE,
     tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_SPARSE, tarfile.AREGTYPE],
)  # fmt: skip
def test_only_plain_files_are_taken(inbox: Path, kind: bytes) -> None:
    """Links, devices, pipes, directories and extended headers are refused by their type alone."""
    info = tarfile.TarInfo("metadata/2.root.json")
    info.type, info.linkname = kind, "/etc/passwd"
    data = info.tobuf(tarfile.USTAR_FORMAT) + _tar(_repository(2))
    with pytest.raises(InputError, match="is not a plain file"):
        _taken(inbox, data)
    assert _repository(1) == _lies(inbox)


@pytest.mark.attack("truncated")
def test_a_push_that_ends_early_changes_nothing(inbox: Path) -> None:
    """Truncated at every length class (no byte, within header, content, padding, end) the inbox is as it was."""
    data = _tar(_repository(2))
    for length in (0, 1, 511, 512, 513, 700, 1024, 2000, len(data) // 2, len(data) - 1):
        with pytest.raises(InputError, match="the push: ended after"):
            Inbox(inbox, DiskFiles()).take(io.BytesIO(data[:length]), len(data))
        assert _repository(1) == _lies(inbox)


@pytest.mark.attack("appended")
@pytest.mark.parametrize("tail", [b"x", b"x" * 512, b"\0" * 512 + b"x"])
def test_nothing_may_follow_the_end(inbox: Path, tail: bytes) -> None:
    """Data after a tar's end are refused, however long."""
    with pytest.raises(InputError, match="data after its end"):
        _taken(inbox, _tar(_repository(2)) + tail)


def test_a_file_twice_is_refused(inbox: Path) -> None:
    """Two files of one name are no repository."""
    data = _tar({"metadata/timestamp.json": _timestamp(2)})
    block = data[: 2 * 512]
    with pytest.raises(InputError, match="comes twice"):
        _taken(inbox, block + data)


def test_without_a_timestamp_nothing_is_taken(inbox: Path) -> None:
    """A push without the one file that says what is new is refused."""
    files = {name: data for name, data in _repository(2).items() if "timestamp" not in name}
    with pytest.raises(InputError, match="has no metadata/timestamp"):
        _taken(inbox, _tar(files))


@pytest.mark.attack("endless data")
def test_a_size_beyond_the_stream_is_refused(inbox: Path) -> None:
    """A header that promises more than the stream holds is refused before anything is read for it."""
    info = tarfile.TarInfo("metadata/2.root.json")
    info.size = 10**9
    with pytest.raises(InputError, match="goes beyond"):
        _taken(inbox, info.tobuf(tarfile.USTAR_FORMAT) + b"\0" * 1024)


@pytest.mark.attack("endless data")
def test_the_number_of_files_is_bounded(inbox: Path) -> None:
    """More files than a repository can need are refused."""
    many = {f"metadata/{number}.root.json": b"" for number in range(1, MAX_FILES + 2)}
    with pytest.raises(InputError, match=f"more than {MAX_FILES} files"):
        _taken(inbox, _tar({**many, **_repository(2)}))


def test_a_full_disk_takes_nothing(tmp_path: Path) -> None:
    """Where a push would not leave the journal its room, it is not begun."""
    files = FaultFiles(tmp_path, capacity_bytes=10**6)
    with pytest.raises(InputError, match="too little to take a push in"):
        Inbox(tmp_path, files).take(io.BytesIO(b""), 1000)


@given(data=st.binary(max_size=3000))
def test_no_bytes_do_any_harm(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    """Whatever bytes come, they are taken or refused in words, and nothing is written outside the inbox."""
    root = tmp_path_factory.mktemp("any")
    (root / "incoming").mkdir()
    with pytest.raises(InputError, match="the push: "):
        Inbox(root / "incoming", FaultFiles(root)).take(io.BytesIO(data), len(data))
    assert [root / "incoming"] == list(root.iterdir())


def _consistent(directory: Path) -> bool:
    """Return whether a reader finds the old repository whole or the new one: what the timestamp's version names."""
    lies = _lies(directory)
    version = json.loads(lies["metadata/timestamp.json"])["signed"]["version"]
    return _repository(version).items() <= lies.items() and version in (1, 2)


def _after(root: Path, files: FaultFiles) -> bool:
    """Push version 2 over version 1 on a disk that fails; return whether it went through."""
    directory = root / "incoming"
    directory.mkdir(parents=True)
    Inbox(directory, FaultFiles(root)).take(io.BytesIO(_tar(_repository(1))), len(_tar(_repository(1))))
    (directory / "answer.json").write_text("{}", encoding="utf-8")
    try:
        Inbox(directory, files).take(io.BytesIO(_tar(_repository(2))), len(_tar(_repository(2))))
    except (PowerCut, OSError):
        assert _consistent(directory)
        Inbox(directory, FaultFiles(root)).take(io.BytesIO(_tar(_repository(3))), len(_tar(_repository(3))))
        assert _repository(3) == _lies(directory)
        return False
    return True


def _until_through(tmp_path: Path, disk: Callable[[Path, int], FaultFiles]) -> int:
    """Fail at the first call, at the second, and so on until a push goes through; return how many there are."""
    call = 1
    while not _after(tmp_path / str(call), disk(tmp_path / str(call), call)):
        call += 1
    return call - 1


@pytest.mark.parametrize("fate", list(Fate))
def test_a_power_cut_at_any_call_leaves_old_or_new(tmp_path: Path, fate: Fate) -> None:
    """Whenever the power goes, the inbox holds the old repository whole or the new one, and takes the next push."""
    calls = _until_through(tmp_path, lambda root, call: CutFiles(root, call, fate))
    assert calls > 25
    print(f"power cut ({fate}) at each of {calls} calls: 0 broken")


def test_the_first_push_of_all_lasts_once_it_was_taken(tmp_path: Path) -> None:
    """When ``take`` has returned, no power cut takes the push away, nor the directories that were made for it."""
    data = _tar(_repository(1))

    def take(files: FaultFiles) -> None:
        inbox = Inbox(files.root / "state" / "incoming", files)
        with inbox.held():
            inbox.take(io.BytesIO(data), len(data))

    roots = [tmp_path / "whole", tmp_path / "cut"]
    for root in roots:
        (root / "state").mkdir(parents=True)
    whole = FaultFiles(roots[0])
    take(whole)
    cut = CutFiles(roots[1], whole.calls + 1, Fate.LOST)
    take(cut)
    with pytest.raises(PowerCut):
        cut.names(roots[1])
    assert _repository(1) == _lies(roots[1] / "state" / "incoming")


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
def test_a_disk_error_at_any_call_leaves_old_or_new(tmp_path: Path, number: int) -> None:
    """Whichever call of the disk fails, the inbox holds the old repository whole or the new one."""
    calls = _until_through(tmp_path, lambda root, call: ErrnoFiles(root, call, number, lasting=False, reads_too=True))
    assert calls > 25
    print(f"{errno.errorcode[number]} at each of {calls} calls: 0 broken")


def test_a_request_is_bounded() -> None:
    """A first line that is endless, no request, or asks for too much is refused in words."""
    wrong = [Request(1, Act.PUSH, -1, 0.0), Request(1, Act.PUSH, MAX_STREAM_BYTES + 1, 0.0)]
    wrong += [Request(FORMAT + 1, Act.PUSH, 0, 0.0), Request(1, Act.PUSH, 0, 10.0**6)]
    lines = [b"x" * (MAX_REQUEST_BYTES + 10), b"", b"{}\n", b'{"format": 1, "act": "rm", "bytes": 0, "wait_s": 0}\n']
    lines += [request_line(request) for request in wrong]
    for line in lines:
        with pytest.raises(InputError, match="the request"):
            read_request(io.BytesIO(line))


@pytest.mark.attack("slow data")
def test_slow_data_end() -> None:
    """A sender that holds the line open and says nothing is hung up on when its time is over."""
    ours, theirs = os.pipe()
    with pytest.raises(InputError, match="was not all here within 0 s"):
        Patient(ours, 0.0).read(1)
    os.close(ours)
    os.close(theirs)


@pytest.mark.attack("stolen push account")
def test_a_stolen_push_account_writes_the_inbox_only(tmp_path: Path) -> None:
    """Whatever a thief of the push key says, nothing but the inbox changes, and an unsigned push is just a file."""
    state = tmp_path / "state"
    state.mkdir()
    data = _tar(_repository(2))
    reply = serve(io.BytesIO(request_line(Request(FORMAT, Act.PUSH, len(data), 0.0)) + data), state)
    assert (Said.SILENT, ["incoming"]) == (reply.said, [path.name for path in state.iterdir()])
    evil = _tar({"../models/slots.json": b"{}"})
    reply = serve(io.BytesIO(request_line(Request(FORMAT, Act.PUSH, len(evil), 0.0)) + evil), state)
    assert (Said.NOT_TAKEN, ["incoming"]) == (reply.said, [path.name for path in state.iterdir()])
    assert _repository(2) == _lies(state / "incoming")


def test_an_answer_about_another_push_is_not_taken(inbox: Path) -> None:
    """An update service that was at work on the push before answers about that; the new push waits for its own."""
    box = Inbox(inbox, DiskFiles())
    (inbox / "answer.json").write_bytes(to_json(Answer(AnswerStatus.REFUSED, "old", timestamp=1)))
    assert None is receive._awaited(box, 2, 0.0)
    (inbox / "answer.json").write_bytes(to_json(Answer(AnswerStatus.ON_TRIAL, "new", timestamp=2)))
    answer = receive._awaited(box, 2, 0.0)
    assert answer is not None
    assert "new" == answer.why


@pytest.mark.attack("two pushes at once")
def test_one_process_at_a_time_holds_the_inbox(tmp_path: Path) -> None:
    """While the inbox is held, a second push is told that it is busy, and nothing of it is read."""
    with Inbox(tmp_path / "incoming", DiskFiles()).held() as ours:
        stream = io.BytesIO(request_line(Request(FORMAT, Act.PUSH, 5, 0.0)) + b"hello")
        assert (True, Said.BUSY, b"hello") == (ours, serve(stream, tmp_path).said, stream.read())
