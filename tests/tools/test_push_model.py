"""``push_model.py`` from its command line to the flaps' inboxes, over a stand-in for ssh."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import push_model
import pytest
from bundles_renamed import with_version
from flaps_made import flaps_behind_ssh
from push_rollout import shares_of, stages_of

from edge.answers import AnswerStatus
from edge.bundle import factory_directory
from edge.errors import InputError
from edge.inbox import ARRIVING, METADATA

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flaps_made import Flaps

HOSTS = ("attic", "barn", "cellar", "den")
FACTORY = str(factory_directory())
ROOT = Path(__file__).parent.parent.parent


class _Owner:
    """The command line of one owner with four flaps."""

    def __init__(self, home: Path, flaps: Flaps, capsys: pytest.CaptureFixture[str]) -> None:
        self.home = home
        self.flaps = flaps
        self._capsys = capsys
        home.mkdir()
        (home / "words").write_text("six plain words in a row", encoding="utf-8")

    def say(self, *words: str) -> tuple[int, str, str]:
        """Return status, output and errors of one call."""
        options = ("--home", str(self.home), "--passphrase-file", str(self.home / "words"))
        status = push_model.main([*words, *options])
        return (status, *self._capsys.readouterr())

    def adopted(self, *hosts: str) -> _Owner:
        """Adopt some flaps."""
        assert 0 == self.say("--adopt", *hosts)[0]
        return self


@pytest.fixture
def flaps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flaps]:
    """Four flaps that ssh reaches."""
    with flaps_behind_ssh(tmp_path / "flaps", HOSTS) as (made, programs):
        monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
        yield made


@pytest.fixture
def owner(tmp_path: Path, flaps: Flaps, capsys: pytest.CaptureFixture[str]) -> _Owner:
    """An owner who has nothing yet."""
    return _Owner(tmp_path / "owner", flaps, capsys)


@pytest.fixture
def higher(tmp_path: Path) -> str:
    """A bundle above the factory's."""
    return str(with_version(factory_directory(), tmp_path / "higher", "9.0.0"))


def test_first_use_says_where_the_keys_are(owner: _Owner) -> None:
    """The first push makes keys and says where each lies, what it is for and how to back it up."""
    status, output, _ = owner.say(FACTORY, "--via", f"file:{owner.home}/store")
    told = " ".join(output.split())
    assert 0 == status
    assert all(str(path) in told for path in (owner.home / "offline").iterdir())
    assert "copy" in told
    assert "passphrase" in told


def test_adoption_shows_one_fingerprint_on_both_sides(owner: _Owner) -> None:
    """Both sides compute the root's fingerprint by themselves, and both are shown."""
    status, output, _ = owner.say("--adopt", "pi@attic")
    shown = [line.split(":")[1].strip() for line in output.splitlines() if line.startswith("  root ") and ":" in line]
    assert (0, 2, 1, 39) == (status, len(shown), len(set(shown)), len(shown[0]))


def test_adoption_lets_one_key_run_one_command(owner: _Owner) -> None:
    """The push key enters with a forced command and every other right taken away."""
    owner.adopted("attic")
    line = (owner.flaps.root / "attic" / "push_keys").read_text(encoding="utf-8")
    assert line.startswith('command="')
    assert 'receive",restrict ssh-ed25519 ' in line


def test_a_flap_that_is_bound_is_not_bound_anew(owner: _Owner, tmp_path: Path) -> None:
    """A second owner's root is refused, unless the owner of the flap says --again."""
    owner.adopted("attic")
    other = _Owner(tmp_path / "other", owner.flaps, owner._capsys)
    status, _, errors = other.say("--adopt", "attic")
    assert (1, True) == (status, "is bound to root" in errors)
    assert 0 == other.say("--adopt", "attic", "--again")[0]
    assert "not yours" in owner.say(FACTORY, "attic")[1]


def test_a_push_comes_on_trial(owner: _Owner, higher: str) -> None:
    """A push goes to every flap named, and each answer is a row of one table."""
    status, output, errors = owner.adopted(*HOSTS).say(higher, *HOSTS)
    assert (0, 1) == (status, len(errors.splitlines()))
    assert [f"{host}  on trial" for host in HOSTS] == [" ".join(row.split()[:3]).replace(" ", "  ", 1)
                                                       for row in output.splitlines()[-5:-1]]  # fmt: skip
    assert "4 flaps: 4 on trial" == output.splitlines()[-1]


