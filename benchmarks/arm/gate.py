"""What ``make arm`` has counted, as a JSON document, and held against the one that is committed."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edge_runtime.errors import DataError, RegressionError
from edge_runtime.files import write_text

SCHEMA = 1
BASELINE = Path(__file__).with_name("baseline.json")
SEPARATOR = " / "
"""Between the parts of a count's name: board, environment, a bundle's artefact or what else was counted, part of it."""

_RENEW = "make arm-baseline, and say why in the commit"
# LiteRT and OpenCV execute the same instructions each time; the two others spread over 0.07 %, more on a busy machine
_TOLERANCES = {"onnx": 0.01, "openvino": 0.01}
_TOLERANCE = 0.005


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Counts of instructions, and all that they depend on.

    ``conditions``: name -> version, of QEMU and of each environment's packages. ``files``: name -> a model's sha256.
    ``counts``: name -> instructions. ``refused``: name of an artefact -> why its self-test refuses it there.
    """

    schema: int = SCHEMA
    conditions: dict[str, str]
    files: dict[str, str]
    counts: dict[str, int]
    refused: dict[str, str]


def name_of(*parts: str) -> str:
    """Join the parts of a count's name."""
    return SEPARATOR.join(parts)


def write_record(record: Record, path: Path) -> None:
    """Write the document, whole or not at all."""
    write_text(path, json.dumps(asdict(record), indent=1, ensure_ascii=False) + "\n")


def read_record(path: Path) -> Record:
    """Read a document that ``write_record`` wrote; raise ``DataError`` when it is missing or another's."""
    try:
        raw: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        record = Record(**raw)
    except (OSError, ValueError, TypeError) as error:
        raise DataError(str(path), expected="counts of make arm", got=str(error), next_step=_RENEW) from error
    if record.schema != SCHEMA:
        raise DataError(str(path), expected=f"schema {SCHEMA}", got=str(record.schema), next_step=_RENEW)
    return record


def judge(found: Record, baseline: Record) -> str:
    """Hold ``found`` against ``baseline`` and return one line for people.

    Raises ``RegressionError`` when a count is off and nothing that it depends on has changed, and ``DataError`` when it
    is off and something has: then the baseline is of something else, and has to be made anew.
    """
    other, wrong = changed(found, baseline), off(found, baseline)
    if wrong and other:
        what = f"the baseline is of other files or versions: {', '.join(other)}"
        raise DataError(what, expected="its counts", got="; ".join(wrong), next_step="re-baseline: " + _RENEW)
    if wrong:
        step = f"find the change that did it, or {_RENEW}"
        raise RegressionError("instructions on Arm", expected="the baseline's", got="; ".join(wrong), next_step=step)
    said = "counts as in the baseline"
    if other:
        said += f", though it is of another {', another '.join(other)}; {_RENEW}"
    if _has_yunet(baseline) and not _has_yunet(found):
        said += "; YuNet's frames were NOT COUNTED: fer-edge fetch yunet, or FER_EDGE_YUNET names its file"
    return said


def changed(found: Record, baseline: Record) -> list[str]:
    """Name the models and versions that are others than the baseline's."""
    here, there = found.conditions | found.files, baseline.conditions | baseline.files
    return sorted(name for name in here.keys() & there.keys() if here[name] != there[name]) + sorted(
        here.keys() ^ (there.keys() if _has_yunet(found) else there.keys() - {"yunet"})
    )


def off(found: Record, baseline: Record) -> list[str]:
    """Describe each count that is outside its tolerance, missing or new, and each artefact refused only here or there.

    What the baseline counted with YuNet is left out where its file was not there to be counted again.
    """
    lines = []
    expected = {name: n for name, n in baseline.counts.items() if _has_yunet(found) or "yunet" not in name}
    for name in sorted(found.counts.keys() | expected.keys()):
        here, there = found.counts.get(name), expected.get(name)
        if here is None or there is None:
            lines.append(f"{name}: {'not counted' if here is None else 'not in the baseline'}")
        elif abs(here / there - 1) > (tolerance := _tolerance(name)):
            lines.append(f"{name}: {here:,} for {there:,}, {here / there - 1:+.2%} (±{tolerance:.1%})")
    lines += [f"{name}: refused" for name in sorted(found.refused.keys() - baseline.refused.keys())]
    lines += [f"{name}: refused no longer" for name in sorted(baseline.refused.keys() - found.refused.keys())]
    return lines


def _has_yunet(record: Record) -> bool:
    return "yunet" in record.files


def _tolerance(name: str) -> float:
    subject = name.split(SEPARATOR)[2].split()  # the bundle, its engine, its precision
    return next((tolerance for engine, tolerance in _TOLERANCES.items() if engine in subject), _TOLERANCE)
