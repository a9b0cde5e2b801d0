"""The soak: nights are drawn and played as they are said to be, and growth is found where there is some."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soak
import soak_life
from soak_figures import BOUNDS, ENOUGH_LIVES, broken, over_nights, rows, within_lives
from soak_life import NIGHTS, Sample
from soak_nights import CONFIG, LIFE_S, LONG_EVERY, LONG_S, SHORT_S, life, night, scene
from soak_page import JournalSize, LifeEnd, journal_size, page

from edge.adapters.sim.scene import load_scene
from edge.journal import Journal
from edge.simulation import scene_config

if TYPE_CHECKING:
    from collections.abc import Sequence

SEED = 6
QUIET = Sample(
    night=0,
    life=1,
    place=0,
    cut=False,
    ticks=6000,
    visits=5,
    simulated_s=SHORT_S,
    cpu_s=3.0,
    log_bytes=4000,
    rss_bytes=100_000_000,
    open_files=14,
    threads=2,
    journal_bytes=1_000_000,
    spool_bytes=4_000_000,
    models_bytes=2_000_000,
    other_bytes=1000,
    names=90,
)


def nights(lives: int, length: int, growth: int = 0) -> list[Sample]:
    """Return nights of several lives, each of which takes ``growth`` bytes a night more, and a little at random."""
    rng = np.random.default_rng(1)
    return [
        replace(
            QUIET,
            night=number * length + place,
            life=number,
            place=place,
            rss_bytes=QUIET.rss_bytes + number * 1_000_000 + growth * place + int(rng.integers(-5000, 5000)),
        )
        for number in range(lives)
        for place in range(length)
    ]


def test_a_night_is_always_the_same_for_a_seed_and_a_number() -> None:
    """Whichever life it falls into and whenever it is played, a night has the same visitors and failures."""
    early, late = (life(SEED, 3, first, 60).nights for first in (0, 2))
    assert [actor["arrives_s"] - early[2].begins_s for actor in early[2].actors] == pytest.approx(
        [actor["arrives_s"] for actor in late[0].actors]
    )
    assert night(SEED, 7, 0.0) == night(SEED, 7, 0.0) != night(SEED + 1, 7, 0.0)


def test_every_life_is_a_scene_that_can_be_played(tmp_path: Path) -> None:
    """What is drawn is a scene and a configuration without a fault, no longer than a scene may be."""
    first = 0
    for number in range(1, 13):
        drawn = life(SEED, number, first, 1000)
        path = tmp_path / "scene.toml"
        path.write_text(scene(SEED, drawn), encoding="utf-8")
        told = load_scene(path)
        scene_config(told, tmp_path)
        assert drawn.ends_s == told.duration_s <= LIFE_S
        assert drawn.cut_s is None or drawn.nights[-1].begins_s <= drawn.cut_s < drawn.ends_s
        first += len(drawn.nights)


def test_one_night_in_so_many_is_a_whole_one() -> None:
    """Empty hours are not left out of all nights."""
    lasts = [night(SEED, number, 0.0).ends_s for number in range(2 * LONG_EVERY)]
    assert (2, 2 * LONG_EVERY - 2) == (lasts.count(LONG_S), lasts.count(SHORT_S))


def test_a_life_leaves_a_line_a_night_and_ends_as_it_was_drawn(tmp_path: Path) -> None:
    """A life that is cut dies by SIGKILL in its last night; its disk holds what the daemon of the flap writes."""
    number = next(n for n in range(1, 99) if (one := life(SEED, n, 0, 1)).cut_s is not None and one.cut_s < 200)
    ran = subprocess.run(
        [
            sys.executable,
            str(Path(soak_life.__file__)),
            str(tmp_path),
            f"--seed={SEED}",
            f"--life={number}",
            "--first=0",
            "--most=1",
        ],
        check=False,
        capture_output=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    (sample,) = soak.samples(tmp_path)
    assert -signal.SIGKILL == ran.returncode
    assert (0, number, True) == (sample.night, sample.life, sample.cut)
    assert sample.ticks == pytest.approx(10 * (life(SEED, number, 0, 1).cut_s or 0), abs=60)
    assert all(getattr(sample, name) <= bound for name, bound in BOUNDS.items())
    assert sample.threads > 0 < sample.open_files


def test_a_line_that_a_kill_left_half_written_is_no_night(tmp_path: Path) -> None:
    """Such a night is played again."""
    whole = json.dumps(asdict(QUIET))
    (tmp_path / NIGHTS).write_text(f"{whole}\n{whole[:50]}", encoding="utf-8")
    assert [QUIET] == soak.samples(tmp_path)


def test_a_soak_that_is_told_to_stop_goes_on_with_the_next_life(tmp_path: Path) -> None:
    """Its life stops in order, a night that was not finished is no night, and the next life has a number of its own."""
    soak.play(tmp_path, SEED, 1000, until_s=0.0)
    assert [] == soak.ends(tmp_path)
    (tmp_path / NIGHTS).write_text(json.dumps(asdict(replace(QUIET, life=4))) + "\n", encoding="utf-8")
    soak.play(tmp_path, SEED, 1000, until_s=time.monotonic() + 0.01)
    assert [(5, "stopped")] == [(one.life, one.end) for one in soak.ends(tmp_path)]
    assert [QUIET.night] == [one.night for one in soak.samples(tmp_path)]


def test_bytes_on_the_disk_are_told_apart(tmp_path: Path) -> None:
    """Journal with its log, spool, slots, and what belongs to none of them."""
    for name, size in (("journal.sqlite", 5), ("journal.sqlite-wal", 3), ("spool/v/visit.json", 7), ("trials/a", 2)):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(bytes(size))
    told = soak_life.disk(tmp_path)
    assert {"journal_bytes": 8, "spool_bytes": 7, "models_bytes": 0, "other_bytes": 2, "names": 7} == told


@pytest.mark.parametrize("growth", [0, 20_000])
def test_growth_within_lives_is_found(growth: int) -> None:
    """The interval holds the true growth a night; that one life is larger than the one before it is none."""
    slope = within_lives(nights(8, 40, growth), "rss_bytes", 20)
    assert slope is not None
    assert slope.low <= growth <= slope.high
    assert (8 * 20, 8) == (slope.nights, slope.drawn_from)
    assert abs(slope.high - slope.low) < 1000


def test_nights_of_different_lives_are_never_compared() -> None:
    """Where every life is one night long there is nothing to say of growth."""
    assert within_lives(nights(8, 1), "rss_bytes", 0) is None


@pytest.mark.parametrize("growth", [0.0, 3.0])
def test_growth_over_nights_is_found(growth: float) -> None:
    """The interval holds the true growth of a noisy series."""
    noise = np.random.default_rng(2).normal(0, 20, 120)
    slope = over_nights([growth * i + float(noise[i]) for i in range(120)])
    assert slope is not None
    assert slope.low <= growth <= slope.high < growth + 1


def judged(told: Sequence[Sample]) -> tuple[str, ...]:
    """Return what is wrong with these nights."""
    return broken(rows(told))


def test_a_bound_that_is_passed_is_named() -> None:
    """One night over a bound is enough."""
    told = nights(6, 22)
    assert () == judged(told)
    assert ("open_files: 99 is over 32",) == judged([*told, replace(QUIET, open_files=99)])


def test_memory_that_grows_for_ever_is_named() -> None:
    """What would pass its bound within a year of one life is a leak, however small the soak has it still."""
    assert ("rss_bytes",) == tuple(line.split(":")[0] for line in judged(nights(ENOUGH_LIVES, 23, 500_000)))
    assert () == judged(nights(ENOUGH_LIVES - 1, 23, 500_000))


def test_the_page_tells_all_of_it(tmp_path: Path) -> None:
    """Nights, lives and how they ended, a row for each quantity, and what a visit costs in the journal."""
    journal = Journal.open(tmp_path / "journal.sqlite", CONFIG["state"]["journal_rows"])
    journal.close()
    text = page(
        nights(6, 10), [LifeEnd(1, "cut", 1.0), LifeEnd(2, "finished", 2.0)], journal_size(tmp_path / "journal.sqlite")
    )
    assert "**60 nights**, 0 of them whole ones, in 2 lives of the process (1 killed" in text
    assert all(f"| {name} |" in text for name in ("resident memory", "open files", "threads", "journal", "spool"))
    assert 500.0 == JournalSize(visits=4, used_bytes=2000).a_visit_bytes
    assert "No bound was passed." in text
