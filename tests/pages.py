"""Whether what a figure shows fits on its page."""

from itertools import combinations


def misplaced(figure):
    """Panels with their words, and legends, that are not wholly on the page; titles that run into each other."""
    figure.draw_without_rendering()
    renderer, page = figure.canvas.get_renderer(), figure.bbox
    boxes = {number: axis.get_tightbbox(renderer) for number, axis in enumerate(figure.axes)}
    boxes |= {f"legend {number}": legend.get_window_extent(renderer) for number, legend in enumerate(figure.legends)}
    off = [
        name
        for name, box in boxes.items()
        if box.x0 < page.x0 - 1 or box.x1 > page.x1 + 1 or box.y0 < page.y0 - 1 or box.y1 > page.y1 + 1
    ]
    titles = [axis._left_title.get_window_extent(renderer) for axis in figure.axes if axis.get_title(loc="left")]
    return off + [pair for pair in combinations(titles, 2) if pair[0].overlaps(pair[1])]
