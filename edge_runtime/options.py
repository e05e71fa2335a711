"""Command-line options as frozen dataclasses: one class is the parser, the help text and the saved configuration."""

from __future__ import annotations

import argparse
import dataclasses
import os
import types
import typing
from pathlib import Path
from typing import Any, TypeVar

from edge_runtime.errors import UsageError

DATA_VARIABLE = "FER_EDGE_DATA"

T = TypeVar("T")


def option(default: Any, text: str) -> Any:  # noqa: ANN401  (dataclasses.field is typed the same way)
    """Declare a dataclass field with its default and the help text that the command line shows."""
    return dataclasses.field(default=default, metadata={"help": text})


def add_options(parser: argparse.ArgumentParser, options_class: type) -> None:
    """Give ``parser`` one ``--flag`` for each field that ``option`` declared.

    Other fields stay off the command line.
    """
    hints = typing.get_type_hints(options_class)
    for field in _options(options_class):
        flag, text = "--" + field.name.replace("_", "-"), field.metadata["help"]
        kind, many = _unwrap(hints[field.name])
        if kind is bool:
            parser.add_argument(
                flag, dest=field.name, default=field.default, action=argparse.BooleanOptionalAction, help=text
            )
            continue
        default: Any = field.default
        if default not in (None, "", ()):
            text += f" (default: {' '.join(map(str, default)) if many else default})"
        literal = typing.get_origin(kind) is typing.Literal
        parser.add_argument(
            flag,
            dest=field.name,
            default=field.default,
            help=text,
            nargs="+" if many else None,
            type=str if literal else kind,
            choices=typing.get_args(kind) if literal else None,
            metavar=None if literal else kind.__name__.upper(),
        )


def to_options(options_class: type[T], parsed: argparse.Namespace) -> T:
    """Build the frozen options from what argparse read; the class itself checks the ranges."""
    values = {field.name: getattr(parsed, field.name) for field in _options(options_class)}
    return options_class(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})


def to_plain(options: Any) -> Any:  # noqa: ANN401  (any dataclass, or what one holds)
    """Turn options into what JSON can hold: paths become text, tuples lists."""
    if dataclasses.is_dataclass(options):
        return {field.name: to_plain(getattr(options, field.name)) for field in dataclasses.fields(options)}
    if isinstance(options, tuple | list):
        return [to_plain(item) for item in options]
    return str(options) if isinstance(options, Path) else options


def from_plain(options_class: type[T], plain: dict[str, Any]) -> T:
    """Build options from what ``to_plain`` made of them; raise ``UsageError`` when the keys are not theirs."""
    try:
        hints = typing.get_type_hints(options_class)
        return options_class(**{name: _from_plain(hints.get(name), value) for name, value in plain.items()})
    except (TypeError, AttributeError) as error:
        expected = ", ".join(field.name for field in dataclasses.fields(options_class))  # type: ignore[arg-type]
        step = "use files of this version of fer-edge"
        what = f"{options_class.__name__} in a saved configuration"
        raise UsageError(what, expected=expected, got=str(error), next_step=step) from error


def data_path(given: Path | None) -> Path:
    """Return the face data named by ``--data`` or, without it, by the environment variable ``FER_EDGE_DATA``."""
    if given is not None:
        return given
    if named := os.environ.get(DATA_VARIABLE):
        return Path(named)
    raise UsageError(
        "no face data was named",
        expected=f"--data FILE or {DATA_VARIABLE}",
        got="neither",
        next_step="name FER2013 as .csv or .parquet",
    )


def _from_plain(hint: Any, value: Any) -> Any:  # noqa: ANN401  (type hints have no common type)
    kind, many = _unwrap(hint)
    if many:
        return tuple(_from_plain(kind, item) for item in value)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return from_plain(kind, value)
    return Path(value) if kind is Path and value is not None else value


def _options(options_class: type) -> list[dataclasses.Field[Any]]:
    return [field for field in dataclasses.fields(options_class) if "help" in field.metadata]


def _unwrap(hint: Any) -> tuple[Any, bool]:  # noqa: ANN401  (type hints have no common type)
    """``X | None`` is X; ``tuple[X, ...]`` is X, many times."""
    if isinstance(hint, types.UnionType):
        hint = next(part for part in typing.get_args(hint) if part is not types.NoneType)
    if typing.get_origin(hint) is tuple:
        return typing.get_args(hint)[0], True
    return hint, False
