"""What the scripts that run networks read in the same way: the images that are shown, and the networks."""

from pathlib import Path

from convergent.datasets import open_dataset
from convergent.datasets.corruptions import Corrupted
from convergent.dumping import Watched
from convergent.models import build, load_weights


def study_images(snakemake):
    """The images of the study."""
    return open_dataset(Path(snakemake.input.data[0]).parent, snakemake.params.data_key, snakemake.threads)


def images_shown(snakemake, population: str, data):
    """What networks of a population are shown: `data`, the images of the study, or a further probe."""
    params = snakemake.params
    others = {Path(path).parent.name: Path(path).parent for path in snakemake.input.other_data}
    if population in others:
        return open_dataset(others[population], params.probe_keys[population], snakemake.threads)
    if population in params.probes:
        probe = params.probes[population]
        return Corrupted(data, probe["corruption"], probe["strength"], params.corruption_seed)
    return data


def built(architecture: dict, data):
    """A network for the images of the study, whose weights are still to come."""
    return build(architecture["name"], architecture["options"], data.shape, architecture["classes"], seed=0)


def standardisation(own: tuple | None, data) -> tuple[list[float], list[float]]:
    """What a network's images are standardised by, whatever it is shown: its own, or that of the study's images."""
    return own or (data.mean.tolist(), data.std.tolist())


def tile_networks(snakemake, weights: list[str], data) -> dict[str, Watched]:
    """The networks of a tile with their weights, and their layers."""
    found = {}
    for (name, run), path in zip(snakemake.params.runs.items(), weights, strict=True):
        network = built(run["architecture"], data)
        load_weights(path, network, run["key"])
        found[name] = Watched(network, run["layers"], standardisation(run["standardisation"], data))
    return found
