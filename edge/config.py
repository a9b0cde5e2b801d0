"""The one configuration file: TOML in, frozen dataclasses out. Floor 1.

Every value has its bounds beside it; an unknown key, a wrong type or a value out of range is a ConfigError
of one line that names file, key and what is allowed. Nothing falls back silently: a key that is absent has the
default written here, a key that is present is obeyed or refused.
"""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import json
import re
import tomllib
import zoneinfo
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar, cast

from edge.coils import PROFILES, CoilProfile
from edge.errors import ConfigError
from edge.hours import WEEKDAYS, Curfew, Span, ever_open, span_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Section = TypeVar("Section")

CUSTOM = "custom"
"""The profile of a coil that is not known by name: the file says what it stands."""

_LIMITS = ("max_on_s", "min_rest_s", "heat_budget_s", "duty")
"""What a profile says about its coil's heat; of ``min_rest_s`` more is stricter, of the others less."""


def _number(default: float, low: float, high: float, doc: str) -> Any:  # noqa: ANN401 - dataclasses.field is typed so
    return field(default=default, metadata={"low": low, "high": high, "doc": doc})


def _choice(default: str, allowed: tuple[str, ...], doc: str) -> Any:  # noqa: ANN401 - as above
    return field(default=default, metadata={"allowed": allowed, "doc": doc})


def _text(default: str, doc: str, pattern: str = "", rule: str = "text") -> Any:  # noqa: ANN401 - as above
    return field(default=default, metadata={"doc": doc, "pattern": pattern, "rule": rule})


def _flag(default: bool, doc: str) -> Any:  # noqa: ANN401 - as above
    return field(default=default, metadata={"doc": doc})


def _several(default: tuple[object, ...], each: Callable[[str], object], doc: str, rule: str) -> Any:  # noqa: ANN401 - as above
    """A list, not empty, of texts that ``each`` turns into values, or refuses with a ValueError."""
    return field(default=default, metadata={"each": each, "doc": doc, "rule": rule})


def _weekday(text: str) -> str:
    if text not in WEEKDAYS:
        raise ValueError(f"{text!r} is not one of {', '.join(WEEKDAYS)}")
    return text


