"""``make arm``: the device wheel on an emulated Pi 4 and Pi 5, right and no dearer than the committed baseline.

Every figure is a number of instructions: emulated seconds mean nothing. Nothing of it was run on a real board.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from itertools import product
from pathlib import Path

from benchmarks.arm.boards import BOARDS
from benchmarks.arm.emulator import ENVIRONMENTS, NoEmulatorError, prepare
from benchmarks.arm.estimate import ENVIRONMENT, estimate
from benchmarks.arm.gate import BASELINE, SEPARATOR, Record, judge, name_of, read_record, write_record
from benchmarks.arm.runs import count_networks, measure, require_countable
from edge_runtime.errors import FerEdgeError, UsageError
from edge_runtime.faces.detectors import yunet_file
from edge_runtime.files import write_text


def main() -> int:
    """Prepare, run, compare; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.arm", description=__doc__)
    parser.add_argument("--picture", type=Path, help="a picture with faces")
    parser.add_argument("--count", nargs="+", metavar="BUNDLE", help="count these TFLite int8 networks instead")
    parser.add_argument("--folder", type=Path, default=Path(".venv/arm"), help="where the emulator is kept")
    parser.add_argument("--out", type=Path, help="the counts (default: out/arm.json; out/networks.json)")
    parser.add_argument("--renew", action="store_true", help="make the counts the baseline")
    options = parser.parse_args()
    if (options.picture is None) == (options.count is None) or (options.count and options.renew):
        parser.error("expected --picture PICTURE, with or without --renew, or --count BUNDLE …")
    try:
        folders = require_countable(options.count or [])
        emulator = prepare(options.folder.resolve())
        if folders:
            counts = count_networks(emulator, folders)
            write_text(options.out or Path("out/networks.json"), json.dumps(counts, indent=1) + "\n")
            print(f"{'million instructions':<38}" + "".join(f"{board:>18}" for board in BOARDS))
            print("\n".join(f"{name:<38}" + _cells(each.values()) for name, each in counts.items()))
            return 0
        if options.renew and yunet_file() is None:
            what, step = "--renew: the baseline holds YuNet's frames", "fer-edge fetch yunet"
            raise UsageError(what, expected="its file", got="none", next_step=step)
        record = measure(emulator, options.picture.resolve())
        write_record(record, options.out or Path("out/arm.json"))
        print(table(record))
        if options.renew:
            write_record(record, BASELINE)
            print(f"make arm: these are the baseline now: {BASELINE.name}")
        else:
            print(f"make arm: {judge(record, read_record(BASELINE))}")
    except NoEmulatorError as error:
        print(f"make arm: SKIPPED, nothing was tested on Arm: {error}")
        return error.exit_code if options.count else 0
    except FerEdgeError as error:
        print(f"make arm: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def table(record: Record) -> str:
    """Lay the counts out for people, in million instructions, and estimate a frame's milliseconds."""
    lines = ["", "million instructions, one thread; emulated, not run on a board", ""]
    columns = [(board, environment) for environment, board in product(ENVIRONMENTS, BOARDS)]
    rows = dict.fromkeys(SEPARATOR.join(name.split(SEPARATOR)[2:]) for name in record.counts)
    lines.append(f"{'':<38}" + "".join(f"{board + ' ' + environment:>18}" for board, environment in columns))
    for row in rows:
        counts = (record.counts.get(name_of(board, environment, row)) for board, environment in columns)
        lines.append(f"{row:<38}" + _cells(counts))
    lines += ["", *(f"refused there: {name}: {why}" for name, why in record.refused.items())]
    frames = dict.fromkeys(row.split(SEPARATOR)[0] for row in rows if row.startswith("frame"))
    for board, frame in product(BOARDS, frames):
        prefix = name_of(board, ENVIRONMENT, frame) + SEPARATOR
        total = sum(n for name, n in record.counts.items() if name.startswith(prefix))
        if guess := estimate(record, board, total):
            lines.append(f"estimate, not measured: {board}, tflite int8, five faces, {frame}: {guess}")
    return "\n".join(lines)


def _cells(counts: Iterable[int | None]) -> str:
    return "".join(f"{n / 1e6:>18.2f}" if n else f"{'–':>18}" for n in counts)


if __name__ == "__main__":
    sys.exit(main())
