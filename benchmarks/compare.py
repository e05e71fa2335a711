"""``fer-edge bench compare``: what became slower or less right from one report to another, beyond noise."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from benchmarks.report import Report, Row, read_report
from benchmarks.session import NULL
from benchmarks.table import NAME, with_interval
from edge_runtime.errors import DataError, RegressionError, UsageError
from edge_runtime.health import UNKNOWN
from edge_runtime.options import option, require

REGRESSIONS = ("slower", "less accurate")

LEAST_MS = 0.02
LEAST_OF_A_CALL_MS = 0.002
"""Times of frames and stages, and of a single call, that lie less apart are the same: so much of what the system does
beside them changes from run to run."""

LEAST_POINTS = 0.3
"""Of accuracy. The same file names the same faces alike; what another build of an engine rounds moves a few of them."""

_SAME_MACHINE = ("cpu", "cores", "machine")
_WHOLE_FRAMES = frozenset({"frame", "paced", "steady"})


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareOptions:
    """Options of ``fer-edge bench compare``."""

    before: str = option("", "report that the other is held against", positional=True)
    after: str = option("", "report that may have regressed", positional=True)
    tolerance: float = option(0.05, "share by which a time may differ from run to run")
    force: bool = option(default=False, text="compare what is not comparable, with a warning")

    def __post_init__(self) -> None:
        """Refuse what cannot be compared."""
        if not (self.before and self.after):
            got, step = " ".join(filter(None, (self.before, self.after))) or "none", "name them one after the other"
            raise UsageError("reports to compare", expected="two files", got=got, next_step=step)
        finite = 0 <= self.tolerance < math.inf
        require("tolerance", self.tolerance, holds=finite, expected="at least 0")


def compare(options: CompareOptions) -> None:
    """Print what differs between two reports, row by row.

    Raises ``DataError`` when they are not comparable and that is not forced, or have no row in common that carries an
    interval, and ``RegressionError`` when the second is worse beyond noise.
    """
    before, after = read_report(Path(options.before)), read_report(Path(options.after))
    _check(before, after, options)
    rows, others = _judged(before), _judged(after)
    pairs = [(row, others[key]) for key, row in rows.items() if key in others]
    found = [(judge(old, new, options.tolerance), old, new) for old, new in pairs]
    judged = [verdict for verdict, _, _ in found if verdict != "unknown"]
    lived = {*before.starts, *(row.candidate for row in before.rows)} - before.died.keys()
    died = [f"{name} died" for name in after.died if name in lived]
    if not (judged or died):
        got, step = "none", "measure the same scenarios and engines"
        if pairs:
            got, step = f"{len(pairs)} without one", "measure both with --min-count 200 or more"
        expected = "rows in both, with an interval"
        raise DataError("nothing to compare", expected=expected, got=got, next_step=step)
    changed = [_line(*change) for change in found if change[0] not in ("same", "unknown")]
    print("\n".join(changed or ["no change beyond noise"]))
    print(
        f"{judged.count('same')} of {len(judged)} rows agree; {len(pairs) - len(judged)} have too few samples to tell, "
        f"{len(rows) - len(pairs)} are in {options.before} alone, {len(others) - len(pairs)} in {options.after} alone"
    )
    gone = {row.candidate for row in rows.values()} - {row.candidate for row in others.values()} - after.died.keys()
    if gone:
        print(f"not in {options.after}: {', '.join(sorted(gone))}")
    if worse := [verdict for verdict in judged if verdict in REGRESSIONS] + died:
        got = ", ".join(f"{worse.count(verdict)} × {verdict}" for verdict in dict.fromkeys(worse))
        step = "look at the rows above; measure again on a quiet machine if in doubt"
        raise RegressionError(options.after, expected=f"no worse than {options.before}", got=got, next_step=step)


def _check(before: Report, after: Report, options: CompareOptions) -> None:
    """Refuse reports that are not comparable, or warn; say under which conditions they were made."""
    if reasons := differences(before, after):
        if not options.force:
            what, step = f"{options.after} against {options.before}", "measure again, or compare with --force"
            expected = "the same machine, model, clip, detector and labelled faces, a whole run, and none throttled"
            raise DataError(what, expected=expected, got="; ".join(reasons), next_step=step)
        print("\n".join(f"WARNING: not comparable: {reason}" for reason in reasons))
    if not before.complete:
        print(f"WARNING: {options.before} is incomplete: its run did not end by itself")
    for what, old, new in zip(("governor", "load"), _conditions(before), _conditions(after), strict=True):
        if old != new:
            print(f"{what} before the run: {old} and {new}")
    for what in {**before.machine, **after.machine}:
        old, new = (report.machine.get(what, "none") for report in (before, after))
        if old != new and what not in _SAME_MACHINE:
            print(f"{what}: {old} and {new}")


def _conditions(report: Report) -> tuple[str, str]:
    """Governor and load, before the run."""
    first = report.states[0]
    return first.governor, UNKNOWN if first.load_1min is None else f"{first.load_1min:.1f}"


def _judged(report: Report) -> dict[tuple[str, ...], Row]:
    """Return the rows that are judged, by what each is found by in another report.

    A slice of ``--duration`` is called by when it began, which is another second in each run: its place is what counts.
    The null backend's rows are left out, which tell of the harness alone.
    """
    found: dict[tuple[str, ...], Row] = {}
    slices: Counter[str] = Counter()
    for row in report.rows:
        if row.candidate != NULL:
            case = f"slice {slices[row.candidate]}" if row.scenario == "steady" else row.case
            slices[row.candidate] += row.scenario == "steady"
            found[row.scenario, case, row.candidate, row.stage] = row
    return found


def differences(before: Report, after: Report) -> list[str]:
    """Say what makes two reports incomparable.

    Another machine, model, clip or detector, other labelled faces, a second that was cut off, a machine slowed down.
    """
    pairs: list[tuple[str, object, object]] = [
        (f"machine: {key}", before.machine.get(key), after.machine.get(key)) for key in _SAME_MACHINE
    ]
    pairs += [(f"model: {name}", before.files[name], after.files[name]) for name in before.files if name in after.files]
    pairs += [("model: bundle", before.bundle, after.bundle), ("detector", before.detector, after.detector)]
    pairs += [("clip: pixels", before.clip.get("sha256"), after.clip.get("sha256"))]
    if before.data and after.data:
        pairs += [("labelled faces", before.data, after.data)]
    reasons = [f"{what} is {_short(old)} and {_short(new)}" for what, old, new in pairs if old != new]
    for when, report in (("first", before), ("second", after)):
        if report.throttled:
            reasons.append(f"the {when} ran on a machine that was slowed down: {report.throttled}")
    if not after.complete:
        reasons.append("the second is incomplete: its run did not end by itself")
    return reasons


def judge(old: Row, new: Row, tolerance: float) -> str:
    """Say how ``new`` differs: "same", "slower", "faster", "less accurate", or "unknown" without two intervals.

    Times differ when they are ``LEAST_MS`` (``LEAST_OF_A_CALL_MS``) apart and their 95 % intervals lie further apart
    than ``tolerance``, which stands for what changes from run to run and which no interval of one run holds.
    Accuracies are of the same faces: they differ by more than ``LEAST_POINTS``, whatever their intervals are.
    """
    lost = old.figures.get("accuracy", 0.0) - new.figures.get("accuracy", 1.0)
    if round(lost * 100, 6) > LEAST_POINTS:
        return "less accurate"
    name = _figure(old)
    if not (name in old.latency.intervals_95 and name in new.latency.intervals_95):
        return "unknown"
    least = LEAST_MS if new.stage or new.scenario in _WHOLE_FRAMES else LEAST_OF_A_CALL_MS
    if abs(getattr(new.latency, name) - getattr(old.latency, name)) < least:
        return "same"
    (old_low, old_high), (new_low, new_high) = (row.latency.intervals_95[name] for row in (old, new))
    if new_low > old_high * (1 + tolerance):
        return "slower"
    return "faster" if old_low > new_high * (1 + tolerance) else "same"


def _figure(row: Row) -> str:
    """Name what a row is judged by: faces are looked for in every third frame, which a median of frames never sees."""
    return "mean_ms" if row.scenario in _WHOLE_FRAMES else "p50_ms"


def _line(verdict: str, old: Row, new: Row) -> str:
    where = " ".join(filter(None, (old.scenario, old.case, old.stage)))
    name = _figure(old)
    change = f"{name[:-3]:<5}{with_interval(old.latency, name)} → {with_interval(new.latency, name)} ms"
    if verdict == "less accurate":
        change = f"{old.figures['accuracy']:.2%} → {new.figures['accuracy']:.2%}"
    return f"{verdict:<14}{old.candidate:<{NAME}}{where:<24}{change}"


def _short(value: object) -> str:
    """Show the first digits of a hash, and everything else whole."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {sha256[:12]}…" for name, sha256 in value.items())
    text = str(value)
    return f"{text[:12]}…" if len(text) == 64 else text  # noqa: PLR2004  (hexadecimal digits of a sha256)
