"""Pictures of results: confusion matrix, robustness heat-map. Each returns a matplotlib figure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from edge_runtime.emotions.labels import EMOTIONS


def confusion_matrix(counts: NDArray[np.int64], title: str) -> Figure:
    """Draw counts (7, 7): each row is a true emotion, its cells the shares of the answers and the numbers of faces."""
    figure = Figure(figsize=(6.4, 5.6), layout="constrained")
    axes = figure.subplots()
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    texts = [[f"{share:.0%}\n{n}" for share, n in zip(*rows, strict=True)] for rows in zip(shares, counts, strict=True)]
    _cells(axes, shares, texts, "Blues")
    axes.set(title=title, xlabel="answer", ylabel="true emotion")
    axes.set_xticks(range(len(EMOTIONS)), EMOTIONS, rotation=30, ha="right")
    axes.set_yticks(range(len(EMOTIONS)), EMOTIONS)
    return figure


def corruption_map(accuracy: dict[str, Sequence[float]], clean: float, title: str) -> Figure:
    """Draw accuracy by kind of corruption (rows) and severity 1 to 5 (columns)."""
    figure = Figure(figsize=(6.4, 5.2), layout="constrained")
    axes = figure.subplots()
    cells = np.array(list(accuracy.values()))
    _cells(axes, cells, [[f"{value:.1%}" for value in row] for row in cells], "viridis", high=clean)
    axes.set(title=f"{title}\nclean {clean:.1%}, mean of the cells {cells.mean():.1%}", xlabel="severity")
    axes.set_xticks(range(cells.shape[1]), [f"{severity}" for severity in range(1, cells.shape[1] + 1)])
    axes.set_yticks(range(len(accuracy)), accuracy)
    return figure


def _cells(
    axes: Axes, values: NDArray[np.float64], texts: Sequence[Sequence[str]], colours: str, high: float = 1.0
) -> None:
    """Colour each cell by its value in [0, high], and write its text in what reads best on that colour."""
    image = axes.imshow(values, cmap=colours, vmin=0, vmax=high, aspect="auto")
    for row, line in enumerate(texts):
        for column, text in enumerate(line):
            red, green, blue, _ = image.cmap(image.norm(values[row, column]))
            dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.5  # noqa: PLR2004  (half-way to white)
            axes.text(column, row, text, ha="center", va="center", fontsize=8, color="white" if dark else "black")
