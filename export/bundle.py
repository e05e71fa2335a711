"""``fer-edge export``: convert, prove, measure, and write the bundle in one piece."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import logging
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from distill.networks import load_network
from edge_runtime.emotions import selftest
from edge_runtime.emotions.backends.base import open_backend
from edge_runtime.emotions.contract import (
    CARD_NAME,
    SCHEMA,
    Artefact,
    Crop,
    Engine,
    Input,
    ModelCard,
    Precision,
    Provenance,
    SelfTest,
    SplitMetrics,
    read_card,
    write_card,
)
from edge_runtime.emotions.labels import EMOTIONS, FACE_SIZE
from edge_runtime.emotions.normalise import MEAN, STD, normalise
from edge_runtime.errors import DataError, FerEdgeError, RegressionError, SinkError, UsageError
from edge_runtime.files import make_folder
from edge_runtime.options import data_path
from edge_runtime.scoring.calibration import fit_temperature
from edge_runtime.scoring.datasets import FaceSet, read_faces
from edge_runtime.scoring.metrics import score, softmax
from export import elsewhere, parity, to_onnx, to_openvino, to_tflite
from export.calibrate import calibration_faces
from export.config import ExportConfig
from export.sensitivity import report, sensitivity
from train.checkpoint import load_meta
from train.evaluate import predict

READS = Input(size_hw=(FACE_SIZE, FACE_SIZE), channels=1, mean=MEAN, std=STD, crop=Crop(rule="five-point", margin=0.0))
SELF_TEST_FACES = 24
"""So many that what comes out wrong of one in ten is found."""
_TOOLS = ("torch", "onnx", "onnxruntime", "openvino", "nncf", "litert-torch", "ai-edge-quantizer", "ai-edge-litert")

ENGINES: dict[str, tuple[Engine, ...]] = {
    "student": ("onnx", "openvino", "tflite"),
    "student-nano": ("onnx", "openvino", "tflite"),
    "full": ("onnx", "openvino"),
}
"""What each network is converted to; TFLite is for boards, and the full model is for a workstation."""

Files = dict[str, bytes]
"""Name to content, the engine's main file first."""


def export(config: ExportConfig) -> None:
    """Run ``fer-edge export``."""
    logging.disable(logging.WARNING)  # three converters' advice to their own developers
    _check_target(config)
    if config.tflite_runtime:  # now, and not when all is converted
        elsewhere.require_interpreter(config.tflite_runtime)
    if config.sensitivity and network_name(config.weights) == "full":
        step = "leave --sensitivity out"
        raise UsageError("--sensitivity", expected="the weights of a student", got="a full model's", next_step=step)
    data = data_path(config.data)
    training, public = read_faces(data, "Training"), read_faces(data, "PublicTest")
    model = load_network(config.weights)
    calibration = normalise(calibration_faces(training, config.calibration, config.seed))
    provenance = Provenance(
        commit=_commit(),
        data_sha256=training.sha256,
        tools={name: importlib.metadata.version(name) for name in _TOOLS} | {"python": platform.python_version()},
        seed=config.seed,
        command="fer-edge " + " ".join(sys.argv[1:]),
        licence="Apache-2.0",
    )
    card = write_bundle(config, model, calibration, public, provenance)
    if config.sensitivity:
        print(report(sensitivity(model, calibration, public), model))
    if card.provenance.omitted:
        got = "; ".join(f"{name}: {reason}" for name, reason in card.provenance.omitted.items())
        step = "the bundle holds the others; retrain, or export with other tool versions"
        raise RegressionError(
            "artefacts were left out of the bundle", expected="agreement with torch", got=got, next_step=step
        )


def network_name(weights: Path) -> str:
    """Return a key of ``ENGINES``: what the weights in a finished run's folder are of."""
    meta = load_meta(weights)
    name = "full" if meta.get("shape") == "model" else str(meta["config"].get("network"))
    if name not in ENGINES:
        step = "name the --out folder of a finished run"
        raise DataError(f"{weights} holds other weights", expected=", ".join(ENGINES), got=name, next_step=step)
    return name


