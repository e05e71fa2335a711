"""The common form of ``python -m benchmarks.…``: options as a dataclass, and errors as one line and an exit code."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Callable
from typing import TypeVar

from edge_runtime.errors import FerEdgeError
from edge_runtime.options import add_options, to_options

Options = TypeVar("Options")


def command(module: str, purpose: str, options: type[Options], run: Callable[[Options], None]) -> int:
    """Run ``python -m benchmarks.<module>`` with this process's arguments; return the exit code."""
    parser = ArgumentParser(prog=f"python -m benchmarks.{module}", description=purpose)
    add_options(parser, options)
    try:
        run(to_options(options, parser.parse_args()))
    except FerEdgeError as error:
        print(f"{module}: {error}", file=sys.stderr)
        return error.exit_code
    return 0
