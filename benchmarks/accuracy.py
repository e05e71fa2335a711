"""``fer-edge evaluate``: how right a bundle's artefacts or trained weights are, and how sure one can be of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from benchmarks import corruptions, final
from benchmarks.candidates import Candidate, Predict, mirrored, of_bundle, of_weights
from edge_runtime.errors import BundleError, DataError, NotInstalledError, UsageError
from edge_runtime.files import make_folder, whole, write_text
from edge_runtime.options import data_path, option, require, to_plain
from edge_runtime.scoring.calibration import cross_fitted
from edge_runtime.scoring.datasets import FaceSet, read_faces
from edge_runtime.scoring.metrics import calibration_error, intervals, score, softmax


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateOptions:
    """Options of ``fer-edge evaluate``; it reads PublicTest, and PrivateTest for ``--final`` alone."""

    data: Path | None = option(None, "FER2013: .csv, .parquet or a folder tree (default: FER_EDGE_DATA)")
    bundle: str = option("student", "name of a shipped bundle, or a bundle's folder")
    weights: tuple[Path, ...] = option(
        (), "folders of trained weights, measured in the bundle's place; several also as an ensemble"
    )
    mirror: bool = option(default=False, text="average each face with its mirror image, and say so")
    corruptions: bool = option(default=False, text="also on ten kinds of corrupted faces, five severities each")
    final: bool = option(default=False, text="read PrivateTest, and write it into the card of what ships: once")
    out: Path | None = option(None, "folder for evaluation.json, confusion matrices and heat-maps as PNG")
    threads: int = option(1, "CPU threads of inference")
    seed: int = option(0, "seed of the bootstrap and of the corruptions")

    def __post_init__(self) -> None:
        """Refuse values outside their range."""
        require("threads", self.threads, holds=self.threads >= 1, expected="at least 1")
        require("seed", self.seed, holds=self.seed >= 0, expected="at least 0")
        if self.final and (self.mirror or self.corruptions):
            expected, step = "each face once, as it is", "leave out --mirror and --corruptions"
            raise UsageError("--final", expected=expected, got="another way of measuring", next_step=step)


def evaluate(options: EvaluateOptions) -> None:
    """Print, and with ``out`` write, the figures of each candidate: each face once through it unless asked."""
    if options.out:
        _check_plots()
        make_folder(options.out)
    if options.final:
        final.check(options.bundle, options.weights)
    data = data_path(options.data)
    faces = read_faces(data, "PrivateTest" if options.final else "PublicTest")
    print(faces.described)
    seen = also_in_training(faces, data)
    reports: list[dict[str, Any]] = []
    refused: list[BundleError] = []
    if options.weights:
        candidates = of_weights(options.weights, options.threads)
    else:
        candidates = of_bundle(options.bundle, options.threads, refused)
    for plain in candidates:
        candidate = mirrored(plain) if options.mirror else plain
        reports.append(measure(candidate, faces, seen, options))
        if options.final:  # nothing is shown before it is on record: who has seen it could choose
            print(f"{candidate.name} is measured", flush=True)
        else:
            tell(reports, faces, options)
    if options.final:
        final.record(options.bundle, options.weights, reports)
        for n in range(1, len(reports) + 1):
            tell(reports[:n], faces, options)
    if options.out and reports:
        print(f"\nwritten to {options.out}")
    if refused:
        raise refused[0]


def tell(reports: list[dict[str, Any]], faces: FaceSet, options: EvaluateOptions) -> None:
    """Print the last of ``reports``; draw it, and write all of them, where there is a folder for it."""
    print("\n" + describe(reports[-1]), flush=True)
    if options.out:
        draw(reports[-1], options.out, faces.split)
        document = {"split": faces.split, "data_sha256": faces.sha256, "seed": options.seed, "candidates": reports}
        write_text(options.out / "evaluation.json", json.dumps(document, indent=1) + "\n")


def measure(candidate: Candidate, faces: FaceSet, seen: NDArray[np.bool_], options: EvaluateOptions) -> dict[str, Any]:
    """Measure one candidate on labelled faces; what returns is what the JSON file holds.

    ``seen``: bool (n,), which of them are Training faces as well.
    """
    scores = np.log(np.maximum(candidate.predict(faces.images), 1e-12))  # logits, up to a constant of each face
    metrics = score(faces.labels, softmax(scores, candidate.temperature))
    report = {"name": candidate.name, "temperature": candidate.temperature, **to_plain(metrics)}
    report["intervals_95"] = intervals(metrics, options.seed)
    right = scores.argmax(axis=1) == faces.labels
    report["also_in_training"] = int(seen.sum())
    report["accuracy_without_them"] = float(right[~seen].mean()) if not seen.all() else None
    report["ece_unscaled"] = calibration_error(faces.labels, softmax(scores))
    report["ece_scaled"] = calibration_error(faces.labels, cross_fitted(faces.labels, scores))
    if options.corruptions:
        report["corruptions"] = robustness(candidate.predict, faces, options.seed)
    return report


def also_in_training(faces: FaceSet, data: Path) -> NDArray[np.bool_]:
    """Say of each face, bool (n,), whether it is pixel for pixel a Training face of ``data``."""
    try:
        training = read_faces(data, "Training")
    except DataError:  # pictures of one's own, with none to learn from
        return np.zeros(len(faces), np.bool_)
    known = {image.tobytes() for image in training.images}
    return np.array([image.tobytes() in known for image in faces.images])


def robustness(predict: Predict, faces: FaceSet, seed: int) -> dict[str, list[float]]:
    """Accuracy at each severity, by kind of corruption."""
    found: dict[str, list[float]] = {kind: [] for kind in corruptions.KINDS}
    cells = [(kind, severity) for kind in corruptions.KINDS for severity in corruptions.SEVERITIES]
    for kind, severity in tqdm(cells, desc="corruptions", unit="cell", leave=False, disable=None):
        answers = predict(corruptions.corrupt(faces.images, kind, severity, seed)).argmax(axis=1)
        found[kind].append(float((answers == faces.labels).mean()))
    return found


def describe(report: dict[str, Any]) -> str:
    """Lay one candidate's report out for people, in per cent."""

    def with_interval(name: str) -> str:
        low, high = report["intervals_95"][name]
        return f"{report[name]:.1%} [{low:.1%}, {high:.1%}]"

    lines = [f"{report['name']}: accuracy {with_interval('accuracy')}, n = {report['n']}"]
    if report["also_in_training"] and report["accuracy_without_them"] is not None:
        known, accuracy = report["also_in_training"], report["accuracy_without_them"]
        lines.append(f"  {accuracy:.1%} without the {known} faces that are pixel for pixel in Training as well")
    for kind in ("macro", "weighted"):
        figures = (f"{name} {with_interval(f'{kind}_{name}')}" for name in ("precision", "recall", "f1"))
        lines.append(f"  {kind:<9} " + ", ".join(figures))
    if absent := sum(not figures["n"] for figures in report["emotions"].values()):
        lines.append(f"  of {absent} emotions there is no face: macro is over those that are there or were named")
    lines.append(
        f"  calibration error {report['ece_unscaled']:.3f} as it is, {report['ece']:.3f} at its temperature of "
        f"{report['temperature']:.2f}, {report['ece_scaled']:.3f} with one fitted on the other half of the faces"
    )
    lines.append(f"  {'':<9}{'n':>6}{'precision':>11}{'recall':>9}{'F1':>9}")
    for name, figures in report["emotions"].items():
        shares = f"{figures['precision']:>11.1%}{figures['recall']:>9.1%}{figures['f1']:>9.1%}"
        if not figures["n"]:
            shares = f"{'–':>11}{'–':>9}{'–':>9}"
        lines.append(f"  {name:<9}{figures['n']:>6}{shares}")
    if "corruptions" in report:
        lines.append(f"  {'corruption, severity':<21}" + "".join(f"{s:>8}" for s in corruptions.SEVERITIES))
        for kind, row in report["corruptions"].items():
            lines.append(f"  {kind:<21}" + "".join(f"{value:>8.1%}" for value in row))
        lines.append(f"  mean of all cells {np.mean(list(report['corruptions'].values())):.1%}")
    return "\n".join(lines)


def draw(report: dict[str, Any], folder: Path, split: str) -> None:
    """Write the confusion matrix and, where it was measured, the robustness heat-map."""
    from benchmarks import plots

    slug = "-".join("".join(c if c.isalnum() else " " for c in report["name"]).split())
    title = f"{report['name']}, {split}"
    confusion = plots.confusion_matrix(np.array(report["confusion"]), f"{title}: {report['accuracy']:.1%}")
    with whole(folder / f"confusion-{slug}.png") as partial:
        confusion.savefig(partial, dpi=120)
    if "corruptions" in report:
        heat_map = plots.corruption_map(report["corruptions"], report["accuracy"], title)
        with whole(folder / f"corruptions-{slug}.png") as partial:
            heat_map.savefig(partial, dpi=120)


def _check_plots() -> None:
    try:
        import matplotlib  # noqa: F401, ICN001  (is it there at all)
    except ModuleNotFoundError as error:
        step = "pip install matplotlib"
        raise NotInstalledError("--out", expected="matplotlib", got="not installed", next_step=step) from error