def test_the_same_push_again_does_nothing_and_says_so(owner: _Owner, higher: str) -> None:
    """A flap that has the bundle on trial is sent nothing, and the row says why."""
    owner.adopted("attic").say(higher, "attic")
    status, output, _ = owner.say(higher, "attic")
    assert (0, 1) == (status, owner.flaps.by_host["attic"].pushes)
    assert "was signed already" in output
    assert "nothing to do: on trial" in output


def test_a_promoted_model_is_not_pushed_again(owner: _Owner, higher: str) -> None:
    """What decides already is not sent again."""
    owner.flaps.by_host["attic"].then = "promote"
    owner.adopted("attic").say(higher, "attic")
    status, output, _ = owner.say(higher, "attic")
    assert (0, True) == (status, "promoted" in output and "nothing to do" in output)


def test_one_unreachable_flap_fails_alone(owner: _Owner, higher: str) -> None:
    """A host that ssh cannot reach has its own row with ssh's own words; the others have the model."""
    status, output, _ = owner.adopted("attic", "barn").say(higher, "attic", "nowhere", "barn")
    assert (1, "3 flaps: 2 on trial, 1 failed") == (status, output.splitlines()[-1])
    assert "nowhere" in output
    assert "No route to host" in output


def test_a_flap_that_was_not_adopted_takes_nothing(owner: _Owner, higher: str) -> None:
    """A flap bound to nobody is sent nothing; the row names the command that adopts it."""
    status, output, _ = owner.say(higher, "attic")
    assert (1, True, 0) == (status, "--adopt attic" in output, owner.flaps.by_host["attic"].pushes)


def test_a_refusal_is_told_in_the_flaps_words(owner: _Owner, higher: str) -> None:
    """What the update service says against a model is the row's reason, and a finding."""
    owner.flaps.by_host["attic"].status = AnswerStatus.REFUSED
    status, output, _ = owner.adopted("attic").say(higher, "attic")
    assert (1, True) == (status, "refused" in output and "said the stand-in" in output)


def test_a_silent_flap_is_said_to_be_silent(owner: _Owner, higher: str) -> None:
    """Where no answer comes in time, the push lies in the inbox and the row says so."""
    owner.flaps.by_host["attic"].status = None
    status, output, _ = owner.adopted("attic").say(higher, "attic", "--wait", "0")
    assert (1, True) == (status, "no answer yet" in output)


def test_a_roll_out_stops_where_a_stage_rolls_back(owner: _Owner, higher: str) -> None:
    """A flap of the first stage that throws the model out keeps it from all others, now and when said again."""
    owner.flaps.by_host["attic"].then = "roll back"
    owner.adopted(*HOSTS)
    for _ in range(2):
        status, output, errors = owner.say(higher, *HOSTS, "--stage", "25%,100%", "--settle", "0")
        assert (1, [0, 0, 0]) == (status, [owner.flaps.by_host[host].pushes for host in HOSTS[1:]])
        assert "not pushed" in output
    assert "stage 1 of 2: attic rolled back" in errors
    assert "worse on 12 of 40 visits" in errors


def test_a_roll_out_goes_on_where_it_stopped(owner: _Owner, higher: str) -> None:
    """A stage on trial holds the next one back; once it is promoted, the same command goes on."""
    owner.adopted(*HOSTS)
    status, _, errors = owner.say(higher, *HOSTS, "--stage", "50%,100%")
    assert (1, True) == (status, "stage 1 of 2: 2 of 2 not decided yet" in errors)
    for host in HOSTS[:2]:
        owner.flaps.by_host[host].slots.promote("better")
    status, output, _ = owner.say(higher, *HOSTS, "--stage", "50%,100%")
    assert (0, "4 flaps: 2 promoted, 2 on trial") == (status, output.splitlines()[-1])


def test_a_stage_of_nobody_is_no_stage(owner: _Owner, higher: str) -> None:
    """Where no flap of a stage can be reached, nothing speaks for the model, and the roll-out stops."""
    owner.adopted("barn")
    status, _, errors = owner.say(higher, "nowhere", "barn", "--stage", "50%,100%")
    assert (1, True) == (status, "none of its flaps could be reached" in errors)
    assert 0 == owner.flaps.by_host["barn"].pushes


