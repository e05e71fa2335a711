"""Learning curves of a run: one line of ``curves.csv`` an epoch, drawn as ``curves.png``."""

from __future__ import annotations

import csv
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from edge_runtime.errors import DataError
from edge_runtime.files import whole

Row = dict[str, float]

_NEEDED = ("epoch", "seconds", "train_loss", "train_accuracy", "public_loss", "public_accuracy")


class Curves:
    """The epochs of one run, on disk in ``folder``; a resumed run goes on from those that its checkpoint holds."""

    def __init__(self, folder: Path, epochs_done: int) -> None:
        """Read what an interrupted run left, without an epoch that its checkpoint did not live to hold.

        Raises ``DataError`` when the table is damaged.
        """
        self.table, self.picture = folder / "curves.csv", folder / "curves.png"
        self.rows: list[Row] = []
        if epochs_done and self.table.exists():
            try:
                with self.table.open(newline="", encoding="utf-8") as file:
                    read = [{name: float(row[name]) for name in (*row, *_NEEDED)} for row in csv.DictReader(file)]
            except (OSError, ValueError, TypeError, KeyError, csv.Error) as error:
                step = "move it away: the run goes on, and the curves begin there"
                raise DataError(
                    f"{self.table} is damaged", expected="numbers of each epoch", got=str(error), next_step=step
                ) from error
            self.rows = [row for row in read if row["epoch"] <= epochs_done]

    def add(self, row: Row) -> None:
        """Append one epoch and write both files anew."""
        self.rows.append(row)
        with whole(self.table) as partial, partial.open("w", newline="", encoding="utf-8") as file:
            names = dict.fromkeys(name for line in self.rows for name in line)  # parts of a loss can be new
            writer = csv.DictWriter(file, list(names), restval="nan")
            writer.writeheader()
            writer.writerows({name: f"{value:.6g}" for name, value in line.items()} for line in self.rows)
        with whole(self.picture) as partial:
            draw(self.rows).savefig(partial, dpi=120)


def draw(rows: list[Row]) -> Figure:
    """Draw cross entropy and accuracy by epoch, of a sample of Training and of PublicTest, each face as it is."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    loss, accuracy = figure.subplots(1, 2)
    epochs = [row["epoch"] for row in rows]
    for axes, name, title in ((loss, "loss", "cross entropy"), (accuracy, "accuracy", "accuracy")):
        for split, label in (("train", "Training (sample)"), ("public", "PublicTest")):
            marker = "." if len(rows) == 1 else None  # of one epoch there is no line
            axes.plot(epochs, [row[f"{split}_{name}"] for row in rows], marker=marker, label=label)
        axes.set(title=title, xlabel="epoch")
        axes.grid(alpha=0.3)
    accuracy.yaxis.set_major_formatter(PercentFormatter(1))
    accuracy.legend(frameon=False)
    return figure
