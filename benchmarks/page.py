"""A report as one HTML page that needs nothing else: no network, no script, no package.

``python -m benchmarks.page --report out/bench.json --out FOLDER`` writes the page's plots one by one, for documents.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from html import escape
from pathlib import Path

from benchmarks import charts
from benchmarks.command import command
from benchmarks.report import Report, read_report
from benchmarks.svg import WIDTH, Plot
from benchmarks.table import table
from edge_runtime.files import make_folder, write_text
from edge_runtime.options import option
from edge_runtime.recogniser import STAGES

_STYLE = f"""
:root {{ color-scheme: light dark; --grid: #8884; --faint: #64748b; }}
@media (prefers-color-scheme: dark) {{ :root {{ --faint: #94a3b8; }} }}
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: {WIDTH}px; margin: 2rem auto; padding: 0 1rem; }}
h1 {{ margin-bottom: 0; }}
h2 {{ margin: 2.5rem 0 0.25rem; }}
p {{ margin: 0.25rem 0 0.75rem; color: var(--faint); }}
p.warning {{ color: #b91c1c; font-weight: 600; border-left: 4px solid; padding-left: 0.75rem; }}
svg {{ width: 100%; height: auto; display: block; }}
svg text {{ font: 14px system-ui, sans-serif; fill: currentColor; }}
svg text.faint {{ fill: var(--faint); }}
pre {{ font: 12px/1.4 ui-monospace, monospace; overflow-x: auto; }}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlotOptions:
    """Options of ``python -m benchmarks.page``."""

    report: Path = option(Path("out/bench.json"), "report of fer-edge bench")
    out: Path = option(Path("out"), "folder for the plots of its page as SVG files")


def write_page(report: Report, path: Path) -> None:
    """Write the page, in one piece."""
    write_text(path, _page(report))


def write_plots(options: PlotOptions) -> None:
    """Write each plot of the report's page as a file of its own, black on white, and print its name."""
    report = read_report(options.report)
    make_folder(options.out)
    for title, _, plot in _plots(report):
        file = options.out / f"{title.lower().replace(' ', '-')}.svg"
        write_text(file, plot.alone())
        print(file)


def _page(report: Report) -> str:
    machine = report.machine
    sections = "\n".join(
        f"<h2>{escape(title)}</h2>\n<p>{escape(text)}</p>\n{plot}" for title, text, plot in _plots(report)
    )
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>fer-edge benchmark, {escape(machine["cpu"])}</title>
<link rel="icon" href="data:,">
<style>{_STYLE}</style>
</head>
<body>
<h1>fer-edge benchmark</h1>
<p>{escape(f"{machine['cpu']}, {machine['cores']} cores, {machine['system']} · bundle {report.bundle}")}</p>
{_warnings(report)}
{sections}
<h2>All figures</h2>
<p>{escape(report.command)}</p>
<pre>{escape(table(report))}</pre>
</body>
</html>
"""


def _warnings(report: Report) -> str:
    texts = [f"{name} died {reason}" for name, reason in report.died.items()]
    if report.throttled:
        texts.append(f"The machine was slowed down while it was measured: {report.throttled}.")
    if not report.complete:
        texts.append("INCOMPLETE: the run did not end by itself; what is missing was not measured.")
    return "\n".join(f'<p class="warning">{escape(text)}</p>' for text in texts)


def _plots(report: Report) -> list[tuple[str, str, Plot]]:
    """Return title, explanation and plot of everything that was measured."""
    found: list[tuple[str, str, Plot | None]] = []
    if rows := report.of("single", case="face"):
        text = "Every timed call is in it, nothing is removed. Each strip has its own height; lines: p50 and p99."
        found.append(("One face", text, charts.distribution(rows)))
    if report.of("frame", stage=STAGES[0]):
        text = f"The whole way of a frame of the clip, faces {report.clip['faces']}, found by {report.detector}."
        found.append(("A frame by stage", text, charts.stage_stack(report)))
    if report.of("faces"):
        text = (
            "Aligning and reading all faces of a frame, found beforehand; beside each name, what one face more costs."
        )
        found.append(("Scaling with faces", text, charts.scaling(report)))
    if rows := report.accurate():
        text = f"Each face of {rows[0].case} once through the artefact that was timed, one at a time; 95 % intervals."
        found.append(("Accuracy over latency", text, charts.front(rows)))
    if report.of("steady"):
        text = f"Whole frames for {report.options['duration']} without a pause, candidates in turns."
        found.append(("Without a pause", text, charts.over_time(report)))
        found.append(("Temperature", "Over the whole run.", charts.temperature(report)))
    return [(title, text, plot) for title, text, plot in found if plot is not None]


def main() -> int:
    """Run it from the command line; return the exit code."""
    return command("page", "The plots of a report, one by one.", PlotOptions, write_plots)


if __name__ == "__main__":
    sys.exit(main())
