"""``fer-edge evaluate --final``: PrivateTest, once, into the card of what ships.

A split that choices were made on flatters. So PrivateTest is read for a finished model alone, and what was found is
written beside it, where a second reading is refused.
"""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any, NoReturn

from edge_runtime.emotions.backends.base import installed_engines
from edge_runtime.emotions.classifier import EmotionClassifier, bundle_folder
from edge_runtime.emotions.contract import SplitMetrics, read_card, write_card
from edge_runtime.errors import DataError, NotInstalledError, SinkError, UsageError
from edge_runtime.files import write_text

SPLIT = "PrivateTest"
_KEY = "private_test"


def check(bundle: str, weights: tuple[Path, ...]) -> None:
    """Refuse, before anything is read, when PrivateTest was written before or could not be written now."""
    if weights:
        for folder in weights:
            if _KEY in _meta(folder):
                _refuse(str(folder))
            _require_writable(folder)
        return
    card = read_card(bundle_folder(bundle))
    _require_writable(bundle_folder(bundle))
    for artefact in card.artefacts:
        if SPLIT in artefact.metrics:
            _refuse(f"{artefact} of {bundle}")
        if artefact.engine not in installed_engines():
            what, step = "--final", "install every engine that the bundle has an artefact for"
            raise NotInstalledError(what, expected=artefact.engine, got="not installed", next_step=step)
        # one that is refused here would leave the card half written, with its faces read
        EmotionClassifier.load(bundle, engine=artefact.engine, precision=artefact.precision).close()


def record(bundle: str, weights: tuple[Path, ...], reports: list[dict[str, Any]]) -> None:
    """Write what was found into ``model.json``, or into each ``weights.json``."""
    found = {report["name"]: report for report in reports}
    if weights:
        for folder in weights:
            meta = _meta(folder) | {_KEY: found[str(folder)]}
            write_text(folder / "weights.json", json.dumps(meta, indent=1) + "\n")
        return
    folder = bundle_folder(bundle)
    card = read_card(folder)
    names = [field.name for field in dataclasses.fields(SplitMetrics)]
    artefacts = []
    for artefact in card.artefacts:
        metrics = SplitMetrics(**{name: found[str(artefact)][name] for name in names})
        artefacts.append(dataclasses.replace(artefact, metrics=artefact.metrics | {SPLIT: metrics}))
    write_card(folder, dataclasses.replace(card, artefacts=tuple(artefacts)))


def _require_writable(folder: Path) -> None:
    if not os.access(folder, os.W_OK):
        expected, step = "the right to write the result there", "give the command as the one who may"
        raise SinkError(str(folder), expected=expected, got="none", next_step=step)


def _meta(folder: Path) -> dict[str, Any]:
    try:
        return dict(json.loads((folder / "weights.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, RecursionError) as error:
        what, step = f"{folder / 'weights.json'} cannot be read", "name the --out folder of a finished run"
        raise DataError(what, expected="what the weights are", got=str(error), next_step=step) from error


def _refuse(what: str) -> NoReturn:
    step = "read it there; a changed model is exported or trained anew, and has a card of its own"
    raise UsageError(f"--final for {what}", expected=f"no {SPLIT} in its card", got="one", next_step=step)
