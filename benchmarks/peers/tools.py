"""The engines' own benchmarks on this project's artefacts: does this harness measure what they measure?"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from benchmarks.clock import interleave
from benchmarks.report import Report
from benchmarks.session import Measured, Session
from edge_runtime.emotions.backends.base import Backend
from edge_runtime.emotions.classifier import EmotionClassifier
from edge_runtime.emotions.contract import Engine
from edge_runtime.errors import FerEdgeError, RegressionError

TOLERANCE = 0.10
CALL_MS = 0.02
"""What a call from Python, with input and answer handed over, may cost more than one in an engine's own C++ loop."""
PAIRS = 15
_LIMIT_S = 300


def harness(session: Session, ours: dict[str, tuple[EmotionClassifier, Path]], calls: int) -> Iterator[Measured]:
    """Time the network alone, one face, here and by its engine's own benchmark, ``calls`` times each.

    ``ours``: name -> a loaded artefact and its main file; what has died is left out. A benchmark that fails has died
    under a name of its own.
    """
    batch = np.random.default_rng(0).standard_normal((1, 1, 48, 48)).astype(np.float32)
    for engine, (tool_name, tool) in TOOLS.items():
        samples, figures = {}, {}
        known = [name for name in ours if name in session.candidates and ours[name][0].artefact.engine == engine]
        for name in tqdm(known, desc=tool_name, leave=False, disable=None):
            classifier, model = ours[name]
            here, there = partial(_here, classifier.backend, batch, calls), partial(tool, model, calls)
            if pairs := _pairs(session, {name: here, f"{tool_name} with {name}": there}):
                samples[name] = {"": [ms for taken, _ in pairs for ms in taken]}
                figures[name] = agreement([(float(np.median(taken)), ms) for taken, ms in pairs])
        yield Measured(scenario="harness", case=tool_name, faces=1, samples=samples, figures=figures)


def _pairs(session: Session, sides: dict[str, Callable[[], Any]]) -> list[tuple[Any, ...]]:
    """Return what both sides gave, pair by pair until one dies; who was last in a pair is first in the next."""
    pairs, order = [], list(sides)
    for _ in range(PAIRS):
        found = {}
        for side in order:
            with session.survive(side, "harness"):
                found[side] = sides[side]()
        if len(found) < len(sides):
            break
        pairs.append(tuple(found[side] for side in sides))
        order.reverse()
    return pairs


def _here(backend: Backend, batch: NDArray[np.float32], calls: int) -> list[float]:
    """Return the milliseconds of each call."""
    return interleave({"": lambda _: backend.infer(batch)}, min_seconds=0, min_count=calls, label="here")[""]


def agreement(medians_ms: Sequence[tuple[float, float]]) -> dict[str, float]:
    """Hold the harness's medians against the tool's, pair by pair: what ``Row.figures`` says of it."""
    ratios = [here / there for here, there in medians_ms]
    ratio = float(np.median(ratios))
    apart_ms = float(np.median([abs(here - there) for here, there in medians_ms]))
    return {
        "here_ms": float(np.median([here for here, _ in medians_ms])),
        "tool_ms": float(np.median([there for _, there in medians_ms])),
        "ratio": ratio,
        "least_ratio": min(ratios),
        "greatest_ratio": max(ratios),
        "pairs": len(medians_ms),
        "agrees": float(abs(ratio - 1) <= TOLERANCE or apart_ms <= CALL_MS),
    }


def require_agreement(report: Report) -> None:
    """Raise ``RegressionError`` when the harness and an engine's own benchmark measure different times."""
    apart = {row.candidate: row.figures["ratio"] for row in report.of("harness") if not row.figures["agrees"]}
    if apart:
        got = ", ".join(f"{name} {ratio:.2f} times it" for name, ratio in apart.items())
        expected = f"times within {TOLERANCE:.0%} or {CALL_MS * 1e3:.0f} µs of the engines' own benchmarks"
        step = "measure on a quiet machine"
        raise RegressionError("the harness", expected=expected, got=got, next_step=step)


def benchmark_app(model: Path, calls: int) -> float:
    """Return the median in ms of OpenVINO's own: synchronous, one stream and thread, in single precision."""
    settings = ["-d", "CPU", "-api", "sync", "-hint", "none", "-nstreams", "1", "-nthreads", "1"]
    # the network takes any batch, and stays so: a fixed shape would be compiled to another program
    settings += ["-infer_precision", "f32", "-data_shape", "[1,1,48,48]", "-niter", str(calls)]
    return median_ms(_run([str(Path(sys.executable).with_name("benchmark_app")), "-m", str(model), *settings]))


def median_ms(output: str) -> float:
    """Read "Median: 255.72 us" or "1.37 ms" of what benchmark_app prints; raise ``FerEdgeError`` without it."""
    said = re.search(r"Median:\s+([\d.]+) (us|ms)", output)
    if not said:
        tail = output.strip()[-200:]
        raise FerEdgeError("benchmark_app", expected="a line 'Median: … ms'", got=tail, next_step="see to its version")
    return float(said[1]) / {"us": 1e3, "ms": 1}[said[2]]


def benchmark_litert_model(model: Path, calls: int) -> float:
    """Return the median in ms of LiteRT's own, one thread; it is rounded to a hundredth. The first batch size is 1."""
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result.json"
        counts = ["--num_threads=1", f"--num_runs={calls}", "--warmup_runs=20", f"--result_json={result}"]
        _run([sys.executable, "-m", "ai_edge_litert.tools.benchmark_litert_model", f"--model={model}", *counts])
        return float(json.loads(result.read_text(encoding="utf-8"))["latency"]["median_ms"])


TOOLS: dict[Engine, tuple[str, Callable[[Path, int], float]]] = {
    "openvino": ("benchmark_app", benchmark_app),
    "tflite": ("LiteRT's own", benchmark_litert_model),
}


def _run(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_LIMIT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _failed(command, str(error)) from error
    if done.returncode:
        raise _failed(command, f"{done.returncode}, {(done.stderr or done.stdout).strip()[-200:]}")
    return done.stdout


def _failed(command: list[str], got: str) -> FerEdgeError:
    name, step = Path(command[0]).name, "see to its message"
    return FerEdgeError(" ".join([name, *command[1:3]]), expected="exit code 0", got=got, next_step=step)