def test_what_was_thrown_out_comes_again_by_the_owners_word_only(owner: _Owner, higher: str) -> None:
    """A bundle that a flap threw out is sent again with --again, not without."""
    flap = owner.flaps.by_host["attic"]
    flap.then = "roll back"
    owner.adopted("attic").say(higher, "attic")
    status, output, _ = owner.say(higher, "attic")
    assert (1, 1, True) == (status, flap.pushes, "rolled back" in output)
    flap.status = AnswerStatus.ACCEPTED
    assert (0, 2) == (owner.say(higher, "attic", "--again")[0], flap.pushes)


def test_a_lower_version_needs_a_step_back(owner: _Owner, higher: str) -> None:
    """A version that is not above the one before is refused here already, until the owner signs the step back."""
    owner.adopted("attic").say(higher, "attic")
    status, _, errors = owner.say(FACTORY, "attic")
    assert (2, True) == (status, "--step-back" in errors)
    owner.flaps.by_host["attic"].status = AnswerStatus.ACCEPTED
    assert 0 == owner.say(FACTORY, "attic", "--step-back")[0]


@pytest.mark.attack("two pushes at once")
def test_two_pushes_to_one_flap_at_once(owner: _Owner, higher: str) -> None:
    """While one push is received the other is told that it is busy, and the inbox holds one of them whole."""
    owner.adopted("attic")
    flap = owner.flaps.by_host["attic"]
    flap.status = None
    command = [sys.executable, str(ROOT / "tools" / "push_model.py"), higher, "attic", "--home", str(owner.home),
               "--passphrase-file", str(owner.home / "words"), "--wait", "20"]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=dict(os.environ), text=True) as first:
        taken = threading.Event()
        while not (flap.state / "incoming" / METADATA / "timestamp.json").exists():
            taken.wait(0.01)
        status, output, _ = owner.say(higher, "attic", "--wait", "0")
        assert (1, True) == (status, "busy" in output)
        flap.status = AnswerStatus.ON_TRIAL
        assert "on trial" in first.communicate()[0]
    assert not (flap.state / "incoming" / ARRIVING).exists()
    assert 1 == flap.pushes


def test_two_signings_at_once_are_done_one_after_the_other(owner: _Owner, higher: str) -> None:
    """Two processes that sign in one home leave a repository that a third finds whole."""
    store = f"file:{owner.home}/store"
    owner.say(FACTORY, "--via", store)
    command = [sys.executable, str(ROOT / "tools" / "push_model.py"), higher, "--via", store, "--home",
               str(owner.home), "--passphrase-file", str(owner.home / "words")]  # fmt: skip
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)]
    outputs = [process.communicate()[0].decode() for process in running]
    assert [1, 1] == [sum(word in output for output in outputs) for word in (": signed", "was signed already")]
    assert "nothing to do: it is all there" in owner.say(higher, "--via", store)[1]


def test_status_shows_keys_dates_and_flaps(owner: _Owner, higher: str) -> None:
    """--status lists every key and date and how every flap in the book stands to the wanted model."""
    owner.adopted("attic", "barn").say(higher, "attic")
    status, output, _ = owner.say("--status")
    assert 0 == status
    assert [3, 4] == [sum(line.startswith(word) for line in output.splitlines()) for word in ("key", "signed")]
    assert "2 flaps: 1 on trial, 1 not pushed" == output.splitlines()[-1]


def test_roll_back_goes_through_the_owners_account(owner: _Owner, higher: str) -> None:
    """A rollback is said in the owner's own account, never through the push account, and the flap's words are shown."""
    owner.flaps.by_host["attic"].then = "promote"
    owner.adopted("pi@attic").say(higher, "attic")
    status, output, _ = owner.say("--rollback", "pi@attic")
    assert (0, True) == (status, "rolled_back" in output)
    assert ("pi@attic", "sudo catflap model rollback") == owner.flaps.asked[-1]


@pytest.mark.parametrize("role", ["root", "targets", "timestamp"])
def test_rotation_is_a_command(owner: _Owner, role: str) -> None:
    """--rotate names the new key and where it lies, and a push after it still arrives."""
    owner.adopted("attic")
    status, output, _ = owner.say("--rotate", role)
    assert (0, True) == (status, output.startswith(f"{role}: the key is "))
    owner.flaps.by_host["attic"].status = AnswerStatus.ACCEPTED
    assert 0 == owner.say(FACTORY, "attic")[0]


