"""The bundle contract: ``model.json``, the only thing that both the workstation and the device know of a model.

A sidecar and not metadata inside the model files: OpenVINO has two files, TFLite's metadata readers differ, and JSON
can be read with no engine installed. Reading is strict: an unknown or missing key, a wrong type or an impossible value
refuses the bundle.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from pathlib import Path
from typing import Literal, NoReturn

from edge_runtime.emotions.labels import EMOTIONS, FACE_SIZE
from edge_runtime.errors import BundleError
from edge_runtime.files import write_text
from edge_runtime.strict import MismatchError, build

Engine = Literal["onnx", "openvino", "tflite"]
EngineChoice = Literal["auto", "onnx", "openvino", "tflite"]
Precision = Literal["fp32", "fp16", "int8"]
SCHEMA = 1
CARD_NAME = "model.json"

_NEXT_STEP = "export the bundle again with fer-edge export, or copy it whole"
_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Crop:
    """How a face is cut from a frame: the rule's name, the margin around FER2013's own framing; see ``faces.align``."""

    rule: Literal["five-point"]
    margin: float


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """What the network reads: grey (1, 48, 48), ``(pixel / 255 - mean) / std``."""

    size_hw: tuple[int, int]
    channels: int
    mean: float
    std: float
    crop: Crop


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SplitMetrics:
    """Figures of one artefact on one split of FER2013, computed by its engine; fractions in [0, 1]."""

    n: int
    accuracy: float
    macro_f1: float
    ece: float


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Parity:
    """Agreement with the torch model over ``n`` faces: largest difference of a logit, share of equal top-1 emotions."""

    max_abs_diff: float
    top1_agreement: float
    n: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SelfTest:
    """Logits (n, 7) of the artefact's engine for ``selftest.faces(seed, n)``, and how far another device's may lie."""

    seed: int
    n: int
    logits: tuple[tuple[float, ...], ...]
    tolerance: float


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Artefact:
    """One engine × precision. ``files``: name -> sha256, the engine's main file first.

    ``elsewhere`` (may be missing): another version of the engine that it was run by -> "right", or why it is not.
    """

    engine: Engine
    precision: Precision
    layout: Literal["NCHW", "NHWC"]
    files: dict[str, str]
    size_bytes: int
    metrics: dict[str, SplitMetrics]
    parity: Parity
    selftest: SelfTest
    elsewhere: dict[str, str] = dataclasses.field(default_factory=dict)

    def __str__(self) -> str:
        """Name the artefact for people."""
        return f"{self.engine} {self.precision}"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Where a bundle comes from.

    May be missing: ``omitted``, artefact -> why it is not in the bundle; ``weights_sha256``, of what was converted.
    """

    commit: str
    data_sha256: str
    tools: dict[str, str]
    seed: int
    command: str
    licence: str
    omitted: dict[str, str] = dataclasses.field(default_factory=dict)
    weights_sha256: str = dataclasses.field(default_factory=str)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """All of ``model.json``.

    ``temperature``: logits are divided by it before softmax, so that of the faces named with a confidence of 0.8 about
    80 % are right.
    """

    schema: int
    name: str
    labels: tuple[str, ...]
    input: Input
    temperature: float
    artefacts: tuple[Artefact, ...]
    provenance: Provenance

    def __post_init__(self) -> None:
        """Refuse what has the right form but cannot be right."""
        _require(self.schema == SCHEMA, "schema", str(SCHEMA), self.schema)
        _require(self.labels == EMOTIONS, "labels", ", ".join(EMOTIONS), self.labels)
        shape = (*self.input.size_hw, self.input.channels)
        _require(shape == (FACE_SIZE, FACE_SIZE, 1), "input size and channels", f"{FACE_SIZE}×{FACE_SIZE}, 1", shape)
        _require(self.input.std > 0, "std", "more than 0", self.input.std)
        _require(0.01 <= self.temperature <= 100, "temperature", "0.01 to 100", self.temperature)  # noqa: PLR2004
        _require(0 <= self.input.crop.margin <= 1, "crop margin", "0 to 1", self.input.crop.margin)
        kinds = [(artefact.engine, artefact.precision) for artefact in self.artefacts]
        _require(len(kinds) == len(set(kinds)) > 0, "artefacts", "at least one, each engine and precision once", kinds)
        for artefact in self.artefacts:
            for name, sha256 in artefact.files.items():
                _require(bool(_PLAIN_NAME.fullmatch(name)), "file name", "letters, digits, '.', '_' and '-'", name)
                _require(bool(_SHA256.fullmatch(sha256)), f"sha256 of {name}", "64 hexadecimal digits", sha256)
            wanted = 2 if artefact.engine == "openvino" else 1
            _require(len(artefact.files) == wanted, f"number of files of {artefact}", str(wanted), len(artefact.files))
            test = artefact.selftest
            right = (
                len(test.logits) == test.n > 0
                and all(len(row) == len(EMOTIONS) for row in test.logits)
                and test.tolerance > 0
                and 0 <= test.seed < 2**32  # what numpy's RandomState takes
            )
            _require(
                right,
                f"self-test of {artefact}",
                f"n > 0 rows of {len(EMOTIONS)} logits, a tolerance above 0 and a seed of 32 bits",
                test,
            )


def read_card(bundle: Path) -> ModelCard:
    """Read and check ``model.json`` of the folder ``bundle``.

    Raise ``BundleError`` when anything in it is not as agreed.
    """
    path = bundle / CARD_NAME
    try:
        raw = json.loads(path.read_bytes())
    except OSError as error:
        _refuse(
            f"bundle {bundle}",
            f"a folder with a {CARD_NAME}",
            error.strerror or error,
            "name a bundle's folder with --bundle",
        )
    except (ValueError, RecursionError) as error:
        _refuse(str(path), "JSON", error)
    try:
        return build(ModelCard, raw, "model.json")
    except (MismatchError, BundleError) as error:
        _refuse(f"{path}: {error.what}", error.expected, error.got)
    except RecursionError as error:  # lists that json can just read may be too deep to be shown
        _refuse(str(path), "JSON of a few levels", error)


def write_card(bundle: Path, card: ModelCard) -> None:
    """Write ``model.json`` into the folder ``bundle``, whole or not at all."""
    write_text(bundle / CARD_NAME, json.dumps(dataclasses.asdict(card), indent=1) + "\n")


def read_files(bundle: Path, artefact: Artefact) -> list[bytes]:
    """Read the artefact's files and return their bytes, main file first.

    Raise ``BundleError`` when one is missing or altered.
    """
    contents = []
    for name, sha256 in artefact.files.items():
        try:
            content = (bundle / name).read_bytes()
        except OSError as error:
            _refuse(f"{bundle / name}", "a file", error.strerror or error)
        _require((got := hashlib.sha256(content).hexdigest()) == sha256, f"sha256 of {bundle / name}", sha256, got)
        contents.append(content)
    return contents


def _require(holds: bool, what: str, expected: str, got: object) -> None:  # noqa: FBT001  (reads as an assertion)
    if not holds:
        _refuse(what, expected, got)


def _refuse(what: str, expected: str, got: object, next_step: str = _NEXT_STEP) -> NoReturn:
    raise BundleError(what, expected=expected, got=str(got)[:200] or "nothing", next_step=next_step)
