"""Figures of single units: what each responds to, beside its partner, its group or the units that predict it.

Source: Li et al. 2016, figures 2, 5, 6, S3, S4, S10 and S11: a unit is drawn as the image patches that excite it most,
above what in them excites it. One unit is one image (a mosaic), which keeps drawing fast and files small.
"""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from convergent.figures.style import BLACK, GREY, NETWORK_COLOURS
from convergent.mosaics import centred, coloured, in_bytes, resized

Unit = tuple[str, int]  # network and number
Mosaics = Mapping[Unit, np.ndarray | None]  # of each unit its mosaic; None: it never changes

WIDTH, SPACE = 0.8, 0.12  # inches of a mosaic and between two
MARGIN, TITLE, LINE = 0.5, 0.42, 0.17  # inches left of the pictures, above them, and of a line of small print
NARROWEST = 6.6  # inches, of a figure, for the legend's sake
SMALL, NORMAL = 7, 8.5  # points
MINUS, TIMES = "\N{MINUS SIGN}", "\N{MULTIPLICATION SIGN}"
LEGEND = (
    "Upper half of a unit: the patches that excite it most (blue: beyond the image, or nothing more excites it).\n"
    "Lower half: what in them does, by guided backpropagation (grey: no effect; brighter: more light excites)."
)


class Sheet:
    """A page on which pictures and words have their places, in inches from its upper left corner."""

    def __init__(self, width: float, height: float, title: str, legend: str = LEGEND) -> None:
        width = max(width, NARROWEST)
        self.figure = plt.figure(figsize=(width, height))
        self.figure.set_layout_engine("none")  # everything is told its place
        self.axis = self.figure.add_axes((0, 0, 1, 1))
        self.axis.set(xlim=(0, width), ylim=(height, 0))
        self.axis.axis("off")
        self.text(0.1, 0.1, title, fontsize=10, weight="bold", va="top")
        self.text(0.1, height - 0.08, legend, fontsize=SMALL, color=GREY, va="bottom")

    def text(self, left: float, top: float, words: str, **look) -> None:
        """Write words, by default in small print with their lower left corner at the place."""
        self.axis.text(left, top, words, **{"fontsize": SMALL, "color": BLACK, **look})

    def side_label(self, top: float, height: float, words: str, colour: str) -> None:
        """Write words upwards in the left margin, in the middle of a row."""
        look = {"rotation": 90, "ha": "center", "va": "center", "weight": "bold", "fontsize": NORMAL}
        self.text(MARGIN - 0.2, top + height / 2, words, color=colour, **look)

    def picture(self, left: float, top: float, width: float, height: float, image: np.ndarray) -> None:
        """Draw an image (height, width, 3), uint8."""
        extent = (left, left + width, top + height, top)
        # Without interpolation, an .svg takes the pixels as they are.
        self.axis.imshow(image, extent=extent, interpolation="none", aspect="auto", clip_on=False)
        # Drawing an image sets the limits to those of the image.
        width, height = self.figure.get_size_inches()
        self.axis.set(xlim=(0, width), ylim=(height, 0))

    def blank(self, left: float, top: float, width: float, height: float, words: str) -> None:
        """Draw an empty frame with a word in it."""
        frame = plt.Rectangle((left, top), width, height, fill=False, edgecolor=GREY, linewidth=0.6, linestyle=":")
        self.axis.add_patch(frame)
        self.text(left + width / 2, top + height / 2, words, color=GREY, ha="center", va="center")


def unit_cell(
    sheet: Sheet, left: float, top: float, size: tuple[float, float], image: np.ndarray | None, title: str
) -> None:
    """Draw one unit at a place: its title, and below it the mosaic, or an empty frame if the unit never changes.

    Args:
        size: width and height of the mosaic in inches.
    """
    sheet.text(left + size[0] / 2, top + LINE - 0.04, title, ha="center")
    if image is None:
        sheet.blank(left, top + LINE, *size, "constant")
    else:
        sheet.picture(left, top + LINE, *size, image)


def cell_size(mosaics: Mapping[object, np.ndarray | None], width: float = WIDTH) -> tuple[float, float]:
    """Width and height in inches of a mosaic; all of a figure have the same shape."""
    shapes = [image.shape for image in mosaics.values() if image is not None]
    return width, width * (shapes[0][0] / shapes[0][1] if shapes else 2)


