"""What the studies beside the main one consist of: noise and sample size, and learning dynamics.

Each has its own target, and shares with the main study its configuration, its seed and its folder.
Methods that take `wildcards` are the rules' input and parameter functions.
"""

from functools import cached_property
from pathlib import Path

from convergent.dynamics.experiments import DEPTH, DISTANCES, FITTED, ON_IMAGES, TABLES, TRAJECTORIES, TWO_POINT, XOR
from convergent.dynamics.experiments import cells as dynamics_cells
from convergent.errors import StudyError
from convergent.files import digest
from convergent.noise.protocols import PROTOCOLS
from convergent.noise.protocols import cells as noise_cells
from convergent.noise.summary import THEORIES
from fingerprint import code


class Names:
    """Wildcards that are named in code instead of found in a path."""

    def __init__(self, **names: str):
        self.__dict__.update(names)


class NoisePlan:
    """Umar & Laio 2026: alignment against the signal-to-noise ratio and the number of training samples."""

    def __init__(self, scale: str, seed: int):
        self.scale, self.seed = scale, seed

    @cached_property
    def cells(self) -> list[Names]:
        """Every protocol and number of training samples."""
        return [Names(protocol=name, size=str(size)) for name, size in noise_cells(self.scale)]

    def key(self, wildcards) -> str:
        return digest("noise", code("measure_noise"), wildcards.protocol, wildcards.size, self.scale, self.seed)

    @property
    def fragments(self) -> list[str]:
        """The pieces of the table of all values."""
        return [f"<study>/noise/{cell.protocol}/{cell.size}.csv" for cell in self.cells]

    def contents(self, wildcards) -> list[tuple[list[str], bool]]:
        """For each piece, the key that its rows must carry; none is empty."""
        return [([self.key(cell)], False) for cell in self.cells]

    @cached_property
    def figures(self) -> dict[str, str]:
        """Figures with what the report calls them."""
        kinds = {
            "alignment_against_size": "alignment against sample size",
            "alignment_against_ratio": "alignment against the ratio",
            "error_beside_alignment": "error beside alignment",
            "error_alignment_plane": "error against alignment",
        }
        # Of some variants theory, or training step by step, is compared with one measure alone.
        places = [place for place, protocol in PROTOCOLS.items() if len(protocol.settings.get("measures", "none")) > 1]
        figures = {
            f"noise/{kind}/{name}-{variant}": f"{words}, {name} {variant}"
            for kind, words in kinds.items()
            for name, variant in places
        }
        figures |= {f"noise/theory/{variant}": f"theory and simulation, {variant}" for _, variant in THEORIES}
        # The error is derived for label noise.
        figures["noise/theory_error/single_label"] = "theory and simulation of the test error"
        return figures | {"noise/closed_form/small": "closed form and training step by step"}

    @property
    def results(self) -> list[str]:
        """Everything that the study ends with."""
        return ["<study>/noise/claims.html", *(f"<study>/figures/{name}.svg" for name in self.figures)]

    def all_keys(self) -> dict[str, str]:
        """The keys of everything that is made once, for the record."""
        return {f"{cell.protocol} {cell.size}": self.key(cell) for cell in self.cells}


class DynamicsPlan:
    """van Rossem & Saxe 2024: whether very different architectures learn by the same dynamics."""

    def __init__(self, scale: str, seed: int, data_key: str, images_file: str):
        self.scale, self.seed, self.data_key, self.images_file = scale, seed, data_key, images_file
        self.cells = [Names(experiment=name, case=case) for name, case in dynamics_cells(scale)]
        self.tables = TABLES

    @cached_property
    def figures(self) -> dict[str, str]:
        """Figures with what the report calls them; those of experiments that are not made are left out."""
        figures = {
            "trajectories": "trajectories and theory",
            "loss": "loss and theory",
            "collapse": "collapse of all architectures",
            "phase_plane": "phase plane",
            "fit_quality": "quality of the fits",
            "rates": "effective rates",
            "images": "trajectories of images",
            "image_structure_published": "structure of images, published rate",
            "image_structure_slow": "structure of images, slower",
            "context_leaky_relu": "context task, leaky_relu",
            "context_tanh": "context task, tanh",
            "bridge": "similarity between architectures",
        }
        made = {experiment for experiment, _ in self.names}
        if DEPTH in made:
            figures |= {"depth": "fits layer by layer"}
            figures |= {"alternatives": "other equations", "gains": "from rich to lazy"}
        if XOR in made:
            figures["xor"] = "distances of exclusive or"
        if DISTANCES in made:
            figures["final_distances"] = "final distances and theory"
        return {f"dynamics/{name}": label for name, label in figures.items()}

    @property
    def results(self) -> list[str]:
        """Everything that the study ends with."""
        return ["<study>/dynamics/claims.html", *(f"<study>/figures/{name}.svg" for name in self.figures)]

    def all_keys(self) -> dict[str, str]:
        """The keys of everything that is made once, for the record."""
        return {f"{cell.experiment} {cell.case}": self.key(cell) for cell in self.cells}

    def data(self, wildcards) -> list[str]:
        """The study's images, for the experiments that show them.

        Raises:
            StudyError: they are files, which may be too many to hold and differ in size.
        """
        if wildcards.experiment not in ON_IMAGES:
            return []
        if Path(self.images_file).suffix != ".npy":
            raise StudyError(
                "the study of dynamics needs a `dataset` that is stored as an array: choose another one, such as "
                "digits or mnist."
            )
        return [f"<study>/data/{file}" for file in ("dataset.json", self.images_file, "labels.npy", "splits.npz")]

    def shown_data_key(self, wildcards) -> str | None:
        """Key of these images; None where there are none."""
        return self.data_key if wildcards.experiment in ON_IMAGES else None

    def key(self, wildcards) -> str:
        """Key of what the networks of one case did."""
        which = [wildcards.experiment, wildcards.case, self.scale, self.seed, self.shown_data_key(wildcards)]
        return digest("dynamics", code("train_dynamics"), which)

    def fit_key(self, wildcards) -> str:
        """Key of the fits to it."""
        return digest("dynamics fits", code("fit_dynamics"), self.key(wildcards))

    @property
    def runs(self) -> list[str]:
        """What the networks did, case by case."""
        return [f"<study>/dynamics/runs/{cell.experiment}/{cell.case}.npz" for cell in self.cells]

    def run_keys(self, wildcards) -> list[str]:
        """Their keys."""
        return [self.key(cell) for cell in self.cells]

    @property
    def names(self) -> list[tuple[str, str]]:
        """Experiment and case of each of them."""
        return [(cell.experiment, cell.case) for cell in self.cells]

    def fitted(self, table: str) -> list[str]:
        """The pieces of the tables of `fits` and of `curves`."""
        cells = [cell for cell in self.cells if cell.experiment in FITTED]
        if table == "curves":  # of every layer there would be too many
            cells = [cell for cell in cells if cell.experiment != DEPTH]
        return [f"<study>/dynamics/{table}/{cell.experiment}/{cell.case}.csv" for cell in cells]

    def fit_contents(self, wildcards) -> list[tuple[list[str], bool]]:
        """For each piece of the table of fits, the key that its rows must carry."""
        return [([self.fit_key(cell)], False) for cell in self.cells if cell.experiment in FITTED]

    def curve_contents(self, wildcards) -> list[tuple[list[str], bool]]:
        """The same for curves."""
        return [([self.fit_key(cell)], False) for cell in self.cells if cell.experiment in (TWO_POINT, TRAJECTORIES)]