@pytest.mark.parametrize(
    ("name", "new"),
    [("root", "root, timestamp"), ("targets", "targets, timestamp"), ("timestamp", "timestamp")],
)
def test_revocation_is_a_command(owner: _Owner, name: str, new: str) -> None:
    """--revoke takes the first digits of a key's id, says which roles have new keys, and to back those up."""
    owner.say(FACTORY, "--via", f"file:{owner.home}/store")
    words = (line.split() for line in owner.say("--status")[1].splitlines())
    key_id = next(word[2] for word in words if word[:2] == ["key", name])
    status, output, _ = owner.say("--revoke", key_id[:8], "--via", f"file:{owner.home}/store")
    assert (0, True) == (status, f"is trusted no more; new keys for {new}; back them up" in output)
    assert "files written" in output


def test_signing_the_dates_anew_is_a_command(owner: _Owner) -> None:
    """--refresh asks for no passphrase, serves what there is, and says where there is nothing to do."""
    owner.say(FACTORY, "--via", f"file:{owner.home}/store")
    (owner.home / "words").unlink()
    store = owner.home / "other"
    status, output, _ = owner.say("--refresh", "--via", f"file:{store}")
    assert (0, "nothing to do: the dates are fresh") == (status, output.splitlines()[0])
    assert (store / METADATA / "timestamp.json").exists()


def test_the_keys_may_be_on_a_stick(owner: _Owner, higher: str) -> None:
    """With the offline keys in a drawer nothing is signed, and the line names the option that says where they are."""
    owner.say(FACTORY, "--via", f"file:{owner.home}/store")
    (owner.home / "offline").rename(owner.home / "stick")
    status, _, errors = owner.say(higher, "--via", f"file:{owner.home}/store")
    assert (2, True) == (status, "is not here; where is the offline directory? --offline DIR" in errors)
    assert 0 == owner.say(higher, "--via", f"file:{owner.home}/store", "--offline", str(owner.home / "stick"))[0]
    assert 0 == owner.say("--rotate", "targets", "--offline", str(owner.home / "stick"))[0]


def test_without_a_terminal_a_stage_is_one_line(owner: _Owner, higher: str) -> None:
    """In a log, what was sent and how many are done is one line for each stage that began."""
    _, _, errors = owner.adopted("attic", "barn").say(higher, "attic", "barn", "--stage", "50%,100%")
    lines = errors.splitlines()
    assert [True, True] == [lines[0].startswith("stage 1 of 2: "), "1 of 1 flaps done after" in lines[0]]
    assert 2 == len(lines), "the second is why it stopped"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "name a bundle and the flaps"),
        (("--adopt",), "name the flaps"),
        ((FACTORY, "attic", "--stage", "50%,20%"), "rising percentages"),
        ((FACTORY, "--via", "ftp://x/y"), "is not file:/DIR, https://HOST/DIR or s3://BUCKET/PREFIX"),
        (("/nowhere", "attic"), "/nowhere/manifest.json: must be a plain file"),
        (("--status",), "there are no keys and no repository yet"),
        (("--rotate", "root"), "there are no keys and no repository yet"),
    ],
)
def test_what_cannot_be_done_is_one_line(owner: _Owner, words: tuple[str, ...], says: str) -> None:
    """A wrong call is one line on standard error and status 2."""
    status, _, errors = owner.say(*words)
    assert (2, 1, True) == (status, errors.count("\n"), says in errors)


@pytest.mark.parametrize(
    ("count", "text", "sizes"),
    [(20, "5%,50%,100%", [1, 10, 20]), (3, "5%,100%", [1, 3]), (1, "5%,50%,100%", [1, 1, 1]), (7, "100%", [7])],
)
def test_a_stage_is_a_share_rounded_up(count: int, text: str, sizes: list[int]) -> None:
    """Each stage has at least one flap, and the last has them all."""
    hosts = [f"flap{number}" for number in range(count)]
    assert sizes == [len(stage) for stage in stages_of(hosts, shares_of(text))]


@pytest.mark.parametrize("text", ["", "5", "100%,5%", "0%,100%", "5%,50%", "x%,100%", "50%,50%,100%", "110%"])
def test_what_is_no_stages_is_refused(text: str) -> None:
    """Stages are rising percentages that end with all."""
    with pytest.raises(InputError, match="rising percentages that end with 100%"):
        shares_of(text)
