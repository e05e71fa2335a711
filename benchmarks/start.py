"""How an artefact starts: import, loading, first face, resident memory; in a process of its own.

A process of its own, because a package is imported once in a process, memory has one high-water mark in it, and an
engine that a machine cannot run may take it down.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

from edge_runtime.emotions import selftest
from edge_runtime.emotions.backends.base import ENGINES
from edge_runtime.emotions.backends.null import NullBackend
from edge_runtime.emotions.classifier import EmotionClassifier, bundle_folder
from edge_runtime.emotions.contract import Artefact, ModelCard, read_card
from edge_runtime.errors import BundleError
from edge_runtime.process import peak_mb

_TIMEOUT_S = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """The start of one candidate in a fresh process.

    ``import_ms``: of the engine's package. ``load_ms``: reading, verifying, compiling and self-test. ``first_ms``: the
    first face after the self-test. ``resident_mb``: the high-water mark of resident memory (VmHWM) then, of the whole
    process; None where the system does not tell.
    """

    import_ms: float
    load_ms: float
    first_ms: float
    resident_mb: float | None


def measure_start(bundle: str, artefact: Artefact | None, threads: int) -> Start:
    """Start one artefact (None: the null backend) in a fresh process.

    Raises ``BundleError`` when that fails or the process dies.
    """
    place = "null" if artefact is None else str(read_card(bundle_folder(bundle)).artefacts.index(artefact))
    # the same modules as here, whichever way they were found
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-m", "benchmarks.start", bundle, place, str(threads)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_TIMEOUT_S, env=environment)
    except subprocess.TimeoutExpired:
        got = f"no end within {_TIMEOUT_S} s"
    else:
        if done.returncode == 0:
            return Start(**json.loads(done.stdout.splitlines()[-1]))
        died = signal.Signals(-done.returncode).name if done.returncode < 0 else ""
        got = died or (done.stderr.splitlines() or [f"exit code {done.returncode}"])[-1]
    step = "update the engine, or choose others with --engine"
    raise BundleError(f"{artefact or 'null'} at its start", expected="an engine that runs", got=got, next_step=step)


def load(bundle: str, artefact: Artefact | None, threads: int) -> EmotionClassifier:
    """Load an artefact of ``bundle``; None is the null backend in the place of one."""
    if artefact is None:
        card = read_card(bundle_folder(bundle))
        return EmotionClassifier(card, card.artefacts[0], NullBackend())
    return EmotionClassifier.load(bundle, engine=artefact.engine, precision=artefact.precision, threads=threads)


def _start(bundle: str, place: str, threads: int) -> Start:
    card: ModelCard = read_card(bundle_folder(bundle))
    artefact = None if place == "null" else card.artefacts[int(place)]
    face = selftest.faces(1, 1)  # drawing it, and what that imports, is no part of a start
    began = time.perf_counter()
    if artefact is not None:
        importlib.import_module(ENGINES[artefact.engine].module)
    imported = time.perf_counter()
    classifier = load(bundle, artefact, threads)
    loaded = time.perf_counter()
    classifier.probabilities(face)
    first = time.perf_counter()
    return Start(
        import_ms=(imported - began) * 1e3,
        load_ms=(loaded - imported) * 1e3,
        first_ms=(first - loaded) * 1e3,
        resident_mb=peak_mb(),
    )


if __name__ == "__main__":
    print(json.dumps(dataclasses.asdict(_start(sys.argv[1], sys.argv[2], int(sys.argv[3])))))
