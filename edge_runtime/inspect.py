"""``fer-edge inspect`` and ``fer-edge check``: what a bundle holds, and whether everything for a run is in order."""

from __future__ import annotations

from dataclasses import dataclass

from edge_runtime.emotions.backends.base import Device, installed_engines
from edge_runtime.emotions.classifier import EmotionClassifier, bundle_folder
from edge_runtime.emotions.contract import EngineChoice, ModelCard, Precision, read_card
from edge_runtime.faces.detectors import DetectorName, open_detector
from edge_runtime.health import read_health
from edge_runtime.options import group, option
from edge_runtime.sources import open_source
from edge_runtime.sources.base import CameraFlags


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectOptions:
    """Options of ``fer-edge inspect``."""

    bundle: str = option("student", "name of a shipped bundle, or a bundle's folder")


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckOptions:
    """Options of ``fer-edge check``: those of a run that it answers for."""

    source: str = option("", "a source as in fer-edge run, opened for one frame; none: not checked")
    bundle: str = option("student", "name of a shipped bundle, or a bundle's folder")
    engine: EngineChoice = option("auto", "inference engine; auto takes the first one installed")
    precision: Precision = option("int8", "precision of the artefact")
    device: Device = option("CPU", "what OpenVINO runs on")
    detector: DetectorName = option("auto", "face detector; auto takes YuNet where its file is, MTCNN elsewhere")
    camera: CameraFlags = group(CameraFlags)


def inspect(options: InspectOptions) -> None:
    """Print what a bundle's card says, as a table."""
    print(table(read_card(bundle_folder(options.bundle))))


def table(card: ModelCard) -> str:
    """Lay a card out for people: a line an artefact, with its figures on each split that it was measured on."""
    splits = sorted({split for artefact in card.artefacts for split in artefact.metrics}, reverse=True)
    head = "".join(f"{split:>14}{'macro-F1':>10}{'ECE':>7}" for split in splits)
    lines = [f"{card.name}: {len(card.artefacts)} artefacts, temperature {card.temperature:.3f}"]
    lines.append(f"  {'artefact':<15}{'kB':>7}{'as torch':>10}{head}  engine here")
    here = installed_engines()
    for artefact in card.artefacts:
        figures = ""
        for split in splits:
            if metrics := artefact.metrics.get(split):
                figures += f"{metrics.accuracy:>14.2%}{metrics.macro_f1:>10.2%}{metrics.ece:>7.3f}"
            else:
                figures += f"{'–':>14}{'–':>10}{'–':>7}"
        size, agreement = artefact.size_bytes / 1000, artefact.parity.top1_agreement
        installed = "yes" if artefact.engine in here else "no"
        lines.append(f"  {artefact!s:<15}{size:>7.0f}{agreement:>10.2%}{figures}  {installed}")
    for artefact in card.artefacts:
        lines += [f"  {artefact} on {other}: {verdict}" for other, verdict in artefact.elsewhere.items()]
    lines += [f"  left out: {name}: {reason}" for name, reason in card.provenance.omitted.items()]
    tools = ", ".join(f"{name} {version}" for name, version in card.provenance.tools.items())
    origin = card.provenance
    lines += [f"  by {origin.command!r} at commit {origin.commit or 'unknown'}, seed {origin.seed}", f"  with {tools}"]
    lines.append(f"  data {origin.data_sha256[:16]}…, licence {origin.licence}")
    return "\n".join(lines)


def check(options: CheckOptions) -> None:
    """Open what a run would open, one after the other, and print what each is; the first that is wrong is the error."""
    classifier = EmotionClassifier.load(
        options.bundle, engine=options.engine, precision=options.precision, device=options.device
    )
    print(f"bundle    {classifier}: sha256 and self-test are right")
    classifier.close()
    detector = open_detector(options.detector)
    print(f"detector  {detector.name} loads")
    if options.source:
        with open_source(options.source, options.camera.asked) as source:
            frame = next(iter(source))
            height, width = frame.image.shape[:2]
            kind, faces = "live" if source.live else "file", len(detector.detect(frame.image))
            print(
                f"source    {width}×{height}, {source.fps:g} frames a second, {kind}; {faces} faces in the first frame"
            )
    print(f"board     {read_health()}")
