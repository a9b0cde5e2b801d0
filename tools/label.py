"""Label pictures in the browser, on this machine only; nothing leaves it.

    python tools/label.py DIR                          every JPEG and PNG below DIR that has no answer yet
    python tools/label.py DIR --blind 120 --who ANN    a sample, compared with metadata.jsonl at the end
    python tools/label.py DIR --report                 that comparison again

Keys 1 to 6 are the classes, 0 is "cannot tell", backspace takes the last answer back. Every answer is on the disk
before the next picture is shown, as a line of DIR/labels.jsonl (``file_name``, ``label``, ``who``, ``at``; label null
takes an answer back); started again, the tool goes on where it was. No picture is shown with its label or its name.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from itertools import zip_longest
from pathlib import Path

import numpy as np
from check_data import at_least_one, inside
from dataset import DataSetError
from label_answers import Answers, LabelError, read_answers
from label_report import labelled, report
from label_server import TYPES, Server, Session


def pictures(folder: Path) -> tuple[str, ...]:
    """Return the JPEG and PNG files below a folder by their names from there, sorted, none that a link leads out of."""
    found = (path for path in folder.rglob("*") if path.suffix.lower() in TYPES and path.is_file())
    names = sorted(path.relative_to(folder).as_posix() for path in found)
    return tuple(name for name in names if inside(folder, name) is not None)


def drawn(folder: Path, count: int, seed: int) -> tuple[str, ...]:
    """Return a random sample of the labelled pictures, in random order: of every label as many, or all there are.

    Raises:
        DataSetError: ``metadata.jsonl`` cannot be read.
    """
    rng, by_label = np.random.default_rng(seed), dict[str, list[str]]()
    for row in labelled(folder).values():
        path = inside(folder, row.file_name)
        if path is not None and path.is_file():
            by_label.setdefault(row.label, []).append(row.file_name)
    shuffled = [[names[i] for i in rng.permutation(len(names))] for _, names in sorted(by_label.items())]
    in_turn = [name for turn in zip_longest(*shuffled) for name in turn if name is not None][:count]
    return tuple(in_turn[i] for i in rng.permutation(len(in_turn)))


def main(arguments: list[str]) -> int:
    """Run; 0 done, 2 where it cannot start."""
    options = _parser().parse_args(arguments)
    try:
        return _run(options)
    except (LabelError, DataSetError, OSError) as error:
        print(f"label: {error}", file=sys.stderr)
        return 2


def _run(options: argparse.Namespace) -> int:
    folder: Path = options.folder
    file = options.answers or folder / "labels.jsonl"
    if options.report:
        print(report(folder, read_answers(file)[0]))
        return 0
    queue = pictures(folder) if options.blind is None else drawn(folder, options.blind, options.seed)
    if not queue:
        raise LabelError(f"{folder}: holds no pictures to label; name a folder with JPEG or PNG files")
    session = Session(folder, queue, Answers(file), options.who)
    with Server(session, options.port) as server:
        print(f"Open {server.address}  (Ctrl-C stops; every answer is kept)", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()
    print(report(folder, session.given()))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="DIR", help="where the pictures are")
    parser.add_argument("--who", default="owner", metavar="NAME", help="whose answers these are")
    parser.add_argument("--answers", type=Path, metavar="FILE", help="instead of DIR/labels.jsonl")
    parser.add_argument("--port", type=int, default=0, help="instead of a free one")
    parser.add_argument("--blind", type=at_least_one, metavar="N", help="a sample of N, of every label as many")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of that sample; the same again to go on")
    parser.add_argument("--report", action="store_true", help="print how far the answers agree with metadata.jsonl")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
