"""``fer-edge export``: from trained weights to a bundle, which is written in one piece."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import logging
import platform
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from distill.networks import load_network
from edge_runtime.emotions.contract import (
    CARD_NAME,
    SCHEMA,
    Artefact,
    ModelCard,
    Provenance,
    read_card,
    write_card,
)
from edge_runtime.emotions.labels import EMOTIONS
from edge_runtime.emotions.normalise import normalise
from edge_runtime.errors import BundleError, DataError, FerEdgeError, RegressionError, SinkError, UsageError
from edge_runtime.files import make_folder
from edge_runtime.options import data_path
from edge_runtime.scoring.calibration import fit_temperature
from edge_runtime.scoring.datasets import FaceSet, read_faces
from export import elsewhere
from export.artefacts import ENGINES, READS, conversions, measure
from export.calibrate import calibration_faces
from export.config import ExportConfig
from export.sensitivity import report, sensitivity
from train.checkpoint import load_meta
from train.evaluate import predict

_TOOLS = ("torch", "onnx", "onnxruntime", "openvino", "nncf", "litert-torch", "ai-edge-quantizer", "ai-edge-litert")


def export(config: ExportConfig) -> None:
    """Run ``fer-edge export``."""
    logging.disable(logging.WARNING)  # three converters' advice to their own developers
    _check_target(config)
    if config.tflite_runtime:  # now, and not when all is converted
        elsewhere.require_interpreter(config.tflite_runtime)
    for flag, asked in (("--sensitivity", config.sensitivity), ("--tflite-runtime", config.tflite_runtime)):
        if asked and network_name(config.weights) == "full":
            got, step = "a full model's", f"leave {flag} out"
            raise UsageError(flag, expected="the weights of a student", got=got, next_step=step)
    data = data_path(config.data)
    training, public = read_faces(data, "Training"), read_faces(data, "PublicTest")
    model = load_network(config.weights)
    calibration = normalise(calibration_faces(training, config.calibration, config.seed))
    provenance = Provenance(
        commit=_commit(),
        data_sha256=training.sha256,
        tools={name: importlib.metadata.version(name) for name in _TOOLS} | {"python": platform.python_version()},
        seed=config.seed,
        command=shlex.join(["fer-edge", *map(_without_folders, sys.argv[1:])]),
        weights_sha256=hashlib.sha256((config.weights / "weights.safetensors").read_bytes()).hexdigest(),
        licence="Apache-2.0",
    )
    if config.sensitivity:  # first: it tells why an artefact is refused
        print(report(sensitivity(model, calibration, public), model))
    card = write_bundle(config, model, calibration, public, provenance)
    if card.provenance.omitted:
        raise _left_out(card, "the bundle holds the others; retrain, or export with other tool versions")


def _without_folders(word: str) -> str:
    """Return a word of the command line as the card may show it: of a path from the root, also behind "=", the name."""
    option, equals, value = word.rpartition("=")
    return option + equals + (Path(value).name if Path(value).is_absolute() else value)


def _held(out: Path) -> dict[str, Artefact]:
    """Return the artefacts of the bundle in ``out``, if one is there, by name."""
    there = read_card(out).artefacts if (out / CARD_NAME).exists() else ()
    return {str(artefact): artefact for artefact in there}


def _left_out(card: ModelCard, step: str) -> RegressionError:
    got, what = "; ".join(f"{n}: {reason}" for n, reason in card.provenance.omitted.items()), "artefacts were left out"
    return RegressionError(what, expected="agreement with torch", got=got, next_step=step)


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
    ``provenance.omitted``, and a bundle that holds it stays as it is: ``RegressionError``. Raises
    ``UsageError`` when a network cannot be converted, ``SinkError`` when the disk is full.
    """
    reference, out = predict(model, public.images), config.out.resolve()
    make_folder(out.parent)
    try:
        with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as room:  # on the same disk
            new, old = Path(room) / "new", Path(room) / "old"
            new.mkdir()
            card = _fill(new, config, model, calibration, public, reference, provenance)
            held = _held(out)
            if card.provenance.omitted.keys() & held.keys():
                raise _left_out(card, "the bundle from before stays; name another --out for the artefacts that agree")
            found = {}
            if config.tflite_runtime:
                found = elsewhere.verdicts(config.tflite_runtime, new, public.images, reference)
            artefacts = [dataclasses.replace(a, elsewhere=found.get(str(a), {})) for a in card.artefacts]
            artefacts = [_with_what_is_known(a, held.get(str(a))) for a in artefacts]
            write_card(new, dataclasses.replace(card, artefacts=tuple(artefacts)))
            card = read_card(new)  # what was written is what a device will read
            _replace(new, out, old)
    except OSError as error:
        step = "see to it and give the command again; a bundle from before is whole"
        expected = "room on the disk, and the right to write"
        raise SinkError(f"bundle {out}", expected=expected, got=str(error), next_step=step) from error
    print(table(card))
    return card


def _with_what_is_known(artefact: Artefact, before: Artefact | None) -> Artefact:
    """Keep what was measured of the very same files on other splits: PrivateTest is read once for each model."""
    if before is None or before.files != artefact.files:
        return artefact
    return dataclasses.replace(artefact, metrics=before.metrics | artefact.metrics)


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
            step = "build it of operators that every engine has, and see that the folder for temporary files has room"
            expected, got = "a network that it can convert", str(error).strip().partition("\n")[0][:300]
            raise UsageError(f"{name} for {engine} {precision}", expected=expected, got=got, next_step=step) from error
        found = measure(engine, precision, files, public, reference, temperature, config.seed)
        if isinstance(found, str):
            omitted[f"{engine} {precision}"] = found
            continue
        artefacts.append(found)
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
    """Refuse to replace anything that is not a bundle, and nothing else beside it."""
    out, weights = config.out.resolve(), config.weights.resolve()
    got = "the weights" if out == weights or out in weights.parents else _other_than_a_bundle(out)
    if got:
        expected = "a new folder, or a bundle to replace"
        raise UsageError(f"--out {config.out}", expected=expected, got=got, next_step="name another --out")


def _other_than_a_bundle(out: Path) -> str:
    """Name what a new bundle in ``out`` would delete; empty: at most a bundle of before."""
    try:
        inside = {path.name for path in out.iterdir()}
        ours = {name for artefact in _held(out).values() for name in artefact.files}
    except FileNotFoundError:
        return ""
    except (NotADirectoryError, BundleError) as error:
        return str(error)
    return ", ".join(sorted(inside - ours - {CARD_NAME})[:3])


def _replace(new: Path, out: Path, old: Path) -> None:
    """Put a finished folder in the place of an older one, which moves to ``old``."""
    try:
        if out.exists():
            out.rename(old)
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
