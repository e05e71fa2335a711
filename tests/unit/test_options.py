"""Options as dataclasses: every kind of field on the command line, and their way through JSON and back."""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from benchmarks.accuracy import EvaluateOptions
from benchmarks.bench import BenchOptions
from distill.config import DistillConfig, StudentConfig
from edge_runtime.errors import UsageError
from edge_runtime.options import add_options, data_path, from_plain, option, to_options, to_plain
from edge_runtime.pipeline import RunOptions
from export.config import ExportConfig
from train.config import ModelConfig, TrainConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    """A part that the command line does not show."""

    sizes: tuple[int, ...] = (1, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Every:
    """One field of every kind."""

    flag: bool = option(False, "a flag")  # noqa: FBT003  (the default comes first)
    off: bool = option(True, "a flag that is on")  # noqa: FBT003  (the default comes first)
    number: int = option(3, "a number")
    share: float = option(0.5, "a share")
    word: str = option("", "a word")
    choice_of_two: Literal["left", "right"] = option("left", "a choice")
    file: Path | None = option(None, "a file")
    folder: Path = option(Path("out"), "a folder")
    many: tuple[int, ...] = option((1, 4), "numbers")
    files: tuple[Path, ...] = option((), "files")
    inner: Inner = field(default_factory=Inner)


def parser() -> argparse.ArgumentParser:
    """Return a parser of every kind of field."""
    made = argparse.ArgumentParser()
    add_options(made, Every)
    return made


def parsed(*words: str) -> Every:
    """Parse a command line."""
    return to_options(Every, parser().parse_args(words))


def test_nothing_given_is_the_defaults() -> None:
    """Without flags the options are the class's own defaults, of the same types."""
    assert parsed() == Every()


@pytest.mark.parametrize(
    ("words", "name", "value"),
    [
        (["--flag"], "flag", True),
        (["--no-off"], "off", False),
        (["--number", "-7"], "number", -7),
        (["--share", "1e-3"], "share", 0.001),
        (["--word", "a b"], "word", "a b"),
        (["--choice-of-two", "right"], "choice_of_two", "right"),
        (["--file", "a/b.csv"], "file", Path("a/b.csv")),
        (["--folder", "a"], "folder", Path("a")),
        (["--many", "8", "16", "32"], "many", (8, 16, 32)),
        (["--many", "8"], "many", (8,)),
        (["--files", "a", "b"], "files", (Path("a"), Path("b"))),
    ],
)
def test_each_kind_of_field_is_read(words: list[str], name: str, value: Any) -> None:
    """A flag sets its own field, with the field's type, and no other."""
    options = parsed(*words)
    assert getattr(options, name) == value
    assert type(getattr(options, name)) is type(value)
    assert {other for other in Every.__slots__ if getattr(options, other) != getattr(Every(), other)} == {name}


@pytest.mark.parametrize(
    "words",
    [
        ["--number", "1.5"],
        ["--share", "x"],
        ["--choice-of-two", "up"],
        ["--many"],
        ["--many", "x"],
        ["--flag", "yes"],
        ["--inner", "1"],
        ["--unknown"],
        ["--folder"],
    ],
)
def test_what_does_not_fit_ends_with_exit_code_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A value of another type, an unknown choice and an unknown flag are argparse's errors."""
    with pytest.raises(SystemExit) as caught:
        parsed(*words)
    assert caught.value.code == 2
    assert "error:" in capsys.readouterr().err


def test_help_shows_texts_and_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each flag has its text, and its default where there is one to show."""
    monkeypatch.setenv("COLUMNS", "200")
    text = parser().format_help()
    assert "--number INT" in text
    assert "a number (default: 3)" in text
    assert "--choice-of-two {left,right}" in text
    assert "--flag, --no-flag" in text
    assert "--many INT [INT ...]" in text
    assert "numbers (default: 1 4)" in text
    assert "--file PATH" in text
    assert "None" not in text
    assert "--inner" not in text


CONFIGURATIONS = [
    Every(),
    Every(flag=True, file=Path("a"), files=(Path("b"), Path("c")), many=(), inner=Inner(sizes=(5,))),
    RunOptions(source="a.mp4", sink=("jsonl:-", "video:a.webm"), engine="onnx", threads=4),
    BenchOptions(source="a.mp4", faces=(1, 2), min_seconds=0.5, out=Path("b.json")),
    EvaluateOptions(data=Path("fer2013.csv"), bundle="b"),
    TrainConfig(
        data=Path("d.csv"), out=Path("o"), epochs=3, model=ModelConfig(widths=(8, 8), blocks=(1, 1), dropout=0.1)
    ),
    DistillConfig(teachers=(Path("a"), Path("b")), views=4, student=StudentConfig(widths=(4, 8), blocks=(1, 1))),
    DistillConfig(teachers=(Path("a"),), network="student-nano"),
    ExportConfig(weights=Path("w"), data=Path("d.parquet"), out=Path("o"), calibration=104, seed=3),
    ModelConfig(widths=(8, 16), blocks=(1, 1), context="none", attention=False),
    StudentConfig(),
]


@pytest.mark.parametrize(
    ("source", "sinks"),
    [
        ("0", ("jsonl:a.jsonl", "jsonl:x/../a.jsonl")),
        ("a.mp4", ("video:x/../a.mp4",)),
        ("0", ("window", "window")),
        ("synthetic:a.jpg", ("jsonl:x/../a.jsonl", "jsonl:a.jpg")),
    ],
)
def test_a_file_has_one_use_in_a_run(source: str, sinks: tuple[str, ...]) -> None:
    """Two sinks of one file would share it, and a video must not replace the one that it is made of."""
    with pytest.raises(UsageError, match="different sinks, and none the source"):
        RunOptions(source=source, sink=sinks)


@pytest.mark.parametrize("options", CONFIGURATIONS, ids=lambda options: type(options).__name__)
def test_options_survive_json(options: Any) -> None:
    """Options are the same, types included, after being saved as JSON and read back."""
    read = from_plain(type(options), json.loads(json.dumps(to_plain(options))))
    assert read == options
    for name in type(options).__dataclass_fields__:
        assert type(getattr(read, name)) is type(getattr(options, name))


def test_plain_options_are_text_and_lists() -> None:
    """What is saved holds paths as text and tuples as lists, the inner parts too."""
    plain = to_plain(Every(files=(Path("a/b"),)))
    assert (plain["folder"], plain["files"], plain["many"]) == ("out", ["a/b"], [1, 4])
    assert plain["inner"] == {"sizes": [1, 2]}


@pytest.mark.parametrize(
    "plain",
    [{"widht": [1]}, {"widths": 3}, {"widths": None}, [], None, "text", 3],
    ids=["unknown key", "number for a list", "null for a list", "list", "null", "text", "number"],
)
def test_saved_configuration_of_another_form_is_refused(plain: Any) -> None:
    """Unknown keys and other forms are refused with the keys that are known."""
    with pytest.raises(UsageError, match="StudentConfig in a saved configuration") as caught:
        from_plain(StudentConfig, plain)
    assert caught.value.expected.startswith("dense_stages, expansion, widths, blocks")


def test_unknown_key_of_an_inner_part_is_refused() -> None:
    """The parts of a configuration are held to their own keys."""
    with pytest.raises(UsageError, match="ModelConfig in a saved configuration"):
        from_plain(TrainConfig, {"model": {"depth": 3}})


@pytest.mark.parametrize(
    "shape",
    [
        {"context": "gru"}, {"context": 3}, {"autoencoder_width": 1.5}, {"autoencoder": "x"}, {"widths": ["8", 8]},
        {"dropout": "0"}, {"stem_stride": True}, [],
    ],
)  # fmt: skip
def test_saved_values_of_another_type_are_refused(shape: Any) -> None:
    """What the command line could not have been given is not taken from a file either."""
    with pytest.raises(UsageError, match="ModelConfig in a saved configuration"):
        from_plain(ModelConfig, shape)


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        (TrainConfig, {"epochs": 0}),
        (TrainConfig, {"learning_rate": float("inf")}),
        (TrainConfig, {"weight_decay": float("inf")}),
        (TrainConfig, {"warmup_epochs": 200.0}),
        (DistillConfig, {"teachers": (Path("x"),), "temperature": float("inf")}),
        (TrainConfig, {"batch": 1}),
        (TrainConfig, {"threads": -1}),
        (TrainConfig, {"seed": -1}),
        (TrainConfig, {"ema_decay": 1.0}),
        (TrainConfig, {"learning_rate": 0.0}),
        (TrainConfig, {"label_smoothing": 1.0}),
        (TrainConfig, {"corrupt_share": -0.1}),
        (DistillConfig, {"teachers": (Path("a"),), "views": 0}),
        (DistillConfig, {"teachers": (Path("a"),), "temperature": 0.0}),
        (DistillConfig, {"teachers": (Path("a"),), "label_weight": 1.1}),
        (DistillConfig, {"teachers": (Path("a"),), "epochs": 0}),
        (DistillConfig, {"teachers": (Path("a"),), "mixup_share": -0.1}),
        (DistillConfig, {"teachers": (Path("a"),), "student": StudentConfig(expansion=2), "network": "student-nano"}),
        (StudentConfig, {"widths": (4, 8), "blocks": (1,)}),
        (StudentConfig, {"dense_stages": 0}),
        (StudentConfig, {"context_width": 5}),
        (DistillConfig, {}),
        (ExportConfig, {"calibration": 63}),
        (BenchOptions, {}),
        (BenchOptions, {"source": "a", "faces": (0,)}),
        (BenchOptions, {"source": "a", "min_count": 0}),
        (BenchOptions, {"source": "a", "threads": (0,)}),
    ],
)
def test_value_out_of_range_is_refused(kind: type, wrong: dict[str, Any]) -> None:
    """A configuration checks itself when it is built, and names the flag to correct."""
    with pytest.raises(UsageError) as caught:
        kind(**wrong)
    name = list(wrong)[-1] if wrong else {DistillConfig: "teachers", BenchOptions: "source"}[kind]
    flag = "--" + name.replace("_", "-")
    assert flag in str(caught.value)


def test_face_data_is_named_by_argument_before_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The argument wins over FER_EDGE_DATA; without both the message names both."""
    monkeypatch.setenv("FER_EDGE_DATA", "from/environment.csv")
    assert data_path(Path("given.csv")) == Path("given.csv")
    assert data_path(None) == Path("from/environment.csv")
    for nothing in ("", None):
        if nothing is None:
            monkeypatch.delenv("FER_EDGE_DATA")
        else:
            monkeypatch.setenv("FER_EDGE_DATA", nothing)
        with pytest.raises(UsageError, match="expected --data PATH or FER_EDGE_DATA"):
            data_path(None)
