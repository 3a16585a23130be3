"""Learning curves of the networks."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from convergent.figures.style import network_look, panels


def training_curves(history: pd.DataFrame) -> Figure:
    """Loss and accuracy against epoch, one colour per network.

    Args:
        history: columns network, epoch, train_loss, train_accuracy, validation_loss, validation_accuracy.
    """
    figure, axes = panels(3, columns=3, width=3.1, height=2.7)
    # Beyond a handful of networks a legend would hide the curves.
    few = history["network"].nunique() <= 8
    curves = (("train_loss", "training loss"), ("validation_loss", "validation loss"), ("validation_accuracy", None))
    for number, (network, rows) in enumerate(history.groupby("network", sort=False)):
        for axis, (column, _) in zip(axes, curves, strict=True):
            axis.plot(rows["epoch"], rows[column], label=network, linewidth=1.3, **network_look(number))
    for axis, (column, title) in zip(axes, curves, strict=True):
        axis.set(title=title or "validation accuracy", xlabel="epoch")
        if column.endswith("loss"):
            axis.set(yscale="log", ylabel="cross-entropy (nats)")
        else:
            axis.set(ylabel="images classified correctly")
            axis.yaxis.set_major_formatter(PercentFormatter(1.0))
    if few:
        axes[-1].legend(loc="lower right")
    return figure
