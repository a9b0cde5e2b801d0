"""``catflap replay`` and ``catflap score``: over pictures that were taken before. Floor 9."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from edge import assembly, config
from edge.errors import InputError
from edge.replay import Replayer, score

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping
    from pathlib import Path

    from edge.canonical import Value
    from edge.messages import Rules

FINDING = 1


def replay(arguments: argparse.Namespace) -> int:
    """Judge recordings; a record that does not come out as it was stored is a finding, as is a file skipped."""
    wanted = _config(arguments)
    replayer = Replayer(wanted, _loaded(arguments, wanted), other_model=arguments.model is not None)
    differ = 0
    for path in arguments.paths:
        for entry in replayer.path(path):
            differ += not entry.same
            print(json.dumps(entry.fields) if arguments.json else _line(entry.fields))
    _report_skipped([f"{entry.path}: {entry.why}" for entry in replayer.skipped])
    return FINDING if differ or replayer.skipped else 0


def score_images(arguments: argparse.Namespace) -> int:
    """Judge single pictures; a file that cannot be used is named, skipped and counted."""
    wanted = _config(arguments)
    loaded = _loaded(arguments, wanted)
    rules = assembly.rules(wanted, loaded.evidence)
    skipped = [why for path in arguments.images if (why := _score(path, loaded, rules, arguments)) is not None]
    _report_skipped(skipped)
    return FINDING if skipped else 0


def _score(path: Path, loaded: assembly.LoadedModel, rules: Rules, arguments: argparse.Namespace) -> str | None:
    """Print one picture's line; return why there is none."""
    try:
        judged = score(path, loaded, rules)
    except InputError as error:
        return str(error)
    print(json.dumps(judged.fields()) if arguments.json else judged.line())
    return None


def _report_skipped(reasons: list[str]) -> None:
    for why in reasons:
        print(f"catflap: skipped: {why}", file=sys.stderr)
    if reasons:
        print(f"catflap: skipped {len(reasons)} in all", file=sys.stderr)


def _line(fields: Mapping[str, Value]) -> str:
    was = f"  (stored: {fields['stored_verdict']})" if "stored_verdict" in fields else ""
    return f"{fields['source']!s:48}  {fields['verdict']!s:15}  {fields['because']}{was}"


def _config(arguments: argparse.Namespace) -> config.Config:
    """Return the configuration to judge by; without one every cat counts as ours, since pictures carry no chip."""
    if arguments.config is not None:
        return config.load(arguments.config)
    return config.parse({"door": {"identity": "any_cat"}, "pins": {"bolt": 17}}, "defaults")


def _loaded(arguments: argparse.Namespace, wanted: config.Config) -> assembly.LoadedModel:
    runtime = arguments.runtime or wanted.model.runtime
    if arguments.model is not None:
        return assembly.load_model(arguments.model, runtime, wanted.model.threads)
    return assembly.loaded(assembly.bundle_of(wanted), runtime, wanted.model.threads)
