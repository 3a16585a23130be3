"""One look for all figures: colours that colour-blind readers tell apart, sizes that print, files that repeat.

The qualitative palette is that of Okabe & Ito (2008). A colour means the same thing everywhere: networks take
theirs in order, and each population has its own colour, line style and marker so that grey print suffices.
"""

from collections.abc import Iterable
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from convergent.files import written_whole

BLUE, ORANGE, GREEN, VERMILION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
SKY, PURPLE, YELLOW, GREY, BLACK = "#56B4E9", "#CC79A7", "#F0E442", "#7F7F7F", "#222222"
NETWORK_COLOURS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, BLACK, GREY)
NARROWEST = 5.2  # inches
NETWORK_STYLES = ("-", "--", "-.", ":")
POPULATION_LOOKS = {
    "trained": {"color": BLUE, "linestyle": "-", "marker": "o"},
    "untrained": {"color": ORANGE, "linestyle": "--", "marker": "s"},
    "shuffled": {"color": GREY, "linestyle": ":", "marker": "v"},
    "against_untrained": {"color": SKY, "linestyle": (0, (4, 1)), "marker": "<"},
    "against_rotated": {"color": BLACK, "linestyle": (0, (3, 1, 1, 1)), "marker": ">"},
    "siblings": {"color": PURPLE, "linestyle": (0, (1, 1)), "marker": "x"},
    "permuted": {"color": GREEN, "linestyle": "-.", "marker": "^"},
}

plt.rcParams.update(
    {
        "font.family": "DejaVu Sans",
        "font.size": 9,
        "axes.titlesize": 9.5,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.color": "#E4E4E4",
        "grid.linewidth": 0.6,
        "axes.axisbelow": True,
        "legend.frameon": False,
        "figure.constrained_layout.use": True,
        "savefig.dpi": 160,
        "image.cmap": "magma",
        # Without these two, drawing the same table twice gives different files.
        "svg.hashsalt": "convergent",
        "svg.fonttype": "none",
    }
)


def network_look(number: int) -> dict:
    """Colour and line style of the network with this index, 0 first."""
    style = NETWORK_STYLES[(number // len(NETWORK_COLOURS) + number) % len(NETWORK_STYLES)]
    return {"color": NETWORK_COLOURS[number % len(NETWORK_COLOURS)], "linestyle": style}


def panels(count: int, columns: int = 4, width: float = 2.6, height: float = 2.3, **options) -> tuple[Figure, list]:
    """A figure of `count` equal panels in rows of at most `columns`; returns the figure and its axes.

    However few the panels, the figure is wide enough for a title and a legend.
    """
    columns = min(count, columns)
    rows = -(-count // columns)
    size = max(NARROWEST, width * columns), height * rows
    figure, grid = plt.subplots(rows, columns, figsize=size, squeeze=False, **options)
    axes = list(grid.flat)
    for spare in axes[count:]:
        spare.remove()
    return figure, axes[:count]


def legend_below(figure: Figure, handles: Iterable, labels: Iterable[str]) -> None:
    """A legend under the panels, in as many columns as fit."""
    labels = list(labels)
    longest = max(map(len, labels), default=1)
    columns = int((figure.get_figwidth() - 0.3) // (0.55 + 0.075 * longest))
    figure.legend(list(handles), labels, loc="outside lower center", ncols=max(1, min(columns, len(labels))))


def shortened(name: str, most: int = 24) -> str:
    """A layer's name, its beginning left out where there is no room for all of it."""
    return name if len(name) <= most else f"…{name[1 - most :]}"


def save(figure: Figure, paths: Iterable[str | Path]) -> None:
    """Write a figure to each path, .svg or .png, and close it."""
    # Arranging the panels takes longer than drawing them: once is enough for all formats.
    if figure.axes and (arrangement := figure.get_layout_engine()):
        arrangement.execute(figure)
    figure.set_layout_engine("none")
    for path in paths:
        figure.set_dpi(plt.rcParams["savefig.dpi"])  # the canvas of SVG changes it
        # The formats' own canvases: `savefig` would draw everything twice, the first time for the arrangement alone.
        with written_whole(path) as partial:
            if Path(path).suffix == ".svg":
                FigureCanvasSVG(figure).print_svg(partial, metadata={"Date": None})
            else:
                FigureCanvasAgg(figure).print_png(partial)
    plt.close(figure)
