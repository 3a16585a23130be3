"""What a job asks of a scheduler: memory, run time, a GPU; from what it will process, before its files exist.

The numbers are upper bounds of what the default study took on two cores of an AMD EPYC, carried over to other sizes by
what the work of a rule grows with. A job that was killed for too little is tried again with twice as much. On one
machine nothing of this matters. Nothing here enters a result: no estimate is a parameter of a rule.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from math import ceil, prod

from convergent.datasets import check_sizes
from convergent.statistics import pairs
from plan import Plan, population_of, vars_of
from sources import rows_and_units

# Memory in MB. On a cluster Snakemake starts itself two or three times around a job's own Python, and counts as part
# of the job: 200 MB each.
LAUNCHING = 600
PLAIN, WITH_TORCH = 250, 500  # Python with NumPy, SciPy, Matplotlib; with torch
CUDA = 3000  # what torch takes of the main memory once it talks to a GPU
PART = 2  # of data: temporary copies

# Run time in seconds.
STARTING = 300  # three times Snakemake, and imports over a slow network file system
SLOWER = 2  # than the machine that the estimates were measured on
GPU_SPEEDUP = 25  # of a network, against one core

ADDED = 3e-10  # a product of two units on one sample
COUNTED = 1e-10  # the same of two bins, for mutual information
CUBED = 7e-7  # a map from all units of a network to one of another, per cube of their number
ANSWERED = 2e-8  # one number that a network computes for an image
NUMBER = 8  # bytes in float64


@dataclass(frozen=True)
class Work:
    """What one job processes."""

    networks: int  # that it reads
    pairs: int  # of them that it compares
    sizes: list[tuple[int, int]]  # samples and units of each layer
    images: int  # that networks are compared on
    training_images: int
    numbers: int  # that a network computes for one image
    populations: int
    costly: list[str]  # what is measured on every draw of images, beside the correlations
    config: dict

    @property
    def read(self) -> float:
        """Bytes of the activations; pages of a mapped file count as memory where a scheduler looks at a process."""
        itemsize = 2 if self.config["activations"]["dtype"] == "float16" else 4
        return self.networks * sum(samples * units * itemsize for samples, units in self.sizes)

    @property
    def matrices(self) -> float:
        """Bytes of one matrix for each network and each pair, of the widest layer."""
        return (self.networks + self.pairs) * self.widest**2 * NUMBER

    @property
    def widest(self) -> int:
        """Units of the widest layer."""
        return max((units for _, units in self.sizes), default=0)

    @property
    def products(self) -> float:
        """Products of two units on one sample, for each network and each pair."""
        return (self.networks + self.pairs) * sum(samples * units**2 for samples, units in self.sizes)

    @property
    def cubes(self) -> float:
        """Cubes of the numbers of units, for each pair."""
        return self.pairs * sum(units**3 for _, units in self.sizes)

    @property
    def rows(self) -> int:
        """Rows of the tables of all pairs, roughly."""
        return 1000 * self.pairs * len(self.sizes)

    @property
    def batch(self) -> float:
        """Bytes of what a network computes for one batch of images that are recorded."""
        return self.config["activations"]["batch_size"] * self.numbers * 4

    @property
    def answer(self) -> float:
        """Seconds in which one network answers one image."""
        return self.numbers * ANSWERED / (GPU_SPEEDUP if self.config["device"] == "cuda" else 1)

    @property
    def answering(self) -> float:
        """Seconds in which one network answers all images that networks are compared on."""
        return self.images * self.answer

    @property
    def per_image(self) -> float:
        """Bytes of one row per image, of all layers of all networks."""
        whole = self.config["similarity"]["positions"] == "flatten"
        return 4 * self.networks * sum((samples if whole else self.images) * units for samples, units in self.sizes)


# Rule -> bytes beside those of the programs, seconds beside those of starting.
Estimate = tuple[float, float]


def train_network(work: Work) -> Estimate:
    training = work.config["training"]
    passes = 3 * training["epochs"] * work.training_images  # backward takes twice as long as forward
    seconds = passes * work.answer + training["epochs"] * work.answering
    return work.networks * training["batch_size"] * work.numbers * 4 * 4, work.networks * seconds


def dump_activations(work: Work) -> Estimate:
    written = work.read * work.populations
    return 3 * work.batch, work.populations * work.answering + written / 50e6


def adopt_network(work: Work) -> Estimate:
    return 2e9, 60


def adopt_activations(work: Work) -> Estimate:
    return PART * work.read, work.populations * work.read / 20e6


def compute_statistics(work: Work) -> Estimate:
    return work.read + PART * work.matrices, work.products * ADDED


def align_units(work: Work) -> Estimate:
    return PART * work.matrices, len(work.sizes) + work.cubes * 5e-10


def measure_information(work: Work) -> Estimate:
    bins = work.config["information"]["bins"]
    coded = work.networks * sum(samples * units for samples, units in work.sizes)
    # Two bounds of its own: the ordered activations of one network, and the counts of a block of pairs.
    bounds = 2 * min(2**28, work.pairs * (bins * work.widest) ** 2 * NUMBER)
    return work.read + coded + PART * work.matrices + bounds, work.products * bins**2 * COUNTED / 2


def run_controls(work: Work) -> Estimate:
    shuffling = work.config["controls"]["shuffles"] * work.products * ADDED
    return 2 * work.read + 3 * PART * work.matrices, 2 * shuffling + work.pairs + work.cubes * 1e-8


def map_units(work: Work) -> Estimate:
    penalties = 1 + len(work.config["maps"]["log10_decays"]) + len(work.config["maps"]["trained_log10_decays"])
    maps = penalties * work.networks * work.widest**2 * NUMBER
    return work.read + 3 * PART * work.matrices + maps, work.products * ADDED + 2 * work.cubes * CUBED * penalties / 16


def group_units(work: Work) -> Estimate:
    joint = (2 * work.widest) ** 2 * NUMBER
    return work.matrices + 10 * joint, 2 * work.pairs + work.cubes * 3e-9


def resample_images(work: Work) -> Estimate:
    costly = {"information": measure_information, "maps": map_units}
    parts = [compute_statistics(work), align_units(work), *(costly[name](work) for name in work.costly)]
    draws = work.config["resampling"]["images"]
    return PART * work.matrices + sum(memory for memory, _ in parts), draws * sum(seconds for _, seconds in parts)


def compare_representations(work: Work) -> Estimate:
    settings, widths = work.config["similarity"], [units for _, units in work.sizes]
    neighbours = min(settings["largest_samples"], work.images) ** 2
    factors = work.networks * sum(units**2 for units in widths) * 4 * NUMBER
    # Every layer of one network with every layer of the other.
    seconds = len(widths) ** 2 * (2e-3 + neighbours * 2e-8)
    seconds += sum(units**1.5 for units in widths) ** 2 * 5e-9 + work.images * sum(widths) ** 2 * 1e-10
    memory = 1.25 * work.per_image + factors + 10 * neighbours * NUMBER
    return memory, work.pairs * len(settings["measures"]) * seconds


def control_similarity(work: Work) -> Estimate:
    memory, seconds = compare_representations(work)
    copies = 3 + len(work.config["similarity"]["noise"])
    return 2 * memory, seconds * (1 + copies / max(len(work.sizes), 1))


def calibrate_similarity(work: Work) -> Estimate:
    settings = work.config["similarity"]
    layers, neighbours = len(work.sizes), min(settings["largest_samples"], work.images) ** 2
    draws = settings["permutations"] * work.pairs
    draws *= len(settings["calibrated"]) * layers + len(settings["over_layers"]) * layers**2
    memory, _ = compare_representations(work)
    return memory, draws * (5e-4 + neighbours * 1e-9 + work.widest**2 * 1e-8)


def stream_statistics(work: Work) -> Estimate:
    layers = len(work.sizes)
    memory = 3 * work.networks * work.batch + PART * layers * work.matrices
    return memory, work.networks * work.answering + work.products * ADDED


def stream_controls(work: Work) -> Estimate:
    memory, seconds = stream_statistics(work)
    return 2 * memory, 2 * seconds + work.cubes * 1e-9


def picture_units(work: Work) -> Estimate:
    return work.read + 4 * work.batch, 30 + work.read / 50e6


def small(work: Work) -> Estimate:
    """Something that does not grow."""
    return 100e6, 60


def collect(work: Work) -> Estimate:
    """The tables of all pairs, held row by row."""
    return 3000 * work.rows, 1e-4 * work.rows


def draw(work: Work) -> Estimate:
    """Figures of two networks, or of means over all pairs."""
    return 100e6 + 30 * work.widest**2 * NUMBER, 60 + 5 * len(work.sizes)


def draw_tables(work: Work) -> Estimate:
    """Figures of the tables of all pairs."""
    return 100e6 + 1000 * work.rows, 60 + 5e-5 * work.rows


NOISE_SECONDS = {"smoke": 60, "reduced": 300, "full": 3000}
DYNAMICS_SECONDS = {"smoke": 120, "reduced": 1800, "full": 40_000}


def measure_noise(work: Work) -> Estimate:
    return 300e6, NOISE_SECONDS[work.config["noise"]["scale"]]


def train_dynamics(work: Work) -> Estimate:
    return 500e6, DYNAMICS_SECONDS[work.config["dynamics"]["scale"]]


def further_tables(work: Work) -> Estimate:
    """The tables, claims and figures of the two further studies."""
    return 1000e6, 600


ESTIMATES: dict[str, Callable[[Work], Estimate]] = {
    estimate.__name__: estimate
    for estimate in (
        *(train_network, adopt_network, dump_activations, adopt_activations, stream_statistics, stream_controls),
        *(compute_statistics, align_units, measure_information, run_controls, map_units, group_units, resample_images),
        *(compare_representations, control_similarity, calibrate_similarity, picture_units, small),
        *(collect, draw, draw_tables, measure_noise, train_dynamics, further_tables),
    )
}
RUNS_NETWORKS = (train_network, dump_activations, stream_statistics, stream_controls, picture_units)
IMPORTS_TORCH = (*RUNS_NETWORKS, adopt_network, adopt_activations, measure_noise, train_dynamics)


class Needs:
    """What the rules of a study ask for; its methods give the functions that stand in their `resources`."""

    def __init__(self, plan: Plan, submitting: bool = True):
        """Needs of the jobs of a plan.

        Args:
            submitting: whether this process submits jobs. One that runs a job has been placed already, and finds
                nothing out again.
        """
        self.plan, self.submitting = plan, submitting

    @property
    def gpus(self) -> int:
        """GPUs that a job asks for which runs networks: one where `device` is `cuda`; `auto` takes what there is."""
        return int(self.plan.config["device"] == "cuda")

    def memory(self, name: str, networks: int | None = None) -> Callable[..., int]:
        """Function of a job's wildcards and attempt: main memory in MB, twice as much in each attempt.

        Args:
            name: of the estimate.
            networks: how many a job reads, where its wildcards do not say.
        """
        estimate = ESTIMATES[name]
        programs = LAUNCHING + (WITH_TORCH if estimate in IMPORTS_TORCH else PLAIN)
        programs += CUDA * self.gpus if estimate in RUNS_NETWORKS else 0

        def megabytes(wildcards, attempt: int) -> int:
            data = estimate(self.work(wildcards, networks))[0] / 1e6 if self.submitting else 0
            return 100 * ceil((programs + data) / 100) * 2 ** (attempt - 1)

        return megabytes

    def minutes(self, name: str, networks: int | None = None) -> Callable[..., int]:
        """The same of its run time in minutes."""
        estimate = ESTIMATES[name]

        def minutes(wildcards, attempt: int) -> int:
            seconds = estimate(self.work(wildcards, networks))[1] if self.submitting else 0
            return ceil((STARTING + SLOWER * seconds) / 60) * 2 ** (attempt - 1)

        return minutes

    def work(self, wildcards, networks: int | None = None) -> Work:
        """What a job processes: one network, or so many, or a tile, or the whole study; one layer, or all of them."""
        plan, place = self.plan, vars_of(wildcards)
        if networks or "network" in place:
            networks, compared = networks or 1, 0
        elif "tile" in place:
            networks, compared = len(plan.tile_networks(wildcards)), len(pairs(*plan.sides(wildcards)))
        else:
            networks, compared = len(plan.networks), len(pairs(plan.networks))
        layers = [place["layer"]] if "layer" in place else list(self.layers)
        images = self.probe_images[population_of(wildcards)]
        return Work(
            networks=networks,
            pairs=compared,
            sizes=[(images * self.layers[layer][0], self.layers[layer][1]) for layer in layers],
            images=images,
            training_images=self.images["train"],
            numbers=self.numbers,
            populations=len(plan.members),
            costly=plan.costly_redraws(wildcards) if "layer" in place else [],
            config=plan.config,
        )

    @cached_property
    def images(self) -> dict[str, int]:
        """Number of images to train on, and of those that networks are compared on."""
        return self._images(self.plan.config["dataset"])

    @cached_property
    def probe_images(self) -> dict[str, int]:
        """The latter for each population."""
        own = {name: probe["dataset"] for name, probe in self.plan.probes.items() if "dataset" in probe}
        return {
            name: self._images(own[name])["probe"] if name in own else self.images["probe"]
            for name in self.plan.members
        }

    def _images(self, dataset: dict) -> dict[str, int]:
        train, _, probe = check_sizes(
            dataset["name"], dataset["options"], dataset["train"], dataset["validation"], dataset["probe"]
        )
        return {"train": train, "probe": probe}

    @cached_property
    def layers(self) -> dict[str, tuple[int, int]]:
        """Rows per image and units of each layer; of several architectures the larger."""
        found: dict[str, tuple[int, int]] = {}
        for source in self.plan.sources:
            for layer, shape in source.shapes.items():
                size = rows_and_units(shape, self.plan.config["activations"])
                found[layer] = max(found.get(layer, size), size, key=prod)
        return found

    @cached_property
    def numbers(self) -> int:
        """Numbers that a network computes for one image; of several architectures the most."""
        shapes = [source.offered.values() for source in self.plan.sources if source.runs_here]
        return max((sum(prod(shape) for shape in own if shape) for own in shapes), default=0)
