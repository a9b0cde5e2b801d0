"""The command line. Floor 10.

Exit status: 0 done, 1 a finding or something skipped, 2 an input that cannot be used, said in one line.
Each subcommand names the function that does it and is imported only when it is asked for, so that checking a file does
not pay for a model's runtime, nor the daemon for the simulator.
"""

from __future__ import annotations

import argparse
import importlib
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import edge
from edge.errors import CatflapError
from edge.messages import Label

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

DEFAULT_CONFIG = Path("/etc/catflap/catflap.toml")
PUSH_KEYS = Path("/etc/catflap/push_keys")
USAGE = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand and return the exit status."""
    parsed = _parser().parse_args(arguments)
    try:
        return _function(parsed)(parsed)
    except CatflapError as error:
        print(f"catflap: {error}", file=sys.stderr)
        return USAGE
    except BrokenPipeError:
        # Whoever read the output has seen enough; what is still buffered must not fail again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _function(parsed: argparse.Namespace) -> Callable[[argparse.Namespace], int]:
    name = "night:simulate" if getattr(parsed, "simulate", None) else parsed.act
    module, function = name.split(":")
    found: Callable[[argparse.Namespace], int] = getattr(importlib.import_module(f"edge.commands.{module}"), function)
    return found


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="catflap", description="A cat flap with judgement.")
    parser.add_argument("--version", action="version", version=f"catflap {edge.__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _device(commands.add_parser)
    _night(commands.add_parser)
    _judge(commands.add_parser)
    _state(commands.add_parser)
    _door(commands.add_parser)
    _cat(commands.add_parser)
    _push(commands.add_parser)
    _model(commands.add_parser)
    _visit(commands.add_parser)
    return parser


def _device(add: Callable[..., argparse.ArgumentParser]) -> None:
    run = add("run", help="the daemon, in the foreground")
    how = run.add_mutually_exclusive_group()
    _config_option(how)
    how.add_argument("--simulate", nargs="?", const="night", metavar="SCENE", help="twins instead of hardware")
    run.set_defaults(act="device:run")
    doctor = add("doctor", help="what is wrong, and what to do")
    _config_option(doctor)
    _json_option(doctor)
    doctor.set_defaults(act="device:doctor")
    rest = add("rest", help="take the power off the bolt (what the unit runs when the daemon has ended)")
    _config_option(rest)
    rest.set_defaults(act="rest:rest")


def _night(add: Callable[..., argparse.ArgumentParser]) -> None:
    demo = add("demo", help="a simulated night in front of the flap")
    demo.add_argument("scene", nargs="?", default="night", metavar="SCENE", help="a shipped scene or a scene file")
    demo.add_argument("--speed", type=_speed, default=10.0, help="simulated seconds per second; 0: as fast as can be")
    demo.add_argument("--forever", action="store_true", help="begin again when the night is over")
    demo.add_argument("--out", type=Path, metavar="DIR", help="where journal, spool and key frames go")
    demo.set_defaults(act="night:demo")
    film = add("film", help="render a scene to a film that one can look at")
    film.add_argument("scene", metavar="SCENE", help="a shipped scene or a scene file")
    film.add_argument("file", type=Path, help="FILE.mp4, or .avi, .webp or .png (animated)")
    film.set_defaults(act="night:film")


def _judge(add: Callable[..., argparse.ArgumentParser]) -> None:
    replay = add("replay", help="run the pipeline over a folder, a video or spool records")
    replay.add_argument("paths", nargs="+", type=Path, metavar="PATH")
    replay.set_defaults(act="judge:replay")
    score = add("score", help="judge single pictures")
    score.add_argument("images", nargs="+", type=Path, metavar="IMAGE")
    score.set_defaults(act="judge:score_images")
    for parser in (replay, score):
        parser.add_argument("--config", type=Path, metavar="FILE", help="judge by this configuration")
        parser.add_argument("--model", metavar="BUNDLE", help="judge with this bundle (default: the configuration's)")
        parser.add_argument("--runtime", choices=("auto", "litert", "tflite"), help="the model's runtime")
        _json_option(parser)


def _state(add: Callable[..., argparse.ArgumentParser]) -> None:
    spool = add("spool", help="what waits to be labelled")
    spool.add_argument("what", choices=("list",))
    _config_option(spool)
    _json_option(spool)
    spool.set_defaults(act="state:spool")
    config = add("config", help="check the configuration, or show every value with its bounds")
    config.add_argument("what", choices=("check", "show"))
    _config_option(config)
    config.set_defaults(act="state:configuration")


DOOR_WORDS = {
    "status": "how the door is; status 1 while a fault is latched",
    "unlock": "open once, now, as the button does",
    "lock": "panic lock: nobody comes in until unlock-panic; going out stays free",
    "unlock-panic": "lift the panic lock",
    "mode": "in_and_out, in_only, out_only or locked",
    "let-in": "let a cat in, once, within the next minutes",
    "clear": "clear the latched fault of the bolt, once its cause is gone",
}
"""What ``catflap door`` can say: the words of `edge.messages.CommandKind`, for people."""


def _door(add: Callable[..., argparse.ArgumentParser]) -> None:
    words = add("door", help="the owner's word to the running daemon").add_subparsers(required=True, metavar="WORD")
    for word, text in DOOR_WORDS.items():
        parser = words.add_parser(word, help=text, description=text)
        if word == "mode":
            parser.add_argument("mode", metavar="MODE")
        if word == "let-in":
            parser.add_argument("cat", nargs="?", metavar="NAME", help="whom; nobody named: whoever comes first")
            parser.add_argument("--for", dest="for_s", type=_duration, metavar="TIME", help="90, 90s, 5m or 1h; 5m")
        parser.add_argument(
            "--socket", type=Path, metavar="FILE", help="the daemon's socket, if not the configured one"
        )
        _config_option(parser)
        _json_option(parser)
        parser.set_defaults(act="door:speak", command=word.replace("-", "_"))


def _cat(add: Callable[..., argparse.ArgumentParser]) -> None:
    cat = add("cat", help="who lives here, and what they look like")
    what = cat.add_subparsers(required=True, metavar="WHAT")
    enrol = what.add_parser("add", help="enrol a cat from photographs")
    enrol.add_argument("name", metavar="NAME")
    enrol.add_argument("photos", nargs="+", type=Path, metavar="PHOTO")
    enrol.add_argument("--chip", default="", metavar="N", help="its chip number, 15 digits")
    enrol.set_defaults(act="cat:add")
    everyone = what.add_parser("list", help="who lives here")
    _json_option(everyone)
    everyone.set_defaults(act="cat:list_all")
    forget = what.add_parser("forget", help="remove a cat's pictures")
    forget.add_argument("name", metavar="NAME")
    forget.set_defaults(act="cat:forget")
    confirm = what.add_parser("confirm", help="say that a visit was this cat's")
    confirm.add_argument("--sure", action="store_true", help="even though it looks unlike this cat")
    confirm.set_defaults(act="cat:confirm_visit")
    unconfirm = what.add_parser("unconfirm", help="take that back")
    unconfirm.set_defaults(act="cat:unconfirm_visit")
    for parser in (confirm, unconfirm):
        parser.add_argument("name", metavar="NAME")
        parser.add_argument("visit", metavar="VISIT", help="as `catflap spool list` names it")
    for parser in (enrol, everyone, forget, confirm, unconfirm):
        _config_option(parser)


def _push(add: Callable[..., argparse.ArgumentParser]) -> None:
    receive = add("receive", help="take a pushed model into the inbox (what the push account runs)")
    receive.set_defaults(act="receive:receive")
    adopt = add("adopt", help="bind this flap to its owner's root (what push_model.py --adopt runs)")
    adopt.add_argument("--again", action="store_true", help="even though it is bound to another root")
    adopt.add_argument(
        "--keys", type=Path, metavar="FILE", default=PUSH_KEYS, help=f"the push account's keys (default: {PUSH_KEYS})"
    )
    adopt.set_defaults(act="adopt:adopt")
    link = add("link", help="the network process: poll a store for new models")
    link.set_defaults(act="link:link")
    for parser in (receive, adopt, link):
        _config_option(parser)


def _model(add: Callable[..., argparse.ArgumentParser]) -> None:
    what = add("model", help="which model decides, and which is on trial").add_subparsers(required=True, metavar="WHAT")
    everything = what.add_parser("list", help="what is in each slot")
    everything.set_defaults(act="model:list_all")
    show = what.add_parser("show", help="one slot with its trial, its history and its card")
    show.add_argument("slot", nargs="?", choices=("factory", "a", "b"), help="nothing said: the one that decides")
    show.set_defaults(act="model:show")
    promote = what.add_parser("promote", help="let the model on trial take over now")
    back = what.add_parser("rollback", help="end the trial; without one, go back to the model before")
    for parser, word in ((promote, "promote"), (back, "rollback")):
        parser.set_defaults(act="model:speak", command=word)
    for parser in (everything, show, promote, back):
        _config_option(parser)
        _json_option(parser)


def _visit(add: Callable[..., argparse.ArgumentParser]) -> None:
    what = add("visit", help="what visits there were, and what they were").add_subparsers(required=True, metavar="WHAT")
    everything = what.add_parser("list", help="the last visits, the newest first")
    everything.add_argument("--limit", type=int, default=20, metavar="N", help="how many; 20")
    everything.set_defaults(act="visit:list_all")
    label = what.add_parser("label", help="say what a visit was, which a trial learns from")
    label.add_argument("visit", metavar="VISIT", help="as `catflap visit list` names it")
    label.add_argument("label", metavar="LABEL", help=f"one of {', '.join(Label)}")
    label.set_defaults(act="visit:label")
    for parser in (everything, label):
        _config_option(parser)
        _json_option(parser)


def _config_option(parser: argparse._ActionsContainer) -> None:
    text = f"the configuration (default: {DEFAULT_CONFIG})"
    parser.add_argument("--config", type=Path, metavar="FILE", default=DEFAULT_CONFIG, help=text)


def _json_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="one JSON object a line")


def _speed(text: str) -> float:
    """Read ``--speed``; argparse turns the error into its own one line."""
    value = float(text)
    if not 0.0 <= value <= 1000.0:
        raise argparse.ArgumentTypeError(f"{text} is not from 0 to 1000")
    return value


def _duration(text: str) -> float:
    """Read a time such as ``5m``; return seconds. How long it may be is the daemon's business."""
    match = re.fullmatch(r"(\d{1,6})([smh]?)", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time such as 90s, 5m or 1h")
    return float(match[1]) * {"h": 3600.0, "m": 60.0}.get(match[2], 1.0)


if __name__ == "__main__":
    sys.exit(main())
