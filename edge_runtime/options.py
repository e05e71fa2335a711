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
VOTES_VARIABLE = "FER_EDGE_FERPLUS"

T = TypeVar("T")


def option(default: Any, text: str, *, positional: bool = False) -> Any:  # noqa: ANN401  (as dataclasses.field is)
    """Declare a dataclass field with its default and the help text that the command line shows.

    ``positional``: it is given by its place and not by a flag.
    """
    return dataclasses.field(default=default, metadata={"help": text, "positional": positional})


def group(options_class: type[T]) -> T:
    """Declare a dataclass field that holds options of its own; their flags stand beside the others."""
    made: T = dataclasses.field(default_factory=options_class, metadata={"group": True})
    return made


def add_options(parser: argparse.ArgumentParser, options_class: type) -> None:
    """Give ``parser`` one ``--flag`` for each field that ``option`` or ``group`` declared.

    Other fields stay off the command line.
    """
    hints = typing.get_type_hints(options_class)
    for field in _options(options_class):
        flag, text = "--" + field.name.replace("_", "-"), field.metadata["help"]
        kind, many = _unwrap(hints[field.name])
        if field.metadata["positional"]:
            parser.add_argument(
                field.name, nargs="?", default=field.default, choices=typing.get_args(kind) or None, help=text
            )
            continue
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
    for name in _groups(options_class):
        add_options(parser, hints[name])


def to_options(options_class: type[T], parsed: argparse.Namespace) -> T:
    """Build the frozen options from what argparse read; the class itself checks the ranges."""
    values = {field.name: getattr(parsed, field.name) for field in _options(options_class)}
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    hints = typing.get_type_hints(options_class)
    return options_class(**values, **{name: to_options(hints[name], parsed) for name in _groups(options_class)})


def to_plain(options: Any, *, names_only: bool = False) -> Any:  # noqa: ANN401  (any dataclass, or what one holds)
    """Turn options into what JSON can hold: paths become text, tuples lists.

    ``names_only``: of a path only its last part, for what is published and shall say nothing of a machine.
    """
    if dataclasses.is_dataclass(options):
        options = {field.name: getattr(options, field.name) for field in dataclasses.fields(options)}
    if isinstance(options, tuple | list):
        return [to_plain(item, names_only=names_only) for item in options]
    if isinstance(options, dict):
        return {name: to_plain(value, names_only=names_only) for name, value in options.items()}
    if isinstance(options, Path):
        return options.name if names_only else str(options)
    return options


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


def require(name: str, value: object, *, holds: bool, expected: str) -> None:
    """Refuse an option's value that is out of range or contradicts another: raise ``UsageError`` unless it holds."""
    if not holds:
        flag, got = "--" + name.replace("_", "-"), " ".join(map(str, value)) if isinstance(value, tuple) else str(value)
        step = "correct the option"
        raise UsageError(f"{flag} is out of range", expected=expected, got=got or "nothing", next_step=step)


def data_path(given: Path | None) -> Path:
    """Return the face data named by ``--data`` or, without it, by the environment variable ``FER_EDGE_DATA``."""
    return _path(given, "--data", DATA_VARIABLE, "FER2013 as .csv, .parquet or a folder tree")


def votes_path(given: Path | None) -> Path:
    """Return the FER+ votes named by ``--ferplus`` or, without it, by ``FER_EDGE_FERPLUS``."""
    return _path(given, "--ferplus", VOTES_VARIABLE, "the FER+ votes, fer2013new.csv")


def _path(given: Path | None, flag: str, variable: str, content: str) -> Path:
    if given is not None:
        return given
    if named := os.environ.get(variable):
        return Path(named)
    raise UsageError(
        f"{flag} is missing", expected=f"{flag} PATH or {variable}", got="neither", next_step=f"name {content}"
    )


def _from_plain(hint: Any, value: Any) -> Any:  # noqa: ANN401  (type hints have no common type)
    kind, many = _unwrap(hint)
    if many:
        return tuple(_from_plain(kind, item) for item in value)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return from_plain(kind, value)
    if value is None or kind is Path:
        return None if value is None else Path(value)
    choices = typing.get_args(kind)
    if value not in choices if choices else type(value) not in ((int, float) if kind is float else (kind,)):
        raise TypeError(f"{value!r} is no {' or '.join(choices) or kind.__name__}")
    return value


def _options(options_class: type) -> list[dataclasses.Field[Any]]:
    return [field for field in dataclasses.fields(options_class) if "help" in field.metadata]


def _groups(options_class: type) -> list[str]:
    return [field.name for field in dataclasses.fields(options_class) if "group" in field.metadata]


def _unwrap(hint: Any) -> tuple[Any, bool]:  # noqa: ANN401  (type hints have no common type)
    """``X | None`` is X; ``tuple[X, ...]`` is X, many times."""
    if typing.get_origin(hint) in {types.UnionType, typing.Union}:  # the second where X is a Literal
        hint = next(part for part in typing.get_args(hint) if part is not types.NoneType)
    if typing.get_origin(hint) is tuple:
        return typing.get_args(hint)[0], True
    return hint, False
