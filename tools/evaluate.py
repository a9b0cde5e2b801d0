"""What a bundle is worth: a report for the browser, and the same as JSON.

    make report        or        python tools/evaluate.py models/factory --data ../shared/data --out report
    python tools/evaluate.py NEW --against OLD --data DIR --out DIR

Writes ``report.html``, which stands alone, and ``report.json``, which holds every figure as name, value, low, high and
count. Visits are judged by the flap's own loop in a replay. Exit 0: done; 1: NEW breaks what worked with OLD, beyond
its interval, in some home or class; 2: it cannot be done, and why.

    make baselines     or        python tools/evaluate.py --baselines --data ../shared/data [--json docs/baselines.json]

Prints docs/baselines.md: what simple things reach, in five coarse classes, on later months of ``tunnel`` (learning from
everything before) and in homes never seen (leaving out one after the other, pooled). The student's rows are the figures
of its manifest. The row of frozen features needs torch (.venv-train) and is left out, by name, where there is none.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import baseline_rows  # noqa: E402 - the repository's own packages come from ROOT
from dataset import read_photographs  # noqa: E402
from measure import visits_of  # noqa: E402
from rows import DataSetError  # noqa: E402

from edge.codec import to_json  # noqa: E402
from edge.errors import CatflapError  # noqa: E402

if TYPE_CHECKING:
    from evaluation_report import Report

BROKEN, REFUSED = 1, 2


def main(arguments: list[str]) -> int:
    """Run; see above for the exit status."""
    options = _parse(arguments)
    try:
        return _baselines(options) if options.baselines else _report(options)
    except (DataSetError, CatflapError) as error:
        print(f"evaluate: {error}", file=sys.stderr)
    except OSError as error:
        print(f"evaluate: {error.filename or options.out}: {error.strerror}; name another place", file=sys.stderr)
    return REFUSED


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", nargs="?", metavar="BUNDLE", help="a bundle's directory, or factory")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="an imagefolder with metadata.jsonl")
    parser.add_argument("--part", choices=("test", "calibration", "train", "all"), default="test", help="which visits")
    parser.add_argument("--against", metavar="OLD", help="an older bundle, to compare with")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where the report goes")
    parser.add_argument("--rows", type=Path, default=ROOT / "docs" / "baselines.json", help="what make baselines left")
    parser.add_argument("--baselines", action="store_true", help="judge the simple things instead")
    parser.add_argument("--again", action="store_true", help="with --baselines: take the simple things from --rows")
    parser.add_argument("--json", type=Path, metavar="FILE", help="with --baselines: the rows once more, as JSON")
    options = parser.parse_args(arguments)
    if not options.baselines and (options.bundle is None or options.out is None):
        parser.error("name a BUNDLE and --out DIR, or say --baselines")
    return options


def _baselines(options: argparse.Namespace) -> int:
    photographs = read_photographs(options.data)
    before = baseline_rows.read(options.rows) if options.again else None
    if options.again and (before is None or before.sha256 != photographs.sha256):
        raise DataSetError(f"{options.rows}: holds no rows of these pictures; leave out --again to measure them")
    print(baseline_rows.heading(len(photographs.samples)))
    rows = []
    for row in before.rows if before else baseline_rows.measured(photographs):
        print(baseline_rows.line(row), flush=True)
        rows.append(row)
    for row in baseline_rows.shipped():
        print(baseline_rows.line(row))
    if options.json is not None:
        created = baseline_rows.today()
        kept = baseline_rows.Baselines(photographs.sha256, len(photographs.samples), created, tuple(rows))
        options.json.write_bytes(to_json(kept) + b"\n")
    return 0


def _report(options: argparse.Namespace) -> int:
    # The report is laid out and drawn with what the trainer's environment, where the baselines run, does not have.
    from bundle_scores import judge, opened  # noqa: PLC0415 - as said above
    from evaluation_report import Pictures, reported, samples_of  # noqa: PLC0415 - as said above
    from report_page import page  # noqa: PLC0415 - as said above

    asked = [opened(name) for name in (options.bundle, options.against) if name is not None]
    rows = baseline_rows.read(options.rows)
    _say(f"reading {options.data}")
    photographs = read_photographs(options.data)
    samples = samples_of(photographs, options.part)
    data = Pictures(photographs.sha256, options.part, len(samples), len(set(visits_of(samples))))
    options.out.mkdir(parents=True, exist_ok=True)
    _say(f"judging {data.pictures} pictures of {data.visits} visits")
    new, *old = (judge(bundle, options.data, samples) for bundle in asked)
    _say("figures and their intervals")
    report = reported(new, old[0] if old else None, data, rows)
    (options.out / "report.json").write_bytes(to_json(report) + b"\n")
    (options.out / "report.html").write_text(page(report, options.data), encoding="utf-8")
    return _summary(report, options.out / "report.html")


def _say(text: str) -> None:
    print(f"evaluate: {text}", file=sys.stderr)


def _summary(report: Report, where: Path) -> int:
    for line in report.skipped:
        _say(f"skipped: {line}")
    print(where)
    if report.against is None:
        return 0
    for group in report.against.gate:
        print(f"{'passed' if group.passed else 'FAILED'}  {group.because}")
    return 0 if report.against.passed else BROKEN


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