def unit_pairs(
    mosaics: Mosaics,
    best: Sequence[tuple[int, int, float]],
    worst: Sequence[tuple[int, int, float]],
    names: tuple[str, str],
    layer: str,
    similarity: str = "correlation",
) -> Figure:
    """The best and the worst pairs of units of two networks, one above the other (Figs. 2, S3 and S4).

    Args:
        mosaics: of every unit that occurs.
        best, worst: unit of the first network, its partner in the second, their similarity.
        names: of the two networks.
        similarity: what it is called.
    """
    if not best:
        return nothing_to_draw(f"{layer}: no unit of {names[0]} has a partner in {names[1]}.")
    width, height = cell_size(mosaics)
    step, row = width + SPACE, height + LINE + 0.06
    section = 2 * LINE + 0.16 + 2 * row
    columns = max(len(best), len(worst))
    title = f"{layer}: units of {names[0]} and their partners in {names[1]}"
    sheet = Sheet(MARGIN + columns * step, TITLE + 2 * section + 0.3, title)
    for number, (heading, pairs) in enumerate((("best", best), ("worst", worst))):
        top = TITLE + number * section
        words = f"{heading.capitalize()} pairs and their {similarity}" if pairs else ""
        sheet.text(0.1, top + LINE, words, fontsize=NORMAL, weight="bold")
        first = top + 2 * LINE + 0.08
        for place, (a, b, correlation) in enumerate(pairs):
            left = MARGIN + place * step
            sheet.text(left + width / 2, top + 2 * LINE, f"{correlation:.2f}", ha="center", weight="bold")
            for line, unit in enumerate(zip(names, (a, b), strict=True)):
                unit_cell(sheet, left, first + line * row, (width, height), mosaics[unit], f"unit {unit[1]}")
        for line, name in enumerate(names):
            sheet.side_label(first + line * row + LINE, height, name, NETWORK_COLOURS[line])
    return sheet.figure


def activity_extremes(
    mosaics: Mosaics,
    most: Mapping[str, Sequence[tuple[int, float]]],
    least: Mapping[str, Sequence[tuple[int, float]]],
    layer: str,
) -> Figure:
    """The most and the least active units of each network, with their mean activation (Fig. S11).

    Args:
        mosaics: of every unit that occurs.
        most, least: network -> units and their mean activations, in the order in which they are drawn.
    """
    if not any(most.values()):
        return nothing_to_draw(f"{layer}: no unit ever changes.")
    width, height = cell_size(mosaics, 0.66)
    step, row = width + 0.08, height + LINE + 0.16
    # Room for the headings, however few units there are.
    counts = [max(4, *map(len, side.values())) for side in (most, least)]
    starts = MARGIN, MARGIN + counts[0] * step + 0.3
    top = TITLE + LINE + 0.08
    sheet = Sheet(starts[1] + counts[1] * step + 0.05, top + len(most) * row + 0.35, f"{layer}: activity of units")
    for start, side, heading in zip(starts, (most, least), ("Most active units", "Least active units"), strict=True):
        words = f"{heading} (number, mean activation)"
        sheet.text(start, TITLE + LINE, words, fontsize=NORMAL, weight="bold")
        for line, (network, units) in enumerate(side.items()):
            for place, (unit, mean) in enumerate(units):
                at = start + place * step, top + line * row
                unit_cell(sheet, *at, (width, height), mosaics[network, unit], f"{unit}: {mean:.2g}")
    for line, network in enumerate(most):
        colour = NETWORK_COLOURS[line % len(NETWORK_COLOURS)]
        sheet.side_label(top + line * row + LINE, height, network, colour)
    return sheet.figure


def unit_groups(
    mosaics: Mosaics,
    groups: Sequence[tuple[Sequence[int], Sequence[int], float]],
    names: tuple[str, str],
    layer: str,
) -> Figure:
    """Groups of units of two networks that belong together, a group per row (Fig. 6).

    Args:
        mosaics: of every unit that occurs.
        groups: units of the first network, of the second, and how similar the two sides are.
        names: of the two networks.
    """
    if not groups:
        return nothing_to_draw(f"{layer}: no group of three or more holds units of both networks.")
    width, height = cell_size(mosaics)
    step, row = width + SPACE, height + LINE + 0.16
    most = [max((len(group[side]) for group in groups), default=0) for side in (0, 1)]
    starts = 0.95, 0.95 + most[0] * step + 0.25
    top = TITLE + LINE + 0.08
    title = f"{layer}: groups of units of {names[0]} and {names[1]}"
    sheet = Sheet(starts[1] + most[1] * step, top + len(groups) * row + 0.35, title)
    for name, start, colour in zip(names, starts, NETWORK_COLOURS, strict=False):
        sheet.text(start, TITLE + LINE, name, fontsize=NORMAL, weight="bold", color=colour)
    for line, (*sides, similarity) in enumerate(groups):
        above = top + line * row
        middle = above + LINE + height / 2
        sheet.text(0.1, middle - 0.02, f"group {line + 1}", fontsize=NORMAL, weight="bold")
        sheet.text(0.1, middle + 0.02, f"similarity\n{similarity:.2f}", va="top")
        for name, start, units in zip(names, starts, sides, strict=True):
            for place, unit in enumerate(units):
                at = start + place * step, above
                unit_cell(sheet, *at, (width, height), mosaics[name, unit], f"unit {unit}")
    between = starts[1] - 0.125 - SPACE / 2
    sheet.axis.plot([between, between], [TITLE + 0.1, top + len(groups) * row], color=GREY, linewidth=0.6)
    return sheet.figure


