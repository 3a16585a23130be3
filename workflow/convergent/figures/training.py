"""Learning curves of the networks."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from convergent.figures.style import legend_below, network_look, panels


def training_curves(history: pd.DataFrame) -> Figure:
    """Loss and accuracy against epoch, one colour per network.

    Args:
        history: columns network, epoch, train_loss, train_accuracy, validation_loss, validation_accuracy.
    """
    figure, axes = panels(3, columns=3, width=3.1, height=2.7)
    curves = (("train_loss", "training loss"), ("validation_loss", "validation loss"), ("validation_accuracy", None))
    for number, (network, rows) in enumerate(history.groupby("network", sort=False)):
        for axis, (column, _) in zip(axes, curves, strict=True):
            axis.plot(rows["epoch"], rows[column], label=network, linewidth=1.3, **network_look(number))
    for axis, (column, title) in zip(axes, curves, strict=True):
        axis.set(title=title or "validation accuracy", xlabel="epoch")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        if column.endswith("loss"):
            wide = history[column].max() > 10 * history[column].min() > 0
            axis.set(yscale="log" if wide else "linear", ylabel="cross-entropy (nats)")
        else:
            axis.set(ylabel="images classified correctly")
            axis.yaxis.set_major_formatter(PercentFormatter(1.0))
    networks = history["network"].nunique()
    if networks <= 8:  # beyond a handful a legend is longer than the curves
        legend_below(figure, *axes[-1].get_legend_handles_labels())
    else:
        figure.suptitle(f"{networks} networks", fontsize=10, x=0.01, ha="left")
    return figure
