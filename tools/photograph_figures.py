"""What the flap makes of real photographs it has not learnt from: the figures in the README.

    make figures        or        python tools/photograph_figures.py --data ../shared/data --write README.md

Runs ``catflap score`` over each picture and ``catflap replay`` over each visit of the later months of ``tunnel``, the
one real cat flap among the photographs, and counts. Without ``--write`` it only prints.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from string import Template
from typing import Any

from dataset import COARSE, coarse
from pages import replaced
from splits import TUNNEL_TEST_FROM, parts
from visit_verdicts import Row, Truth, deciding, imagefolder_of, truth_of

from edge.bundle import factory_directory, load
from edge.evaluation import wilson
from edge.messages import Label, VerdictKind

ROOT = Path(__file__).resolve().parent.parent

Line = dict[str, Any]  # a line of JSON as the command printed it


@dataclass(frozen=True, slots=True)
class Judged:
    """What the two commands said: one line a picture, one line a visit."""

    pictures: list[tuple[Row, Line]]
    visits: list[tuple[list[Row], Line]]


def main(arguments: list[str]) -> int:
    """Run; 0 done, 2 without photographs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="an imagefolder with metadata.jsonl")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the figures between the marks in this file")
    options = parser.parse_args(arguments)
    if not (options.data / "metadata.jsonl").is_file():
        print(f"photograph_figures: {options.data}: holds no metadata.jsonl", file=sys.stderr)
        return 2
    text = report(judged(options.data, later_visits(options.data)))
    print(text)
    if options.write is not None:
        page = options.write.read_text(encoding="utf-8")
        options.write.write_text(replaced(page, "figures", text), encoding="utf-8")
    return 0


def later_visits(data: Path) -> dict[str, list[Row]]:
    """Return the visits of ``tunnel`` that no student learnt from, by name."""
    rows: list[Row] = [json.loads(line) for line in (data / "metadata.jsonl").read_text(encoding="utf-8").splitlines()]
    split = parts((row["home"], row["visit"], row.get("taken", "")) for row in rows)
    visits: dict[str, list[Row]] = {}
    for row in rows:
        if row["home"] == "tunnel" and split["tunnel", row["visit"]] == "test":
            visits.setdefault(f"tunnel/{row['visit']}", []).append(row)
    return visits


def judged(data: Path, visits: dict[str, list[Row]]) -> Judged:
    """Run both commands over these visits."""
    rows = [row for mine in visits.values() for row in mine]
    scored = catflap("score", *(str(data / row["file_name"]) for row in rows))
    with imagefolder_of(data, rows) as later:
        replayed = deciding(catflap("replay", str(later)), lambda line: line)
    return Judged(list(zip(rows, scored, strict=True)), [(visits[source], line) for source, line in replayed.items()])


def catflap(*arguments: str) -> list[Line]:
    """Run the command of this checkout and return its JSON lines; raises CalledProcessError when it finds fault."""
    command = [sys.executable, "-m", "edge.cli", *arguments, "--json"]
    said = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    return [json.loads(line) for line in said.stdout.splitlines()]


def named(line: Line) -> str:
    """Return the coarse class that a scored picture was given."""
    shares = dict.fromkeys(COARSE, 0.0)
    for label, share in line["scores"].items():
        shares[coarse(Label(label))] += share
    return max(shares, key=lambda name: shares[name])


_REPORT = Template("""\
On the photographs of one real cat flap from $since on, months that the model has not learnt from
(`make figures`, $date, $model; 95 % Wilson intervals):

- `catflap score` names the right one of five coarse classes on $right of $pictures pictures. Always saying the most
  common class would be right on $majority.
- `catflap replay` over their $visits visits, no chip reader, every cat counting as ours:

| what it was | $kinds |
$rule
$table

$unseen

That flap took a few pictures a visit, one or two a second; this one takes ten a second, so it is `unsure` here more
often than it would be. Pictures of prey: too few to call a rate.""")


def report(said: Judged) -> str:
    """Return the figures as Markdown."""
    truths = [coarse(Label(row["label"])) for row, _ in said.pictures]
    hits = sum(named(line) == truth for truth, (_, line) in zip(truths, said.pictures, strict=True))
    verdicts = Counter((truth_of(row["label"] for row in rows), line["verdict"]) for rows, line in said.visits)
    table = [[truth, *(str(verdicts[truth, kind]) for kind in VerdictKind)] for truth in Truth]
    return _REPORT.substitute(
        since=TUNNEL_TEST_FROM,
        date=f"{datetime.now(UTC):%Y-%m-%d}",
        model=said.pictures[0][1]["model"],
        right=_share(hits, len(truths)),
        majority=_share(max(Counter(truths).values()), len(truths)),
        pictures=len(truths),
        visits=len(said.visits),
        kinds=" | ".join(f"`{kind}`" for kind in VerdictKind),
        rule="|---" * (1 + len(VerdictKind)) + "|",
        table="\n".join(f"| {' | '.join(cells)} |" for cells in table),
        unseen=_unseen(),
    )


def _unseen() -> str:
    """Return, from the manifest, what to expect in a home that the model has not seen."""
    figures = {metric.name: metric for metric in load(factory_directory()).manifest.metrics}
    mine, always = (figures[f"unseen_{name}"] for name in ("balanced_accuracy", "balanced_majority"))
    right, most = (figures[f"unseen_{name}"] for name in ("accuracy", "majority"))
    return (
        "In homes that it has not seen (leaving out one home after the other, see its card) the mean recall of the\n"
        f"five classes is {mine.value:.3f} ({mine.low:.3f} to {mine.high:.3f}), where always naming one class has "
        f"{always.value:.3f}; it is right on\n{right.value:.3f} of the pictures, where always saying “cat” would be "
        f"right on {most.value:.3f}. It has to\n"
        "learn yours. What simple things reach on the same pictures stands in [docs/baselines.md](docs/baselines.md)."
    )


def _share(hits: int, count: int) -> str:
    figure = wilson("", hits, count)
    return f"{figure.value:.3f} ({figure.low:.3f} to {figure.high:.3f})"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