def _zone(text: str) -> str:
    try:
        return zoneinfo.ZoneInfo(text).key if text else text
    except (zoneinfo.ZoneInfoNotFoundError, OSError, ValueError) as error:  # OSError: the name of a folder of zones
        near = difflib.get_close_matches(text, zoneinfo.available_timezones(), n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ValueError(f"{text!r} is no time zone that this machine's tzdata knows{hint}") from error


def _store(text: str) -> str:
    # What is wrong is never repeated: it may hold a permission, and goes into the log.
    if re.fullmatch(r"|file:/[^?#\s]*|https://[^/?#\s@]+(/[^?#\s]*)?", text) is None:
        raise ValueError(
            "is not file:/DIR or https://HOST/FOLDER, without ? and #; a permission is the credential models_access"
        )
    return text


def _pin(doc: str) -> Any:  # noqa: ANN401 - as above
    return _number(-1, -1, 27, doc + " (BCM number; -1: not wired)")


@dataclass(frozen=True, slots=True)
class CameraConfig:
    """Where the pictures come from."""

    kind: str = _choice("picamera2", ("picamera2", "video", "sim"), "the adapter")
    source: str = _text("", "video only: /dev/videoN, rtsp://…, a video file or a folder of images")
    scene: str = _text("night", "sim only: the name of a shipped scene or the path of a scene file")
    width_px: int = _number(320, 160, 640, "width of the small grey picture")
    height_px: int = _number(240, 120, 480, "height of the small grey picture")
    still_width_px: int = _number(1280, 160, 4608, "width of the large picture kept for people")
    still_height_px: int = _number(960, 120, 2592, "height of the large picture kept for people")
    fps: float = _number(10.0, 1.0, 30.0, "frames per second that are looked at")
    hang_s: float = _number(2.0, 0.5, 10.0, "no frame for this long: the camera is taken as lost and reopened")


@dataclass(frozen=True, slots=True)
class PinsConfig:
    """Which pin is what."""

    factory: str = _choice(
        "lgpio",
        ("lgpio", "rpigpio", "pigpio", "native", "mock", "sim"),
        "the gpiozero pin factory, or the simulated pins",
    )
    bolt: int = _pin("the bolt's coil driver")
    bolt2: int = _pin("the driver of a second bolt on the entry side, drawn after the first")
    bolt_sensor: int = _pin("a contact to ground that closes when the bolt has really drawn back")
    lamp: int = _pin("the infra-red lamp, PWM")
    pir: int = _pin("the PIR motion sensor")
    reed: int = _pin("the reed switch of the flap, closed while the flap hangs straight")
    button: int = _pin("the override button, to ground")
    led: int = _pin("the status light")
    lamp_level: float = _number(1.0, 0.0, 1.0, "brightness of the infra-red lamp")


@dataclass(frozen=True, slots=True)
class ChipConfig:
    """The chip reader."""

    kind: str = _choice("none", ("none", "serial", "sim"), "the adapter")
    port: str = _text("/dev/serial0", "serial only: the line")
    baud: int = _number(9600, 1200, 115200, "serial only: bits per second")


@dataclass(frozen=True, slots=True)
class GuardConfig:
    """The microcontroller that guards the coil, where there is one; then it drives the bolt in place of pins.bolt."""

    kind: str = _choice("none", ("none", "serial", "sim"), "none: pins.bolt drives the coil's transistor itself")
    port: str = _text("/dev/ttyUSB0", "serial only: the line")
    baud: int = _number(38400, 1200, 115200, "serial only: bits per second, as the guard was built")


@dataclass(frozen=True, slots=True)
class LockConfig:
    """The bolt and its coil. Heat is counted as a leaky bucket of seconds with power."""

    kind: str = _choice(
        "power_to_unlock", ("power_to_unlock", "power_to_lock"), "what power means: rests shut, or rests open"
    )
    profile: str = _choice(
        CUSTOM,
        (CUSTOM, *PROFILES),
        "the coil by name (docs/wiring.md): its limits hold where the file has no stricter one",
    )
    lease_s: float = _number(0.5, 0.2, 2.0, "a command not renewed for this long ends by itself")
    max_on_s: float = _number(8.0, 0.5, 86400.0, "the coil is never powered longer than this without a rest")
    min_rest_s: float = _number(1.0, 0.0, 60.0, "the coil rests at least this long after it has had power for max_on_s")
    heat_budget_s: float = _number(40.0, 1.0, 86400.0, "seconds with power that the coil may store as heat")
    duty: float = _number(0.2, 0.01, 1.0, "share of time with power at which the coil stays at its temperature")
    bolt_delay_s: float = _number(0.5, 0.05, 5.0, "a bolt takes at most this long to follow its coil")
    coil_w: float = _number(12.0, 0.1, 100.0, "what one coil takes of the supply, in watts")
    supply_w: float = _number(24.0, 0.1, 1000.0, "what the supply can give to coils at once, in watts")


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """The model and its runtime."""

    bundle: str = _text(
        "auto",
        "auto, or slots: what was pushed and has proved itself, else the factory's; factory: the one that ships, for"
        " ever; or a bundle's directory",
    )
    runtime: str = _choice(
        "auto", ("auto", "litert", "tflite"), "auto takes ai-edge-litert where it is installed, and says so"
    )
    threads: int = _number(1, 1, 4, "threads of the interpreter; more were slower on int8 models")
    promote: str = _choice(
        "auto",
        ("auto", "owner"),
        "auto: a model on trial is promoted when it has passed; owner: it waits for `catflap model promote`",
    )
    ab_share: float = _number(
        0.0, 0.0, 0.5, "share of the visits that a model which has passed decides before it is promoted; 0: none"
    )


@dataclass(frozen=True, slots=True)
class DoorConfig:
    """What the owner wants of the door."""

    identity: str = _choice(
        "chip",
        ("chip", "any_cat"),
        "who is ours: the cats that are listed, each known by what it needs, or (with a warning) every cat",
    )
    prey_let_in: float = _number(
        0.02, 0.0001, 0.2, "budget: probability per visit that prey, or anything but a clean cat, gets in"
    )
    resident_refused: float = _number(
        0.05, 0.0001, 0.3, "budget: probability per visit that a clean cat of ours is refused"
    )
    open_s: float = _number(6.0, 1.0, 30.0, "how long the bolt stays open for a cat that may come in")
    hold_off_s: float = _number(120.0, 0.0, 3600.0, "how long nobody is let in after prey was seen")
    on_blind: str = _choice("shut", ("shut", "open", "chip"), "what to do for a visit that could not be seen")
    blind_after_s: float = _number(3.0, 0.5, 30.0, "a visit without one frame of evidence for this long is blind")
    quiet_s: float = _number(1.5, 0.3, 10.0, "a visit ends when nothing has been there for this long")


@dataclass(frozen=True, slots=True)
class HouseConfig:
    """The rules of the house. Going out is mechanically free in every one of them."""

    mode: str = _choice(
        "in_and_out",
        ("in_and_out", "in_only", "out_only", "locked"),
        "who may pass: out_only and locked let nobody in; in_only and locked note whoever goes out",
    )
    curfew: Span | None = field(
        default=None,
        metadata={
            "read": span_of,
            "doc": "when cats are to be at home; left out: never",
            "rule": 'a span of the day as in "22:00-06:00", or left out',
        },
    )
    curfew_days: tuple[str, ...] = _several(
        WEEKDAYS, _weekday, "the days on which the curfew begins", f"a list of {', '.join(WEEKDAYS)}"
    )
    come_home_min: int = _number(
        30, 0, 1440, "minutes after the curfew began in which whoever is out may still come in; 1440: all night"
    )
    timezone: str = field(
        default="",
        metadata={
            "read": _zone,
            "doc": "where the flap is; empty: the machine's own zone",
            "rule": 'a name as in "Europe/Berlin", or empty',
        },
    )
    on_bad_clock: str = _choice(
        "ignore_hours",
        ("ignore_hours", "keep_hours"),
        "while the clock cannot be trusted: hours and curfew do not apply, or apply by the clock as it stands",
    )


@dataclass(frozen=True, slots=True)
class GateConfig:
    """What counts as somebody being there."""

    min_area: float = _number(0.012, 0.001, 0.5, "share of the picture that must differ from the background")
    min_frames: int = _number(3, 1, 20, "of the last five frames that must show it")


@dataclass(frozen=True, slots=True)
class SpoolConfig:
    """The buffer of frames worth labelling."""

    max_bytes: int = _number(500_000_000, 100_000, 10**12, "the spool never holds more than this")
    min_free_bytes: int = _number(300_000_000, 0, 10**12, "the spool leaves at least this much of the disk free")
    random_share: float = _number(0.05, 0.0, 1.0, "share of the confident visits kept all the same")


@dataclass(frozen=True, slots=True)
class StateConfig:
    """Where the daemon keeps what it knows."""

    directory: str = _text("/var/lib/catflap", "journal, spool, models")
    journal_rows: int = _number(
        50_000, 1000, 10**7, "the newest visits that the journal keeps, and as many events: years; older ones go"
    )


@dataclass(frozen=True, slots=True)
class ControlConfig:
    """Where the owner's commands come in."""

    path: str = _text("/run/catflap/control.sock", "the Unix socket of `catflap door`; empty: none")


@dataclass(frozen=True, slots=True)
class LinkConfig:
    """What the network process does."""

    models: str = field(
        default="",
        metadata={
            "read": _store,
            "doc": "the plain store that is asked for new models (push_model.py --via); empty: none",
            "rule": "file:/DIR or https://HOST/FOLDER, or empty",
        },
    )
    poll_every_s: float = _number(900.0, 10.0, 86400.0, "how often it is asked, give or take a tenth")


@dataclass(frozen=True, slots=True)
class LogConfig:
    """How the log reads."""

    format: str = _choice("auto", ("auto", "console", "json"), "auto: for people on a terminal, JSON otherwise")
    level: str = _choice("info", ("debug", "info", "warning", "error"), "the least important line that is written")


@dataclass(frozen=True, slots=True)
class CatConfig:
    """One cat that lives here."""

    name: str = _text("", "its name", r"[\w][\w .'-]{0,31}", "1 to 32 letters, digits, spaces or . ' -")
    chip: str = _text("", "its chip number", r"|\d{15}", "15 digits as on the vet's paper, or empty")
    hours: tuple[Span, ...] = _several(
        (), span_of, "when it may come in; left out: at any hour", "a list of spans of the day"
    )
    needs: str = _choice(
        "auto",
        ("auto", "chip", "camera", "either", "both"),
        "by what it must be known; auto: by its chip where one is listed, by the camera where none is",
    )
    prey_check: bool = _flag(True, "whether prey in its mouth keeps it out (false: this cat may bring it in)")

    @property
    def known_by(self) -> str:
        """``needs`` with auto resolved: chip, camera, either or both."""
        if self.needs != "auto":
            return self.needs
        return "chip" if self.chip else "camera"


@dataclass(frozen=True, slots=True)
class Config:
    """The whole file."""

    camera: CameraConfig = CameraConfig()
    pins: PinsConfig = PinsConfig()
    chip: ChipConfig = ChipConfig()
    guard: GuardConfig = GuardConfig()
    lock: LockConfig = LockConfig()
    model: ModelConfig = ModelConfig()
    door: DoorConfig = DoorConfig()
    house: HouseConfig = HouseConfig()
    gate: GateConfig = GateConfig()
    spool: SpoolConfig = SpoolConfig()
    state: StateConfig = StateConfig()
    control: ControlConfig = ControlConfig()
    link: LinkConfig = LinkConfig()
    log: LogConfig = LogConfig()
    cat: tuple[CatConfig, ...] = ()

    def digest(self) -> str:
        """Return 16 hex digits that name exactly these values."""
        text = json.dumps(dataclasses.asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


SECTIONS: dict[str, type[Any]] = {
    "camera": CameraConfig,
    "pins": PinsConfig,
    "chip": ChipConfig,
    "guard": GuardConfig,
    "lock": LockConfig,
    "model": ModelConfig,
    "door": DoorConfig,
    "house": HouseConfig,
    "gate": GateConfig,
    "spool": SpoolConfig,
    "state": StateConfig,
    "control": ControlConfig,
    "link": LinkConfig,
    "log": LogConfig,
}


def curfew_of(house: HouseConfig) -> Curfew | None:
    """Return the curfew that the house has, if any."""
    days = tuple(WEEKDAYS.index(day) for day in house.curfew_days)
    return None if house.curfew is None else Curfew(house.curfew, days, house.come_home_min)


def load(path: Path) -> Config:
    """Read and check a configuration file.

    Raises:
        ConfigError: one line with file, key and what is allowed.
    """
    return parse(_table(_text_of(path), path), str(path))


def with_cat(path: Path, name: str, chip: str) -> tuple[Config, str | None]:
    """Return a file's configuration with a cat listed, and the file's new text; None where the cat is listed already.

    ``chip`` may be empty. Nothing is written.

    Raises:
        ConfigError: the file or what comes of it is no configuration, or the cat is listed with another chip.
    """
    text = _text_of(path)
    listed = _table(text, path).get("cat", [])
    here = next((cat for cat in listed if isinstance(cat, dict) and cat.get("name") == name), None)
    if here is not None:
        if chip and here.get("chip", "") != chip:
            raise ConfigError(
                f"{path}: cat {name}: is listed with chip {here.get('chip') or '(none)'}; change it there"
            )
        return parse(_table(text, path), str(path)), None
    chip_line = f'chip = "{chip}"\n' if chip else ""
    longer = f"{text.rstrip()}\n\n[[cat]]\nname = {json.dumps(name, ensure_ascii=False)}\n{chip_line}"
    return parse(_table(longer, path), str(path)), longer


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not TOML: {error}") from error


def _table(text: str, path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: is not TOML: {error}") from error


def parse(table: dict[str, Any], origin: str) -> Config:
    """Check a table that was read from ``origin`` (a file's name, for the error's text)."""
    _refuse_unknown(table, (*SECTIONS, "cat"), origin, "")
    sections = {name: _section(kind, table.get(name, {}), origin, name) for name, kind in SECTIONS.items()}
    sections["lock"] = _profiled(sections["lock"], table.get("lock", {}), origin)
    return _checked(Config(**sections, cat=_cats(table.get("cat", []), origin)), origin)


def _cats(entries: object, origin: str) -> tuple[CatConfig, ...]:
    if not isinstance(entries, list):
        raise ConfigError(f"{origin}: cat: must be a list of tables, each headed [[cat]]")
    return tuple(_section(CatConfig, entry, origin, f"cat[{index}]") for index, entry in enumerate(entries))


def _section(kind: type[Section], table: object, origin: str, name: str) -> Section:
    if not isinstance(table, dict):
        raise ConfigError(f"{origin}: {name}: must be a table, headed [{name}]")
    fields = {entry.name: entry for entry in dataclasses.fields(cast("Any", kind))}
    _refuse_unknown(table, tuple(fields), origin, f"{name}.")
    return kind(**{key: _value(fields[key], value, origin, f"{name}.{key}") for key, value in table.items()})


def _refuse_unknown(table: dict[str, Any], known: tuple[str, ...], origin: str, prefix: str) -> None:
    for key in table:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
            hint = f"; did you mean {prefix}{near[0]}?" if near else ""
            raise ConfigError(f"{origin}: {prefix}{key}: no such key{hint} (known here: {', '.join(known)})")


def _value(entry: dataclasses.Field[Any], value: object, origin: str, key: str) -> object:
    if "each" in entry.metadata:
        return _list(entry, value, origin, key)
    if "read" in entry.metadata:
        return _read(entry.metadata["read"], value, origin, key)
    if isinstance(entry.default, bool):
        return _typed(value, bool, "true or false", origin, key)
    if isinstance(entry.default, str):
        return _string(entry, value, origin, key)
    return _in_range(entry, value, origin, key)


def _typed(value: object, kind: type, allowed: str, origin: str, key: str) -> object:
    if not isinstance(value, kind):
        raise ConfigError(f"{origin}: {key}: {value!r} is not {allowed}")
    return value


def _list(entry: dataclasses.Field[Any], value: object, origin: str, key: str) -> tuple[object, ...]:
    if not isinstance(value, list) or not value:
        raise ConfigError(
            f"{origin}: {key}: {value!r} is not {entry.metadata['rule']} in brackets, at least one of them;"
            " leave the key out for the default"
        )
    found = tuple(_read(entry.metadata["each"], text, origin, f"{key}[{index}]") for index, text in enumerate(value))
    twice = next((text for one, text in zip(found, value, strict=True) if found.count(one) > 1), None)
    if twice is not None:
        raise ConfigError(f"{origin}: {key}: {twice!r} is there twice")
    return found


def _read(read: Callable[[str], object], value: object, origin: str, key: str) -> object:
    try:
        return read(str(_typed(value, str, "text in quotes", origin, key)))
    except ValueError as error:
        raise ConfigError(f"{origin}: {key}: {error}") from error


def _string(entry: dataclasses.Field[Any], value: object, origin: str, key: str) -> str:
    allowed: tuple[str, ...] = entry.metadata.get("allowed", ())
    text = str(_typed(value, str, f"one of {', '.join(allowed)}" if allowed else "text in quotes", origin, key))
    if allowed and text not in allowed:
        raise ConfigError(f"{origin}: {key}: {text!r} is not one of {', '.join(allowed)}")
    pattern = entry.metadata.get("pattern", "")
    if pattern and not re.fullmatch(pattern, text):
        raise ConfigError(f"{origin}: {key}: {text!r} is not {entry.metadata['rule']}")
    return text


def _in_range(entry: dataclasses.Field[Any], value: object, origin: str, key: str) -> float:
    low, high = entry.metadata["low"], entry.metadata["high"]
    whole = isinstance(entry.default, int)
    kinds = (int,) if whole else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds) or not low <= value <= high:
        kind = "a whole number" if whole else "a number"
        raise ConfigError(f"{origin}: {key}: {value!r} is not {kind} from {low} to {high}")
    return value if whole else float(value)


def _checked(config: Config, origin: str) -> Config:
    """Refuse what is allowed value by value but means nothing as a whole."""
    _check_pins(config.pins, origin)
    _check_bolt(config, origin)
    _check_adapters(config, origin)
    _check_lock(config.lock, origin)
    _check_power(config, origin)
    _check_cats(config, origin)
    _check_house(config, origin)
    return config


def _profiled(lock: LockConfig, named: dict[str, Any], origin: str) -> LockConfig:
    """Return the lock with its profile's limits, stricter where ``named``, the file's own table, is stricter."""
    if lock.profile == CUSTOM:
        return lock
    profile = PROFILES[lock.profile]
    for key in _LIMITS:
        if key in named:
            _refuse_looser(key, getattr(lock, key), profile, origin)
    return dataclasses.replace(lock, **{key: getattr(profile, key) for key in _LIMITS if key not in named})


def _refuse_looser(key: str, value: float, profile: CoilProfile, origin: str) -> None:
    limit: float = getattr(profile, key)
    least = key == "min_rest_s"
    if value < limit if least else value > limit:
        raise ConfigError(
            f"{origin}: lock.{key}: {value:g} is looser than {profile.name} allows: at {'least' if least else 'most'}"
            f" {limit:g} ({profile.source})"
        )


def _check_lock(lock: LockConfig, origin: str) -> None:
    if lock.kind == "power_to_lock" and (lock.duty < 1.0 or lock.max_on_s < 3600.0):
        raise ConfigError(
            f"{origin}: lock.kind: power_to_lock holds the coil all day; it needs a coil made for that, said with"
            " lock.duty = 1.0 and lock.max_on_s of 3600 or more"
        )


def _check_power(config: Config, origin: str) -> None:
    bolts = 2 if config.pins.bolt2 >= 0 else 1
    if bolts * config.lock.coil_w > config.lock.supply_w:
        raise ConfigError(
            f"{origin}: lock.supply_w: {config.lock.supply_w:g} W cannot hold {bolts} coil{'s' * (bolts > 1)} of"
            f" {config.lock.coil_w:g} W (lock.coil_w) at once, as an open door needs"
        )


def _check_pins(pins: PinsConfig, origin: str) -> None:
    used: dict[int, str] = {}
    for name in ("bolt", "bolt2", "bolt_sensor", "lamp", "pir", "reed", "button", "led"):
        number = getattr(pins, name)
        if number >= 0 and number in used:
            raise ConfigError(f"{origin}: pins.{name}: pin {number} is already pins.{used[number]}; each needs its own")
        used[number] = name


def _check_bolt(config: Config, origin: str) -> None:
    pins, guard = config.pins, config.guard
    if (guard.kind == "sim") > (pins.factory == "sim"):
        raise ConfigError(
            f"{origin}: guard.kind: sim drives a bolt of the simulated world; pins.factory must be sim too"
        )
    if guard.kind == "serial" and pins.factory == "sim":
        raise ConfigError(f"{origin}: guard.kind: serial drives a real bolt; the simulated world has sim or none")
    if guard.kind == "serial" and pins.bolt >= 0:
        raise ConfigError(f"{origin}: pins.bolt: the bolt has one driver; leave it out where guard.kind is serial")
    if guard.kind != "none" and pins.bolt2 >= 0:
        raise ConfigError(f"{origin}: pins.bolt2: a guard drives one bolt; leave pins.bolt2 out, or the guard")
    if guard.kind == "serial" and config.chip.kind == "serial" and guard.port == config.chip.port:
        raise ConfigError(f"{origin}: guard.port: {guard.port!r} is already chip.port; each needs its own")
    if guard.kind == "none" and pins.factory != "sim" and pins.bolt < 0:
        raise ConfigError(f"{origin}: pins.bolt: must be the number (0 to 27) of the pin that drives the bolt")


def _check_adapters(config: Config, origin: str) -> None:
    if config.camera.kind == "video" and not config.camera.source:
        raise ConfigError(
            f"{origin}: camera.source: must name a device, address, file or folder when camera.kind is video"
        )
    simulated = {config.camera.kind == "sim", config.pins.factory == "sim"}
    if len(simulated) > 1 or (config.chip.kind == "sim" and True not in simulated):
        raise ConfigError(
            f"{origin}: camera.kind, pins.factory, chip.kind: the simulated world needs both camera and pins to be sim"
        )
    if config.door.on_blind == "chip" and config.chip.kind == "none":
        raise ConfigError(f"{origin}: door.on_blind: chip needs a chip reader; chip.kind is none")


def _check_cats(config: Config, origin: str) -> None:
    names = [cat.name for cat in config.cat]
    chips = [cat.chip for cat in config.cat if cat.chip]
    for what, values in (("name", names), ("chip", chips)):
        twice = next((value for value in values if values.count(value) > 1), None)
        if twice is not None:
            raise ConfigError(f"{origin}: cat.{what}: {twice!r} is there twice; each cat needs its own")
    if config.door.identity == "chip":
        _check_known(config, origin)


def _check_known(config: Config, origin: str) -> None:
    """Refuse a list by which no cat, or one that is listed, could never be known."""
    if not config.cat:
        raise ConfigError(
            f"{origin}: door.identity: chip can let no cat in without a [[cat]]; list one, or choose any_cat"
        )
    for cat in config.cat:
        if cat.known_by in ("chip", "both") and not cat.chip:
            raise ConfigError(f"{origin}: cat {cat.name}: needs = {cat.needs!r} lets it in never: no chip is listed")
        if cat.known_by in ("chip", "both") and config.chip.kind == "none":
            raise ConfigError(
                f"{origin}: cat {cat.name}: needs its chip and can be let in by no chip reader (chip.kind is none);"
                " wire one, set its needs to camera, or set door.identity to any_cat"
            )


def _check_house(config: Config, origin: str) -> None:
    """Refuse hours that nobody can keep. A mode that lets nobody in is a wish, and legal."""
    house, curfew = config.house, curfew_of(config.house)
    if not ever_open((), curfew):
        raise ConfigError(
            f"{origin}: house.curfew: {house.curfew} never ends, and house.come_home_min is 0; nobody could come in"
        )
    for index, cat in enumerate(config.cat):
        where, spans = f"{origin}: cat[{index}].hours", ", ".join(map(str, cat.hours))
        if cat.hours and config.door.identity == "any_cat":
            raise ConfigError(
                f"{where}: {spans} can bind nobody: with door.identity = any_cat no cat is told from another"
            )
        if not ever_open(cat.hours, curfew):
            raise ConfigError(
                f"{where}: {cat.name} could never come in: {spans} lies within house.curfew {house.curfew}, after its"
                f" house.come_home_min of {house.come_home_min}"
            )


def describe(config: Config) -> list[tuple[str, object, str, str]]:
    """Return (key, value, what is allowed, meaning) for every value of every section."""
    rows: list[tuple[str, object, str, str]] = []
    for name in SECTIONS:
        section = getattr(config, name)
        rows.extend(
            (f"{name}.{entry.name}", _written(getattr(section, entry.name)), _allowed(entry), entry.metadata["doc"])
            for entry in dataclasses.fields(section)
        )
    rows.extend(
        (f"cat[{index}].{entry.name}", _written(getattr(cat, entry.name)), _allowed(entry), entry.metadata["doc"])
        for index, cat in enumerate(config.cat)
        for entry in dataclasses.fields(cat)
    )
    return rows


def _written(value: object) -> object:
    """Return a value as the file would say it."""
    if isinstance(value, tuple):
        return [_written(entry) for entry in value]
    return str(value) if isinstance(value, Span) else value


def _allowed(entry: dataclasses.Field[Any]) -> str:
    if "low" in entry.metadata:
        return f"{entry.metadata['low']} to {entry.metadata['high']}"
    if "allowed" in entry.metadata:
        return " | ".join(entry.metadata["allowed"])
    return "true | false" if isinstance(entry.default, bool) else str(entry.metadata.get("rule", "text"))
