"""Decoded JSON into frozen dataclasses, strictly: an unknown or missing key or a wrong type is refused, not mended."""

from __future__ import annotations

import dataclasses
import math
import re
import types
import typing
from typing import Any, Literal, TypeVar

T = TypeVar("T")

_HALF = re.compile("[\\ud800-\\udfff]")
"""Half of a character: JSON can say it, and no file or terminal takes it."""


class MismatchError(ValueError):
    """Something in a document is not as its dataclass says; whoever reads the file says what to do next."""

    def __init__(self, what: str, expected: str, got: object) -> None:
        """Keep the three parts; ``got`` is shortened, for it may be a whole file."""
        self.what, self.expected, self.got = what, expected, str(got)[:200] or "nothing"
        super().__init__(f"{what}: expected {expected}, got {self.got}")


def build(kind: type[T], raw: Any, where: str) -> T:  # noqa: ANN401  (anything can stand in a JSON file)
    """Build a dataclass from decoded JSON, its nested ones too, with lists as tuples.

    A field with a ``default_factory`` may be missing. ``where`` names the document in errors. Raises ``MismatchError``,
    and what the dataclasses themselves raise.
    """
    require(isinstance(raw, dict), where, "an object", raw)
    fields = dataclasses.fields(kind)  # type: ignore[arg-type]
    required = {field.name for field in fields if field.default_factory is dataclasses.MISSING}
    right = required <= raw.keys() <= {field.name for field in fields}
    require(right, f"keys of {where}", ", ".join(field.name for field in fields), ", ".join(raw))
    hints = typing.get_type_hints(kind)
    return kind(**{name: _value(hints[name], value, f"{where}.{name}") for name, value in raw.items()})


def require(holds: bool, what: str, expected: str, got: object) -> None:  # noqa: FBT001  (reads as an assertion)
    """Raise ``MismatchError`` unless ``holds``."""
    if not holds:
        raise MismatchError(what, expected, got)


def _value(hint: Any, raw: Any, where: str) -> Any:  # noqa: ANN401, PLR0911  (type hints have no common type; one way out a kind)
    """Check one value against its type hint and return it, with JSON lists as tuples."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return raw
    if origin is types.UnionType:  # X | None is the only one that occurs
        return None if raw is None else _value(arguments[0], raw, where)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return build(hint, raw, where)
    if origin is Literal:
        require(raw in arguments, where, " | ".join(arguments), raw)
        return raw
    if origin is dict:
        require(isinstance(raw, dict), where, "an object", raw)
        return {key: _value(arguments[1], value, f"{where}.{key}") for key, value in raw.items()}
    if origin is tuple:
        require(isinstance(raw, list), where, "a list", raw)
        endless = arguments[-1] is Ellipsis
        require(endless or len(raw) == len(arguments), where, f"{len(arguments)} values", raw)
        return tuple(
            _value(arguments[0] if endless else arguments[i], value, f"{where}[{i}]") for i, value in enumerate(raw)
        )
    if hint is float:
        number = isinstance(raw, int | float) and not isinstance(raw, bool)
        require(number and abs(raw) < 1e12 and math.isfinite(raw), where, "a finite number", raw)  # noqa: PLR2004  (an integer beyond float would raise)
        return float(raw)
    require(type(raw) is hint, where, hint.__name__, raw)
    if hint is str:
        require(raw.isascii() or not _HALF.search(raw), where, "whole characters", ascii(raw))
    return raw
