"""From what a run measures, case by case, to its report, its table and its page."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path

from benchmarks.conditions import read_state
from benchmarks.page import write_page
from benchmarks.report import Report, rows_of, write_report
from benchmarks.session import Measured
from benchmarks.table import table
from edge_runtime.errors import BundleError


def record(report: Report, cases: Iterable[Measured], out: Path, began: float) -> Report:
    """Fill and return ``report``, on disk after every case; print its table and write its page at the end.

    That of the cases that there are, too, when Ctrl-C or an error ends the run; the report stays incomplete then.

    ``began``: the beginning of the run by ``time.monotonic``. Raises ``BundleError`` at the end when a candidate died;
    what the others, and it before, gave is in the report.
    """
    try:
        for measured in cases:
            state = read_state(f"{measured.scenario} {measured.case}".strip(), began)
            rows = (*report.rows, *rows_of(measured, report.options["baseline"]))
            report = dataclasses.replace(report, rows=rows, states=(*report.states, state))
            write_report(report, out)
            out.with_suffix(".html").unlink(missing_ok=True)  # an earlier report's, until this one has its own
        report = dataclasses.replace(report, complete=True, states=(*report.states, read_state("after", began)))
    finally:
        if report.rows or report.complete:  # nothing measured: an earlier report stays
            _publish(report, out)
    if report.died:
        what, got = ", ".join(report.died), "; ".join(report.died.values())
        step = f"mend it, or leave it out; what it gave before is in {out}"
        raise BundleError(f"{what} died", expected="an engine that runs to the end", got=got, next_step=step)
    return report


def _publish(report: Report, out: Path) -> None:
    page = out.with_suffix(".html")
    try:
        write_report(report, out)
        write_page(report, page)
    finally:  # a full disk does not take the table as well
        print(table(report))
    print(f"\nwritten to {out} and {page}")
