"""Draw the learning dynamics beside the theory."""

from job import logged
from products import frames, saved

from convergent.dynamics.experiments import STRUCTURE_RATES, TRAJECTORIES, TWO_POINT
from convergent.dynamics.settings import ARCHITECTURES
from convergent.figures import dynamics as figures
from convergent.figures.style import save

with logged(snakemake):
    params = snakemake.params
    tables = frames(snakemake.input, params.tables)
    fits, curves = tables["fits"], tables["curves"]
    of_points, of_images = (curves[curves["experiment"] == name] for name in (TWO_POINT, TRAJECTORIES))
    # The first pair of images stands for the others.
    first = fits[fits["pair"] == 0]
    axes, images = tables["context_axes"], tables["image_structure"]
    draw = {
        "trajectories": lambda: figures.trajectories(of_points, fits=first),
        "images": lambda: figures.trajectories(of_images, fits=first),
        "loss": lambda: figures.loss_curves(of_points, first),
        "phase_plane": lambda: figures.phase_plane(of_points, first),
        "collapse": lambda: figures.collapse(tables["rises"][tables["rises"]["setting"].isin(ARCHITECTURES)]),
        "fit_quality": lambda: figures.fit_quality(first),
        "rates": lambda: figures.rates(first[first["experiment"] == TWO_POINT]),
        "gains": lambda: figures.gain_trend(first),
        "alternatives": lambda: figures.alternatives(first),
        "depth": lambda: figures.depth(first),
        "final_distances": lambda: figures.final_distances(tables["distances"]),
        "xor": lambda: figures.xor(tables["xor"]),
        "context_leaky_relu": lambda: figures.context_axes(axes, "leaky_relu"),
        "context_tanh": lambda: figures.context_axes(axes, "tanh"),
        **{
            f"image_structure_{case}": lambda case=case: figures.image_structure(images[images["case"] == case])
            for case in STRUCTURE_RATES
        },
        "bridge": lambda: figures.bridge(tables["bridge"]),
    }
    for name, paths in zip(params.names, saved(snakemake), strict=True):
        save(draw[name.split("/")[1]](), paths)
