"""Frozen dataclasses as JSON and back, strictly: the same keys, the same types, finite numbers. Floor 1.

A key whose field has a default may be absent: it was added after the file was written.

It knows what the house's records are made of (text, numbers, truth values, words of a StrEnum, ``X | None``,
``tuple[X, ...]`` and ``tuple[X, Y]``, dataclasses of these) and refuses everything else.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import typing
from enum import StrEnum
from types import UnionType
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from edge.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Value = TypeVar("Value")


def to_json(value: object) -> bytes:
    """Return a dataclass as UTF-8 JSON; floats in the shortest form that reads back as the same float.

    Raises:
        InputError: a number in it is not finite, for which JSON has no word.
    """
    try:
        return json.dumps(dataclasses.asdict(typing.cast("Any", value)), allow_nan=False).encode()
    except ValueError as error:
        raise InputError(f"{type(value).__name__}: holds a number that is not finite") from error


def from_json(kind: type[Value], data: bytes, path: Path, upgrade: Callable[[Any], object] | None = None) -> Value:
    """Return the dataclass ``kind`` that ``data``, read from ``path``, says.

    ``upgrade`` brings what was written in an older form to today's before it is checked; it may raise KeyError,
    TypeError or ValueError for what is neither.

    Raises:
        InputError: one line: file, key, what is allowed.
    """
    try:
        table = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: is not JSON, or not all of it: {error}") from error
    try:
        table = table if upgrade is None else upgrade(table)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: is written in no form that is known here: {error!r}") from error
    try:
        return typing.cast("Value", _decode(kind, table, kind.__name__))
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _decode(kind: Any, value: object, where: str) -> object:  # noqa: ANN401 - a type, or what typing makes of one
    if dataclasses.is_dataclass(kind):
        return _dataclass(kind, value, where)
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is UnionType:
        return None if value is None else _decode(inner[0], value, where)
    if origin is tuple:
        return _tuple(inner, value, where)
    if issubclass(kind, StrEnum):
        return _word(kind, value, where)
    return _plain(kind, value, where)


def _dataclass(kind: Any, value: object, where: str) -> object:  # noqa: ANN401 - as above
    hints = _hints(kind)
    if not isinstance(value, dict) or not hints.keys() - _optional(kind) <= value.keys() <= hints.keys():
        _refuse(where, value, f"a table of {', '.join(hints)}")
    return kind(**{name: _decode(hints[name], entry, f"{where}.{name}") for name, entry in value.items()})


@functools.cache
def _optional(kind: Any) -> frozenset[str]:  # noqa: ANN401 - as above
    return frozenset(entry.name for entry in dataclasses.fields(kind) if entry.default is not dataclasses.MISSING)


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _tuple(inner: tuple[Any, ...], value: object, where: str) -> object:
    if not isinstance(value, list):
        _refuse(where, value, "a list")
    kinds = (inner[0],) * len(value) if inner[-1] is Ellipsis else inner
    if len(kinds) != len(value):
        _refuse(where, value, f"a list of {len(kinds)}")
    return tuple(
        _decode(kind, entry, f"{where}[{i}]") for i, (kind, entry) in enumerate(zip(kinds, value, strict=True))
    )


def _word(kind: type[StrEnum], value: object, where: str) -> object:
    if not isinstance(value, str) or value not in list(kind):
        _refuse(where, value, f"one of {', '.join(kind)}")
    return kind(value)


def _plain(kind: type, value: object, where: str) -> object:
    if kind is float and type(value) is int:
        value = _as_float(value)
    if type(value) is not kind:  # exactly: to Python, True is a whole number too
        _refuse(where, value, {str: "text", int: "a whole number", float: "a number", bool: "true or false"}[kind])
    if isinstance(value, float) and not math.isfinite(value):
        _refuse(where, value, "a finite number")
    return value


def _as_float(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _refuse(where: str, value: object, allowed: str) -> NoReturn:
    raise InputError(f"{where}: {repr(value)[:60]} is not {allowed}")
