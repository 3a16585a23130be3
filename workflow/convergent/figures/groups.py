"""Figures of groups of units of two networks, with the content of Li et al. 2016, supplement S.3."""

from collections.abc import Sequence
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Patch, Rectangle
from matplotlib.patheffects import withStroke

from convergent.figures.style import BLACK, NETWORK_COLOURS

MOST_NAMES = 24  # at the side of a block; of more units every second, third, ... is named
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def grouped_matrix(
    matrix: np.ndarray,
    order: np.ndarray,
    boundaries: np.ndarray | Sequence[np.ndarray],
    networks_of_vertex: np.ndarray,
    names: tuple[str, str],
    zoom: int = 3,
    smallest: int = 4,
) -> Figure:
    """Correlations among the units of two networks, permuted so that groups are blocks; the best blocks enlarged.

    Args:
        matrix: (vertices, vertices) correlations; its diagonal is not shown.
        order: (drawn,) vertices in the order of rows and columns; those left out are not drawn.
        boundaries: (groups + 1,) where in this order each group starts, and the end; or one such array for each level
            of a hierarchy, the finest last, whose groups are the ones enlarged.
        networks_of_vertex: (vertices,) 0 or 1; the units of either network are numbered in the order of the vertices.
        names: of the two networks.
        zoom: how many blocks to enlarge: those with the highest mean correlation between the networks.
        smallest: number of units that a group must have to be enlarged.
    """
    if not len(order):
        return plt.figure(figsize=(5.4, 1)).suptitle("no unit is in a group").figure
    levels = [np.asarray(boundaries)] if np.ndim(boundaries[0]) == 0 else [np.asarray(level) for level in boundaries]
    shown = np.array(matrix, dtype=float)
    np.fill_diagonal(shown, 0)
    shown, networks = shown[np.ix_(order, order)], networks_of_vertex[order]
    blocks = best_blocks(shown, levels[-1], networks, zoom, smallest)
    rows = max(len(blocks), 1)
    figure = plt.figure(figsize=(7.4 if blocks else 5.4, 5.4))
    grid = figure.add_gridspec(rows, 2, width_ratios=(3.1, 1)) if blocks else figure.add_gridspec(1, 1)

    axis = figure.add_subplot(grid[:, 0])
    image = draw_matrix(axis, shown)
    axis.set(xticks=[], yticks=[])
    network_strips(axis, networks)
    for depth, level in enumerate(levels):
        group_borders(axis, level, linewidth=0.35 + 0.5 * (len(levels) - 1 - depth))
    for letter, (first, last) in zip(LETTERS, blocks, strict=False):
        outline(axis, first, last, letter)
    groups = len(levels[-1]) - 1
    axis.set_title(f"{len(order)} units in {groups} {'groups' if len(levels) == 1 else 'nested pieces'}", pad=14)
    handles = [Patch(color=colour, label=name) for name, colour in zip(names, NETWORK_COLOURS, strict=False)]
    axis.legend(
        handles=handles,
        loc="lower right",
        bbox_to_anchor=(1, 1.035),
        ncols=2,
        borderaxespad=0,
        borderpad=0,
        handlelength=1,
    )

    for number, (letter, (first, last)) in enumerate(zip(LETTERS, blocks, strict=False)):
        block = slice(first, last)
        zoomed = figure.add_subplot(grid[number, 1])
        draw_matrix(zoomed, shown[block, block])
        name_units(zoomed, unit_names(networks_of_vertex, names)[order[block]], networks[block])
        zoomed.set_title(f"{letter}  between: {mean_between(shown[block, block], networks[block]):.2f}")
    bar = figure.colorbar(image, ax=axis, orientation="horizontal", shrink=0.6, pad=0.02, aspect=30)
    bar.set_label("correlation")
    bar.set_ticks([-1, -0.5, 0, 0.5, 1])
    return figure


def draw_matrix(axis: Axes, matrix: np.ndarray) -> AxesImage:
    """Draw a matrix of correlations on a diverging scale; returns the image."""
    axis.grid(False)
    axis.spines[:].set_visible(False)
    return axis.imshow(matrix, vmin=-1, vmax=1, cmap="RdBu_r", aspect="equal", interpolation="nearest")


def best_blocks(
    matrix: np.ndarray, boundaries: np.ndarray, networks: np.ndarray, count: int, smallest: int
) -> list[tuple[int, int]]:
    """First row and end of the groups most similar between the networks, among those with enough units."""
    pieces = [(int(first), int(last)) for first, last in pairwise(boundaries)]
    mixed = [
        (first, last)
        for first, last in pieces
        if last - first >= smallest and len(np.unique(networks[first:last])) == 2
    ]
    values = [mean_between(matrix[first:last, first:last], networks[first:last]) for first, last in mixed]
    return [mixed[index] for index in np.argsort(-np.array(values), kind="stable")[:count]]


def mean_between(matrix: np.ndarray, networks: np.ndarray) -> float:
    """Mean correlation of the units of one network with those of the other."""
    return float(matrix[np.ix_(networks == 0, networks == 1)].mean())


def network_strips(axis: Axes, networks: np.ndarray) -> None:
    """Say by colour, beside the rows and above the columns, which network each unit belongs to."""
    colours = ListedColormap(NETWORK_COLOURS[:2])
    for bounds, strip in (((-0.03, 0, 0.018, 1), networks[:, None]), ((0, 1.012, 1, 0.018), networks[None])):
        inset = axis.inset_axes(bounds)
        inset.imshow(strip, vmin=0, vmax=1, cmap=colours, aspect="auto", interpolation="nearest")
        inset.set_axis_off()


def group_borders(axis: Axes, boundaries: np.ndarray, linewidth: float) -> None:
    """Frame the block of each group on the diagonal."""
    for first, last in pairwise(boundaries):
        corner, size = (first - 0.5, first - 0.5), last - first
        axis.add_patch(Rectangle(corner, size, size, fill=False, edgecolor=BLACK, linewidth=linewidth))


def outline(axis: Axes, first: int, last: int, letter: str) -> None:
    """Mark a block that is enlarged, with its letter beside it."""
    size = last - first
    axis.add_patch(Rectangle((first - 0.5, first - 0.5), size, size, fill=False, edgecolor=BLACK, linewidth=1.6))
    end, middle = axis.get_xlim()[1], (first + last - 1) / 2
    left = last + 0.5 > 0.95 * end
    place = (first - 1, middle) if left else (last, middle)
    text = axis.text(*place, letter, ha="right" if left else "left", va="center", weight="bold")
    text.set_path_effects([withStroke(linewidth=2, foreground="white")])


def unit_names(networks_of_vertex: np.ndarray, names: tuple[str, str]) -> np.ndarray:
    """Network and number of each vertex (vertices,), as in net1:12."""
    numbers = np.where(networks_of_vertex == 0, np.cumsum(networks_of_vertex == 0), np.cumsum(networks_of_vertex == 1))
    return np.array([f"{names[which]}:{number - 1}" for which, number in zip(networks_of_vertex, numbers, strict=True)])


def name_units(axis: Axes, names: np.ndarray, networks: np.ndarray) -> None:
    """Write the units' names beside the rows of a block, each in the colour of its network."""
    step = -(-len(names) // MOST_NAMES)
    places = range(0, len(names), step)
    axis.set_xticks([])
    axis.set_yticks(places, names[::step], fontsize=max(4.5, min(7.5, 70 / len(places))))
    axis.tick_params(length=0)
    for label, network in zip(axis.get_yticklabels(), networks[::step], strict=True):
        label.set_color(NETWORK_COLOURS[network])
