"""The console command: a table of names, each loaded only when it is called."""

from __future__ import annotations

import argparse
import contextlib
import errno
import importlib
import io
import os
import re
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from edge_runtime.errors import FerEdgeError, NotInstalledError, SinkError
from edge_runtime.interrupts import Interrupts
from edge_runtime.options import add_options, to_options
from edge_runtime.say import let_go_of_standard_output, say

INTERRUPTED = 130
OWN_MODULES = ("edge_runtime", "benchmarks", "train.", "distill.", "export.")
"""A missing one of these is a fault of the program; train, distill and export themselves are absent from the wheel."""
CHECKOUT_EXTRAS = frozenset({"train", "export"})
"""Extras whose commands are not in the wheel that a device installs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command: its purpose, its options and function as ``module:name``, and the extra that brings its imports."""

    purpose: str
    options: str
    function: str
    extra: str


COMMANDS = {
    "run": Command(
        purpose="faces and emotions of a camera, video or picture",
        options="edge_runtime.pipeline:RunOptions",
        function="edge_runtime.pipeline:run",
        extra="pi",
    ),
    "check": Command(
        purpose="whether bundle, engine, detector and source are in order",
        options="edge_runtime.inspect:CheckOptions",
        function="edge_runtime.inspect:check",
        extra="pi",
    ),
    "inspect": Command(
        purpose="what a bundle holds",
        options="edge_runtime.inspect:InspectOptions",
        function="edge_runtime.inspect:inspect",
        extra="pi",
    ),
    "fetch": Command(
        purpose="download the face detector YuNet",
        options="edge_runtime.faces.fetch:FetchOptions",
        function="edge_runtime.faces.fetch:fetch",
        extra="pi",
    ),
    "bench": Command(
        purpose="ms/face and ms/frame of a bundle on this machine",
        options="benchmarks.bench:BenchOptions",
        function="benchmarks.bench:bench",
        extra="pi",
    ),
    "bench compare": Command(
        purpose="what became slower or less right from one report to another",
        options="benchmarks.compare:CompareOptions",
        function="benchmarks.compare:compare",
        extra="pi",
    ),
    "evaluate": Command(
        purpose="accuracy of a bundle's artefacts, or of trained weights",
        options="benchmarks.accuracy:EvaluateOptions",
        function="benchmarks.accuracy:evaluate",
        extra="pi",
    ),
    "train": Command(
        purpose="train the full model (from a checkout)",
        options="train.config:TrainConfig",
        function="train.loop:train",
        extra="train",
    ),
    "figures": Command(
        purpose="what a full model restores and looks at (from a checkout)",
        options="train.config:FiguresOptions",
        function="train.figures:figures",
        extra="train",
    ),
    "baselines": Command(
        purpose="classic systems, for comparison (from a checkout)",
        options="train.config:BaselineOptions",
        function="train.baselines:baselines",
        extra="train",
    ),
    "distill": Command(
        purpose="distil a student from trained models (from a checkout)",
        options="distill.config:DistillConfig",
        function="distill.loop:distill",
        extra="train",
    ),
    "export": Command(
        purpose="write a bundle: ONNX, OpenVINO and TFLite (from a checkout)",
        options="export.config:ExportConfig",
        function="export.bundle:export",
        extra="export",
    ),
}
"""The only thing that points from the device side upward, and no import."""

HANGING = frozenset({"camera", "read ahead", "sink"})
"""Names of the threads that a driver or a disk may hold up for ever."""


def console() -> NoReturn:
    """Run this process's command, and end the process with its exit code.

    At once, where a thread hangs: if it came back from OpenCV while Python is taken down, Python would end it by
    unwinding its stack, which OpenCV answers by aborting the process. Files are finished by then.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):  # None where whoever started the program has closed it
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal may know no µ and no →
    try:
        code = main()
    except OSError as error:  # printed without a buffer; what writes files has errors of its own
        if error.filename or error.errno not in {errno.EPIPE, errno.ENOSPC}:
            raise
        code = _not_taken(error)
    if any(thread.name in HANGING for thread in threading.enumerate()):
        with contextlib.suppress(OSError, ValueError, AttributeError):  # closed, or none at all
            sys.stderr.flush()  # not standard output: the thread may hold it
        os._exit(code)
    try:
        if sys.stdout:
            sys.stdout.flush()
    except OSError as error:
        code = _not_taken(error, code)
    sys.exit(code)


def _not_taken(error: OSError, code: int = 0) -> int:
    """Say that standard output took no more; return the exit code, which is an earlier error's if there was one."""
    let_go_of_standard_output()
    got, step = error.strerror or str(error), "keep the reader running, or free some space"
    refused = SinkError("standard output", expected="room for what is printed", got=got, next_step=step)
    say(f"fer-edge: {refused}")
    return code or refused.exit_code


class Parser(argparse.ArgumentParser):
    """One whose errors name no credentials: a forgotten flag or command makes an address any other argument."""

    def error(self, message: str) -> NoReturn:
        """Print the usage and the message, and end with exit code 2."""
        from edge_runtime.sources.address import redacted

        # argparse quotes what it refuses, or names it after an option and =
        super().error(re.sub(r"(?<=['\"=]).*", lambda refused: redacted(refused[0]), message, count=1, flags=re.DOTALL))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code. Every error of the project's own becomes one line on standard error."""
    parser = Parser(prog="fer-edge", description="Facial-emotion recognition for small boards.")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if (two := " ".join(arguments[:2])) in COMMANDS:  # a command of two words is one name to argparse
        arguments[:2] = [two]
    asked = next((word for word in arguments if word in COMMANDS), None)
    try:
        for name, command in COMMANDS.items():
            subparser = subparsers.add_parser(
                name, help=command.purpose, description=command.purpose[0].upper() + command.purpose[1:] + "."
            )
            if name == asked:  # the others' modules need not even be installed
                options_class = _load(command.options)
                add_options(subparser, options_class)
        parsed, others = parser.parse_known_args(arguments)
        if others:  # argparse itself would name them without quotes
            from edge_runtime.sources.address import redacted

            parser.error(f"unrecognized arguments: {' '.join(map(redacted, others))}")
        command = COMMANDS[parsed.command]
        with Interrupts():  # a service manager's SIGTERM leaves no half-made folder either
            _load(command.function)(to_options(options_class, parsed))
    except FerEdgeError as error:
        print(f"fer-edge: {error}", file=sys.stderr)
        return error.exit_code
    except ModuleNotFoundError as error:
        if asked is None or (error.name or "").startswith(OWN_MODULES):
            raise  # a fault of the program itself: no package would mend it
        print(f"fer-edge: {_not_installed(error, asked)}", file=sys.stderr)
        return NotInstalledError.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


def _load(target: str) -> Any:  # noqa: ANN401  (a class or a function)
    module, _, name = target.partition(":")
    return getattr(importlib.import_module(module), name)


def _not_installed(error: ModuleNotFoundError, asked: str) -> NotInstalledError:
    """Say which extra brings the missing package.

    What is only in a checkout (train, distill, export) is said to be so.
    """
    top = (error.name or "").partition(".")[0]
    extra = COMMANDS[asked].extra
    step = (
        f"from a checkout, pip install -e '.[{extra}]'"
        if extra in CHECKOUT_EXTRAS
        else f"in the checkout, pip install '.[{extra}]'"
    )
    return NotInstalledError(f"fer-edge {asked}", expected=f"the package {top}", got="not installed", next_step=step)