def write_bundle(
    config: ExportConfig,
    model: torch.nn.Module,
    calibration: NDArray[np.float32],
    public: FaceSet,
    provenance: Provenance,
) -> ModelCard:
    """Convert ``model`` to each of its engines and precisions, measure each on ``public``, put what agrees in ``out``.

    Nothing of ``config.out`` is touched before the new bundle is whole. What disagrees is named in
    ``provenance.omitted``. Raises ``UsageError`` when an engine lacks an operator, ``SinkError`` when the disk is full.
    """
    reference, out = predict(model, public.images), config.out.resolve()
    make_folder(out.parent)
    try:
        with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as room:  # on the same disk
            new, old = Path(room) / "new", Path(room) / "old"
            new.mkdir()
            card = _fill(new, config, model, calibration, public, reference, provenance)
            if config.tflite_runtime:
                found = elsewhere.verdicts(config.tflite_runtime, new, public.images, reference)
                artefacts = (dataclasses.replace(a, elsewhere=found.get(str(a), {})) for a in card.artefacts)
                write_card(new, dataclasses.replace(card, artefacts=tuple(artefacts)))
            card = read_card(new)  # what was written is what a device will read
            _replace(new, out, old)
    except OSError as error:
        step = "see to it and give the command again; a bundle from before is whole"
        expected = "room on the disk, and the right to write"
        raise SinkError(f"bundle {out}", expected=expected, got=str(error), next_step=step) from error
    print(table(card))
    return card


def _fill(
    folder: Path,
    config: ExportConfig,
    model: torch.nn.Module,
    calibration: NDArray[np.float32],
    public: FaceSet,
    reference: NDArray[np.float32],
    provenance: Provenance,
) -> ModelCard:
    """Write every artefact that passes the gate, and the card, into an empty folder."""
    name, temperature = network_name(config.weights), fit_temperature(public.labels, reference)
    artefacts, omitted = [], {}
    todo = list(conversions(name, model, calibration))
    for engine, precision, convert in tqdm(todo, desc="artefacts", unit="artefact"):
        try:
            files = convert()
        except (FerEdgeError, OSError):
            raise
        except Exception as error:  # the converters' own kinds have no root in common
            step = "build the network of operators that every engine has"
            expected, got = "operators that it has", str(error).strip().partition("\n")[0][:300]
            raise UsageError(f"{name} for {engine} {precision}", expected=expected, got=got, next_step=step) from error
        artefact, objection = measure(engine, precision, files, public, reference, temperature, config.seed)
        if objection:
            omitted[str(artefact)] = objection
            continue
        artefacts.append(artefact)
        for file, content in files.items():
            (folder / file).write_bytes(content)
    if not artefacts:
        step = "retrain, or export with other tool versions; no bundle was written"
        raise RegressionError("all artefacts", expected="agreement with torch", got=str(omitted), next_step=step)
    card = ModelCard(
        schema=SCHEMA,
        name=name,
        labels=EMOTIONS,
        input=READS,
        temperature=temperature,
        artefacts=tuple(artefacts),
        provenance=dataclasses.replace(provenance, omitted=omitted),
    )
    write_card(folder, card)
    return card


def conversions(
    name: str, model: torch.nn.Module, calibration: NDArray[np.float32]
) -> Iterator[tuple[Engine, Precision, Callable[[], Files]]]:
    """Yield each artefact of ``ENGINES[name]`` with what makes its files when it is called."""
    onnx, tflite = cache(partial(to_onnx.to_fp32, model)), cache(partial(to_tflite.to_fp32, model))
    contents: dict[Engine, dict[Precision, Callable[[], tuple[bytes, ...]]]] = {
        "onnx": {
            "fp32": lambda: (onnx(),),
            "fp16": lambda: (to_onnx.to_fp16(onnx()),),
            "int8": lambda: (to_onnx.to_int8(onnx(), calibration),),
        },
        "openvino": {
            "fp32": lambda: to_openvino.to_fp(onnx(), half=False),
            "fp16": lambda: to_openvino.to_fp(onnx(), half=True),
            "int8": lambda: to_openvino.to_int8(onnx(), calibration),
        },
        "tflite": {
            "fp32": lambda: (tflite(),),
            "fp16": lambda: (to_tflite.to_fp16(tflite()),),
            "int8": lambda: (to_tflite.to_int8(tflite(), calibration),),
        },
    }
    for engine in ENGINES[name]:
        for precision, make in contents[engine].items():
            yield engine, precision, partial(_named, name, engine, precision, make)


