"""``fer-edge bench compare``: what became slower or less right from one report to another, beyond noise."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmarks.report import Report, Row, read_report
from benchmarks.table import NAME, with_interval
from edge_runtime.errors import DataError, RegressionError, UsageError
from edge_runtime.options import option

REGRESSIONS = ("slower", "less accurate")


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareOptions:
    """Options of ``fer-edge bench compare``."""

    before: str = option("", "report that the other is held against", positional=True)
    after: str = option("", "report that may have regressed", positional=True)
    tolerance: float = option(0.05, "share by which a median may differ from run to run")
    force: bool = option(default=False, text="compare what is not comparable, with a warning")

    def __post_init__(self) -> None:
        """Refuse what cannot be compared."""
        if not (self.before and self.after):
            got, step = " ".join(filter(None, (self.before, self.after))) or "none", "name them one after the other"
            raise UsageError("reports to compare", expected="two files", got=got, next_step=step)
        if self.tolerance < 0:
            got, step = str(self.tolerance), "correct the option"
            raise UsageError("--tolerance is out of range", expected="at least 0", got=got, next_step=step)


def compare(options: CompareOptions) -> None:
    """Print what differs between two reports, row by row.

    Raises ``DataError`` when they are not comparable and that is not forced, or have no row in common that carries an
    interval, and ``RegressionError`` when the second is worse beyond noise.
    """
    before, after = read_report(Path(options.before)), read_report(Path(options.after))
    if reasons := differences(before, after):
        if not options.force:
            what, step = f"{options.after} against {options.before}", "measure again, or compare with --force"
            expected = "the same machine, model, clip and detector, and none throttled"
            raise DataError(what, expected=expected, got="; ".join(reasons), next_step=step)
        print("\n".join(f"WARNING: not comparable: {reason}" for reason in reasons))
    for report, path in ((before, options.before), (after, options.after)):
        if not report.complete:
            print(f"WARNING: {path} is incomplete: its run did not end by itself")
    others = {row.key: row for row in after.rows}
    pairs = [(row, others[row.key]) for row in before.rows if row.key in others]
    found = [(judge(old, new, options.tolerance), old, new) for old, new in pairs]
    judged = [verdict for verdict, _, _ in found if verdict != "unknown"]
    if not judged:
        what, step = "nothing to compare", "measure the same scenarios with --min-count 200 or more"
        raise DataError(what, expected="rows in both with an interval", got=f"{len(pairs)} without", next_step=step)
    changed = [_line(*change) for change in found if change[0] not in ("same", "unknown")]
    print("\n".join(changed or ["no change beyond noise"]))
    missing = len(before.rows) - len(pairs)
    print(
        f"{judged.count('same')} of {len(judged)} rows agree; {len(pairs) - len(judged)} have too few samples to tell, "
        f"{missing} are in {options.before} alone, {len(after.rows) - len(pairs)} in {options.after} alone"
    )
    died = [name for name in after.died if name not in before.died]
    worse = [verdict for verdict in judged if verdict in REGRESSIONS] + [f"{name} died" for name in died]
    if worse:
        got = ", ".join(f"{worse.count(verdict)} × {verdict}" for verdict in dict.fromkeys(worse))
        step = "look at the rows above; measure again on a quiet machine if in doubt"
        raise RegressionError(options.after, expected=f"no worse than {options.before}", got=got, next_step=step)


def differences(before: Report, after: Report) -> list[str]:
    """Say what makes two reports incomparable: another machine, model, clip or detector, or a machine slowed down."""
    pairs: list[tuple[str, object, object]] = [
        (f"machine: {key}", before.machine.get(key), after.machine.get(key)) for key in ("cpu", "cores", "machine")
    ]
    pairs += [(f"model: {name}", before.files[name], after.files[name]) for name in before.files if name in after.files]
    pairs += [("model: bundle", before.bundle, after.bundle), ("detector", before.detector, after.detector)]
    pairs += [("clip: pixels", before.clip.get("sha256"), after.clip.get("sha256"))]
    reasons = [f"{what} is {_short(old)} and {_short(new)}" for what, old, new in pairs if old != new]
    for when, report in (("first", before), ("second", after)):
        if report.throttled:
            reasons.append(f"the {when} ran on a machine that was slowed down: {report.throttled}")
    return reasons


def judge(old: Row, new: Row, tolerance: float) -> str:
    """Say how ``new`` differs: "same", "slower", "faster", "less accurate", or "unknown" without two intervals.

    Medians differ when their 95 % intervals lie further apart than ``tolerance``, which stands for what changes from
    run to run and which no interval of one run holds. Accuracies differ when their intervals lie apart.
    """
    if new.figures.get("accuracy_high", 1.0) < old.figures.get("accuracy_low", 0.0):
        return "less accurate"
    if not ("p50_ms" in old.latency.intervals_95 and "p50_ms" in new.latency.intervals_95):
        return "unknown"
    (old_low, old_high), (new_low, new_high) = (row.latency.intervals_95["p50_ms"] for row in (old, new))
    if new_low > old_high * (1 + tolerance):
        return "slower"
    return "faster" if old_low > new_high * (1 + tolerance) else "same"


def _line(verdict: str, old: Row, new: Row) -> str:
    where = " ".join(filter(None, (old.scenario, old.case, old.stage)))
    change = f"{with_interval(old.latency)} → {with_interval(new.latency)} ms"
    if verdict == "less accurate":
        change = f"{old.figures['accuracy']:.1%} → {new.figures['accuracy']:.1%}"
    return f"{verdict:<14}{old.candidate:<{NAME}}{where:<24}{change}"


def _short(value: object) -> str:
    """Show the first digits of a hash, and everything else whole."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {sha256[:12]}…" for name, sha256 in value.items())
    text = str(value)
    return f"{text[:12]}…" if len(text) == 64 else text  # noqa: PLR2004  (hexadecimal digits of a sha256)