def unit_predictors(
    mosaics: Mosaics,
    predictors: Sequence[tuple[int, Sequence[tuple[int, float]]]],
    names: tuple[str, str],
    layer: str,
) -> Figure:
    """Units of one network as weighted sums of the units of another that predict them, one per row (Fig. 5).

    Args:
        mosaics: of every unit that occurs.
        predictors: unit of the second network; units of the first and their weights, in the order of drawing.
        names: of the network that predicts and of the one that is predicted.
    """
    if not predictors:
        return nothing_to_draw(f"{layer}: no unit of {names[1]} can be predicted.")
    width, height = cell_size(mosaics)
    weight, row = 0.64, height + LINE + 0.16
    start = 0.2 + width
    columns = max((len(chosen) for _, chosen in predictors), default=0)
    top = TITLE + LINE + 0.08
    title = f"{layer}: units of {names[1]} predicted from units of {names[0]}"
    sheet = Sheet(start + columns * (weight + width) + 0.1, top + len(predictors) * row + 0.35, title)
    for name, left, colour in ((names[1], 0.1, 1), (names[0], start + weight, 0)):
        sheet.text(left, TITLE + LINE, name, fontsize=NORMAL, weight="bold", color=NETWORK_COLOURS[colour])
    sign = {"ha": "center", "va": "center", "fontsize": NORMAL}
    for line, (target, chosen) in enumerate(predictors):
        above = top + line * row
        middle = above + LINE + height / 2
        unit_cell(sheet, 0.1, above, (width, height), mosaics[names[1], target], f"unit {target}")
        for place, (unit, factor) in enumerate(chosen):
            left = start + place * (weight + width)
            sheet.text(left + weight / 2, middle, signed(factor, first=place == 0), **sign)
            unit_cell(sheet, left + weight, above, (width, height), mosaics[names[0], unit], f"unit {unit}")
        if not chosen:
            sheet.text(start + 0.1, middle, "=  no unit", va="center", fontsize=NORMAL)
    return sheet.figure


def signed(factor: float, first: bool) -> str:
    """A factor of a sum with its sign in front, as it is written on paper."""
    size = f"{abs(factor):.2f} {TIMES}"
    if first:
        return f"=  {MINUS}{size}" if factor < 0 else f"=  {size}"
    return f"{MINUS} {size}" if factor < 0 else f"+ {size}"


def filters(
    weights: Mapping[str, np.ndarray],
    pairs: Sequence[tuple[int, int, float]],
    layer: str,
    columns: int = 16,
) -> Figure:
    """First-layer filters of one network in order, and below each its partner in another network (Fig. 1, S1).

    Args:
        weights: network -> (units, channels, height, width), of two networks; each filter is scaled by itself.
        pairs: unit of the first network, its partner in the second (-1: none), their correlation.
        columns: pairs in a row.
    """
    names = tuple(weights)
    width, gap = 0.46, 0.06
    columns = min(columns, len(pairs))
    row = 2 * (width + gap) + 2 * LINE + 0.06
    lines = -(-len(pairs) // columns)
    title = f"{layer}: filters of {names[0]} and, below them, their partners in {names[1]}"
    legend = "Above each pair: its correlation. Grey is a weight of zero; each filter is scaled by itself."
    sheet = Sheet(MARGIN + columns * (width + gap) + 0.1, TITLE + lines * row + 0.25, title, legend)
    for number, (*units, correlation) in enumerate(pairs):
        left, top = MARGIN + number % columns * (width + gap), TITLE + number // columns * row
        sheet.text(left + width / 2, top + LINE - 0.03, f"{correlation:.2f}", ha="center")
        for line, (name, unit) in enumerate(zip(names, units, strict=True)):
            at = left, top + LINE + line * (width + gap)
            if unit < 0:
                sheet.blank(*at, width, width, "none")
                continue
            sheet.picture(*at, width, width, in_bytes(coloured(resized(centred(weights[name][unit])))))
    for number in range(lines):
        for line, name in enumerate(names):
            top = TITLE + number * row + LINE + line * (width + gap)
            sheet.side_label(top, width, name, NETWORK_COLOURS[line])
    return sheet.figure


def nothing_to_draw(words: str) -> Figure:
    """A figure that says why it is empty."""
    return Sheet(NARROWEST, TITLE + 0.4, words, legend="").figure