def _named(name: str, engine: Engine, precision: Precision, make: Callable[[], tuple[bytes, ...]]) -> Files:
    """Make an artefact's files under their names."""
    endings = ("xml", "bin") if engine == "openvino" else (engine,)
    return {f"{name}-{precision}.{ending}": content for ending, content in zip(endings, make(), strict=True)}


def measure(
    engine: Engine,
    precision: Precision,
    files: Files,
    public: FaceSet,
    reference: NDArray[np.float32],
    temperature: float,
    seed: int,
) -> tuple[Artefact, str | None]:
    """Run an artefact by its own engine over ``public``.

    Return what the model card says of it, and the parity gate's objection if any.
    """
    backend = open_backend(engine, list(files.values()), threads=torch.get_num_threads())
    logits = np.concatenate([backend.infer(normalise(public.images[i : i + 64])) for i in range(0, len(public), 64)])
    expected = selftest.run(backend, READS, seed, SELF_TEST_FACES)
    backend.close()
    metrics = score(public.labels, softmax(logits, temperature))
    agreement = parity.compare(reference, logits)
    artefact = Artefact(
        engine=engine,
        precision=precision,
        layout="NCHW",
        files={name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
        size_bytes=sum(map(len, files.values())),
        metrics={
            public.split: SplitMetrics(
                n=metrics.n, accuracy=metrics.accuracy, macro_f1=metrics.macro_f1, ece=metrics.ece
            )
        },
        parity=agreement,
        selftest=SelfTest(
            seed=seed,
            n=SELF_TEST_FACES,
            logits=tuple(tuple(round(float(value), 6) for value in row) for row in expected),
            tolerance=parity.SELF_TEST_TOLERANCE[precision],
        ),
    )
    return artefact, parity.objection(agreement, precision)


def table(card: ModelCard) -> str:
    """Lay the card's artefacts out as lines for people."""
    lines = [f"{'artefact':<16}{'kB':>8}{'accuracy':>10}{'macro-F1':>10}{'ECE':>8}{'agreement':>11}{'max diff':>10}"]
    for artefact in card.artefacts:
        metrics, agreement = artefact.metrics["PublicTest"], artefact.parity
        accuracy = f"{metrics.accuracy:>10.4f}{metrics.macro_f1:>10.4f}{metrics.ece:>8.4f}"
        closeness = f"{agreement.top1_agreement:>11.4f}{agreement.max_abs_diff:>10.2g}"
        lines.append(f"{artefact!s:<16}{artefact.size_bytes / 1000:>8.0f}{accuracy}{closeness}")
    for artefact in card.artefacts:
        lines += [f"{artefact} on {other}: {verdict}" for other, verdict in artefact.elsewhere.items()]
    lines += [f"left out: {name}: {reason}" for name, reason in card.provenance.omitted.items()]
    return "\n".join(lines)


def _check_target(config: ExportConfig) -> None:
    """Refuse to replace anything that is not a bundle."""
    out, weights = config.out.resolve(), config.weights.resolve()
    other = out.exists() and not (out / CARD_NAME).is_file() and (not out.is_dir() or any(out.iterdir()))
    if other or out == weights or out in weights.parents:
        expected = "a new folder, or a bundle to replace"
        raise UsageError(f"--out {config.out}", expected=expected, got="something else", next_step="name another --out")


def _replace(new: Path, out: Path, old: Path) -> None:
    """Put a finished folder in the place of an older one, which moves to ``old``."""
    if out.exists():
        out.rename(old)
    try:
        new.rename(out)
    except BaseException:  # Ctrl-C as well: what is in ``old`` is deleted
        if old.exists():
            old.rename(out)
        raise


def _commit() -> str:
    """Return the checkout's commit, marked when files differ from it; empty outside a checkout and without git."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        run = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return run.stdout.strip()
