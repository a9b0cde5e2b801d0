"""The evaluation of a bundle from the command line: what it writes, what it refuses, and when it says no."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import baseline_rows
import cv2
import evaluate
import pytest
from baseline_rows import Baselines
from dataset import read_photographs
from evaluation_report import Pictures, Report
from report_page import figures_of, interval, page, value
from samples_made import CARD, imagefolder
from visit_verdicts import Truth

from edge.adapters.sim.stills import Still, generate
from edge.bundle import factory_directory
from edge.codec import from_json, to_json
from edge.messages import LABELS, Label, Metric

if TYPE_CHECKING:
    from pathlib import Path

HOME = "<i>garden</i>"
ODD = "<b>odd & 'quoted'.png"
STILLS = 36


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What one run left."""

    status: int
    data: Path
    report: Report
    table: dict[str, Any]
    html: str


def drawn(folder: Path) -> Path:
    """Write an imagefolder of the simulated world, without people: a flap's later months, and an oddly named garden."""
    folder.mkdir()
    rows = []
    stills = sorted((still for still in generate(STILLS, 3) if still.label is not Label.PERSON), key=_label)
    for number, still in enumerate(stills):
        name = ODD if number == 0 else f"{number}.png"
        cv2.imwrite(str(folder / name), still.grey)
        there = number % 6 != 0
        day = number // 6 + 1
        rows.append(
            {
                "file_name": name,
                "label": still.label,
                "home": "tunnel" if there else HOME,
                "visit": f"v{number // 3}" if there else f"g{number}",
                "taken": f"2014-03-{day:02}T20:00:{number:02}",
                "modality": "IR" if there else "colour",
                **CARD,
            }
        )
    (folder / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return folder


def _label(still: Still) -> str:
    return still.label


def biased(folder: Path, name: str, said: Label) -> Path:
    """Write the factory's bundle with a calibration that takes everything for one thing."""
    shutil.copytree(factory_directory(), folder)
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    bias = [200.0 if label is said else 0.0 for label in LABELS]
    manifest |= {"name": name, "calibration": {"temperature": 1.0, "bias": bias}}
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return folder


def evaluated(data: Path, out: Path, *arguments: object) -> Evaluation:
    """Run the tool and read what it wrote."""
    status = evaluate.main([str(part) for part in (*arguments, "--data", data, "--out", out)])
    raw = (out / "report.json").read_bytes()
    report = from_json(Report, raw, out / "report.json")
    return Evaluation(status, data, report, json.loads(raw), (out / "report.html").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def better(tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    """The factory's student against one that takes everything for a person, with rows of simple things."""
    place = tmp_path_factory.mktemp("better")
    data = drawn(place / "data")
    rows = Baselines(read_photographs(data).sha256, STILLS, "2026-01-01", (row("<script>always</script>"),))
    (place / "rows.json").write_bytes(to_json(rows))
    worse = biased(place / "worse", "<em>worse</em>", Label.PERSON)
    return evaluated(data, place / "out", "factory", "--against", worse, "--rows", place / "rows.json")


def row(who: str) -> baseline_rows.BaselineRow:
    """A simple thing's row."""
    return baseline_rows.BaselineRow("tunnel_later", who, (Metric("tunnel_later_accuracy", 0.5, 0.4, 0.6, 9),))


class Shown(HTMLParser):
    """The figures of a page as they stand there, the addresses it names, and its elements."""

    def __init__(self) -> None:
        """Start with nothing."""
        super().__init__()
        self.figures: list[list[str]] = []
        self.addresses: list[str] = []
        self.elements: set[str] = set()
        self._open = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take note of it."""
        self.elements.add(tag)
        given = dict(attrs)
        self.addresses += [str(given[key]) for key in ("src", "href", "xlink:href") if key in given]
        if tag == "span":
            self._open += bool(self._open)
            if "data-figure" in given:
                self._open = 1
                self.figures.append([str(given["data-figure"]), ""])

    def handle_endtag(self, tag: str) -> None:
        """Leave a figure with its element."""
        if tag == "span" and self._open:
            self._open -= 1

    def handle_data(self, data: str) -> None:
        """Collect a figure's text."""
        if self._open:
            self.figures[-1][1] += data


def shown(html: str) -> Shown:
    """Read a page."""
    parser = Shown()
    parser.feed(html)
    return parser


def test_every_figure_of_the_page_is_in_the_json(better: Evaluation) -> None:
    """Whatever stands on the page as a figure has its name, value and interval in report.json, and there are many."""
    report = better.report
    gate = [group.change for group in report.against.gate] if report.against else []
    rows = [figure for entry in report.baselines for figure in entry.figures]
    known = [*figures_of(report).values(), *report.unseen, *gate, *rows]
    told = {(figure.name, text) for figure in known for text in (value(figure), f"{value(figure)} {interval(figure)}")}
    found = shown(better.html).figures
    assert [] == [entry for entry in found if tuple(entry) not in told]
    assert len(found) > 100


def test_the_page_is_laid_out_from_the_json_alone(better: Evaluation) -> None:
    """Reading report.json again and laying it out gives the same page, plots included."""
    assert better.html == page(better.report, better.data)


def test_figures_have_all_they_need(better: Evaluation) -> None:
    """Each figure in report.json is name, value, low, high and count, no name twice, the value in its interval."""
    figures = better.table["figures"]
    assert {("name", "value", "low", "high", "count")} == {tuple(figure) for figure in figures}
    assert len(figures) == len({figure["name"] for figure in figures})
    shares = [figure for figure in figures if "accuracy" in figure["name"] or "recall" in figure["name"]]
    assert [] == [figure for figure in shares if not 0 <= figure["low"] <= figure["value"] <= figure["high"] <= 1]


def test_both_levels_and_all_groups_are_there(better: Evaluation) -> None:
    """Pictures, visits, homes, lights, classes, prey, calibration, coverage and the manifest's own figures."""
    wanted = {
        "frames/six_class_accuracy",
        "frames/coarse_balanced_accuracy",
        "frames/recall/cat_prey",
        "frames/prey_auc",
        "frames/prey_recall/0.02",
        "visits/right",
        "visits/prey_auc",
        "visits/prey_recall/0.005",
        "home/tunnel/coarse_accuracy",
        f"home/{HOME}/visits_right",
        "light/night/recall/cat_clear",
        "light/day/coarse_accuracy",
        "calibration/six_class_error",
        "coverage/area",
        "coverage/risk_at/0.9",
        "comparison/visit_p",
    }
    assert set() == wanted - set(figures_of(better.report))
    assert len(better.report.unseen) > 0
    assert ("test", False) == (better.report.data.part, better.report.data.learnt_from)


def test_names_cannot_become_part_of_the_page(better: Evaluation) -> None:
    """File, home, bundle and row names with markup in them come out as text."""
    page_of = shown(better.html)
    assert set() == {"i", "em", "script"} & page_of.elements
    for text in ("&lt;i&gt;garden&lt;/i&gt;", "&lt;em&gt;worse&lt;/em&gt;", "&lt;script&gt;always&lt;/script&gt;"):
        assert text in better.html


def test_the_page_stands_alone(better: Evaluation) -> None:
    """Nothing is fetched: pictures are in the page, and the only references are into the page's own drawings."""
    addresses = shown(better.html).addresses
    assert [] == [address for address in addresses if not address.startswith(("data:image/", "#"))]
    assert [] == re.findall(r"url\((?!#)|@import", better.html)
    assert 3 == better.html.count("<svg")


def test_the_gate_is_by_home_by_class_and_by_kind_of_visit(better: Evaluation) -> None:
    """Two bundles are compared group by group, and the older one is named."""
    against = better.report.against
    assert against is not None
    groups = {group.group for group in against.gate}
    wanted = {"pictures of home tunnel", "pictures labelled cat_prey", "visits of home tunnel", f"visits: {Truth.PREY}"}
    assert (set(), "<em>worse</em>") == (wanted - groups, against.bundle.name)


@pytest.mark.parametrize(("new", "old", "status"), [("sees", "blind", 0), ("blind", "sees", 1)])
def test_what_breaks_something_fails_the_gate(
    new: str, old: str, status: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who takes people for nothing is not to follow one that sees them: status 1, and a line a group; else status 0."""
    people = [{"label": "person", "home": "tunnel", "taken": f"2014-03-0{day}"} for day in range(1, 4)]
    data = imagefolder(tmp_path / "data", [dict(entry) for entry in people])
    biased(tmp_path / "sees", "sees", Label.PERSON)
    biased(tmp_path / "blind", "blind", Label.EMPTY)
    told = evaluated(data, tmp_path / "out", tmp_path / new, "--against", tmp_path / old)
    against = told.report.against
    assert against is not None
    changed = (len(against.better_frames), len(against.worse_frames))
    word, lines = "FAILED" if status else "passed", capsys.readouterr().out.splitlines()
    assert (status, (0, 3) if status else (3, 0)) == (told.status, changed)
    assert True in [line.startswith(f"{word}  pictures labelled person: ") for line in lines]
    assert "make baselines</code> was not run on these pictures" in told.html


@pytest.mark.parametrize(
    ("part", "flattered"), [("test", False), ("calibration", False), ("train", True), ("all", True)]
)
def test_pictures_it_may_have_learnt_from_are_known(part: str, flattered: bool) -> None:
    """Only kept-back parts say what to expect; ``all`` holds those it learnt from too."""
    assert flattered == Pictures("", part, 1, 1).learnt_from


def test_pictures_it_may_have_learnt_from_are_called_so(better: Evaluation) -> None:
    """The page says in so many words when the model may have learnt from the pictures, and only then."""
    of_all = replace(better.report, data=replace(better.report.data, part="all"))
    assert [False, True] == ["may have learnt from" in html for html in (better.html, page(of_all, better.data))]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["gone", "--data", "{data}", "--out", "{out}"], "gone/manifest.json: must be a plain file that can be read"),
        (["factory", "--against", "gone", "--data", "{data}", "--out", "{out}"], "gone/manifest.json: must be"),
        (["factory", "--data", "{nothing}", "--out", "{out}"], "metadata.jsonl: No such file or directory"),
        (["factory", "--data", "{plain}", "--out", "{out}"], "no visit belongs to the part 'test'; choose with --part"),
        (["factory", "--data", "{data}", "--out", "{plain}/0.png"], "0.png: File exists; name another place"),
        (["factory", "--data", "{data}", "--out", "{out}", "--rows", "{plain}/0.png"], "0.png: is not JSON"),
        (["--baselines", "--data", "{nothing}"], "metadata.jsonl: No such file or directory"),
    ],
)
def test_bad_input_is_one_line_and_status_2(
    arguments: list[str], said: str, better: Evaluation, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """What is missing or wrong is named in one line with the remedy, before anything is written."""
    plain = imagefolder(tmp_path / "plain", [{"home": "dlcmouse"}])
    places = {"data": better.data, "out": tmp_path / "out", "nothing": tmp_path, "plain": plain}
    status = evaluate.main([argument.format(**places) for argument in arguments])
    lines = [line for line in capfd.readouterr().err.splitlines() if not line.startswith(("INFO", "evaluate: reading"))]
    assert (2, 1, False) == (status, len(lines), (tmp_path / "out").exists())
    assert said in lines[0]


@pytest.mark.parametrize("arguments", [["--data", "d"], ["factory", "--data", "d"], ["factory", "--out", "o"]])
def test_a_bundle_data_and_a_place_are_needed(arguments: list[str]) -> None:
    """Without them it is a usage error, status 2."""
    with pytest.raises(SystemExit) as stopped:
        evaluate.main(arguments)
    assert 2 == stopped.value.code


def test_the_simple_things_rows_are_kept_with_their_pictures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """``--baselines --json`` writes the page's rows but the student's; ``--again`` takes them for the same pictures."""
    homes = ("tunnel", "feral", "dogcat", "caltech101", "raccoon", "dlcmouse")
    wanted = [{"home": home, "label": label, "taken": "2014-01-01"} for home in homes for label in LABELS]
    wanted += [{"home": "tunnel", "label": label, "taken": "2014-03-05"} for label in ("cat_clear", "cat_prey")]
    data = imagefolder(tmp_path / "data", [dict(entry) for entry in wanted])
    status = evaluate.main(["--baselines", "--data", str(data), "--json", str(tmp_path / "rows.json")])
    kept = baseline_rows.read(tmp_path / "rows.json")
    assert kept is not None
    printed = [line for line in capsys.readouterr().out.splitlines() if line.startswith(("| tunnel_later", "| unseen"))]
    assert (0, read_photographs(data).sha256) == (status, kept.sha256)
    assert printed == [baseline_rows.line(entry) for entry in (*kept.rows, *baseline_rows.shipped())]
    assert {"majority class", "motion area", "silhouette contour"} <= {entry.who for entry in kept.rows}
    again = ["--baselines", "--again", "--data", str(data), "--rows", str(tmp_path / "rows.json")]
    assert 0 == evaluate.main(again)
    repeated = capsys.readouterr().out.splitlines()
    assert printed == [line for line in repeated if line.startswith(("| tunnel_later", "| unseen"))]
    other = imagefolder(tmp_path / "other", [{"home": "tunnel", "label": "empty", "taken": "2014-01-01"}])
    assert 2 == evaluate.main([*again[:3], str(other), *again[4:]])
    assert "holds no rows of these pictures" in capsys.readouterr().err


def test_rows_of_other_pictures_are_not_shown(tmp_path: Path) -> None:
    """Where ``make baselines`` never ran there are no rows, and that is no error."""
    assert baseline_rows.read(tmp_path / "none.json") is None
