"""What a study consists of, and what each of its products depends on.

The plan turns a complete configuration into names (networks, populations, tiles), seeds, and keys. The key of a product
is a digest of the settings, the seeds and the library code behind it, and of the keys of what it is made from. It
stands in the rule's parameters, so Snakemake reruns exactly what a change touches, and in the product itself, so a
reader recognises a file that another run left there.

Methods that take `wildcards` are the rules' input and parameter functions.
"""

from functools import cached_property
from pathlib import Path

import numpy as np

from convergent.datasets import images_file, input_files
from convergent.files import digest
from fingerprint import WORKFLOW, code, users_code

TRAINED, UNTRAINED = "trained", "untrained"
FIRST_TILE = "1-1"


class Plan:
    """Names, seeds and keys of one study; `config` is complete (see `configuration.completed`)."""

    def __init__(self, config: dict):
        self.config = config
        self.study = config["study"]
        self.networks = [f"net{number}" for number in range(1, config["networks"] + 1)]
        self.layers = config["activations"]["layers"]
        self.checkpoints = {f"epoch_{epoch:04d}": epoch for epoch in sorted(config["training"]["checkpoints"])}
        self.populations = [TRAINED, *self.checkpoints, UNTRAINED]
        size = config["networks_per_tile"] or len(self.networks)
        self.groups = [self.networks[start : start + size] for start in range(0, len(self.networks), size)]
        numbers = range(1, len(self.groups) + 1)
        self.tiles = [f"{a}-{b}" for a in numbers for b in numbers if a <= b]
        self.training = {
            name: value
            for name, value in config["training"].items()
            # The floor changes nothing in the network, so it may not train it again; checkpoints are outputs.
            if name not in ("accuracy_floor", "checkpoints")
        }
        self.recording = {name: value for name, value in config["activations"].items() if name != "layers"}
        self.images_file = images_file(config["dataset"]["name"])
        self.repository = WORKFLOW.parent
        self.users_files = [str(path) for path in input_files(config["dataset"]["name"], config["dataset"]["options"])]

    # Random draws

    def draw(self, name: str, number: int = 0) -> int:
        """Seed of a named random draw."""
        entropy = [self.config["seed"], number, int(digest(name)[:8], 16)]
        return int(np.random.SeedSequence(entropy).generate_state(1)[0])

    def seeds(self, wildcards) -> dict[str, int]:
        """Seeds of a network's initialisation and of everything random in its training."""
        number, vary = int(wildcards.network.removeprefix("net")), self.config["vary"]
        return {
            "initialisation": self.draw("initialisation", 0 if vary == "data_order" else number),
            "data_order": self.draw("data_order", 0 if vary == "initialisation" else number),
        }

    # Tiles: N networks are cut into groups; a tile is a pair of groups

    def sides(self, wildcards) -> list[list[str] | None]:
        """The networks on the two sides of a tile; None on the diagonal, where both are the same."""
        a, b = (int(number) - 1 for number in wildcards.tile.split("-"))
        return [self.groups[a], None if a == b else self.groups[b]]

    def tile_networks(self, wildcards) -> list[str]:
        """The networks that a tile reads, each once."""
        return [network for side in self.sides(wildcards) for network in side or ()]

    def tile_activations(self, wildcards) -> list[str]:
        """The layer's activations of each network that a tile reads."""
        return [f"{folder}/{wildcards.layer}.npy" for folder in self.tile_folders(wildcards)]

    def tile_records(self, wildcards) -> list[str]:
        """What was noted when they were recorded."""
        return [f"{folder}/dump.json" for folder in self.tile_folders(wildcards)]

    def tile_folders(self, wildcards) -> list[str]:
        """Where the activations of each network of a tile are; controls look at trained networks only."""
        population = getattr(wildcards, "population", TRAINED)
        return [f"<study>/activations/{network}/{population}" for network in self.tile_networks(wildcards)]

    # Keys

    @cached_property
    def _data_key(self) -> str:
        return digest("data", code("fetch_data"), self.config["dataset"], self.draw("data"))

    @cached_property
    def _network_keys(self) -> dict[str, str]:
        config = self.config
        shared = [code("train_network"), self._data_key, self.training, self.populations, config["device"]]
        shared += [config["architecture"], users_code(config["architecture"]["name"]), self.draw("label_noise")]
        return {name: digest("network", shared, self.seeds(Names(network=name))) for name in self.networks}

    @cached_property
    def _dump_keys(self) -> dict[str, str]:
        shared = [code("dump_activations"), self.config["activations"], self.draw("positions")]
        return {name: digest("dump", shared, key) for name, key in self._network_keys.items()}

    def data_key(self, wildcards) -> str:
        return self._data_key

    def network_key(self, wildcards) -> str:
        return self._network_keys[wildcards.network]

    def dump_key(self, wildcards) -> str:
        return self._dump_keys[wildcards.network]

    def tile_dump_keys(self, wildcards) -> dict[str, str]:
        return {network: self._dump_keys[network] for network in self.tile_networks(wildcards)}

    def statistics_key(self, wildcards) -> str:
        which = [wildcards.population, wildcards.layer, self.sides(wildcards), self.tile_dump_keys(wildcards)]
        return digest("statistics", code("compute_statistics"), which)

    def alignment_keys(self, wildcards) -> dict[str, list[str]]:
        """Keys of statistics and alignments of all layers, in their order."""
        places = [Names(population=wildcards.population, layer=layer, tile=wildcards.tile) for layer in self.layers]
        statistics = [self.statistics_key(place) for place in places]
        alignment = [digest("alignment", code("align_units"), key) for key in statistics]
        return {"statistics": statistics, "alignment": alignment}

    def information_key(self, wildcards) -> str:
        return digest(
            "information", code("measure_information"), self.statistics_key(wildcards), self.config["information"]
        )

    def controls_key(self, wildcards) -> str:
        which = [wildcards.layer, self.sides(wildcards), self.tile_dump_keys(wildcards)]
        return digest("controls", code("run_controls"), which, self.config["controls"], self.controls_seed(wildcards))

    def controls_seed(self, wildcards) -> int:
        return self.draw(f"controls {wildcards.layer} {wildcards.tile}")

    def score_fragments(self, wildcards) -> list[str]:
        """The pieces of the score table."""
        return [path for path, _, _ in self._score_pieces]

    def score_contents(self, wildcards) -> list[tuple[list[str], bool]]:
        """For each piece, the keys that its rows may carry, and whether there is no pair to score in it."""
        return [(keys, empty) for _, keys, empty in self._score_pieces]

    @cached_property
    def _score_pieces(self) -> list[tuple[str, list[str], bool]]:
        every = [Names(population=name, tile=tile) for name in self.populations for tile in self.tiles]
        layers = [Names(layer=layer, **vars(place)) for layer in self.layers for place in every]
        pieces = []
        for place in every:
            path = f"<study>/alignment/{place.population}/{place.tile}.csv"
            pieces.append((path, self.alignment_keys(place)["alignment"], self.without_pairs(place)))
        for place in layers:
            path = f"<study>/information/{place.population}/{place.layer}/{place.tile}.csv"
            pieces.append((path, [self.information_key(place)], self.without_pairs(place)))
            if place.population == TRAINED:
                # Controls also score each network with itself.
                pieces.append((f"<study>/controls/{place.layer}/{place.tile}.csv", [self.controls_key(place)], False))
        return pieces

    def without_pairs(self, wildcards) -> bool:
        """Whether a tile has no pair of networks to score: one on the diagonal that holds a single network."""
        return len(self.tile_networks(wildcards)) == 1

    def first_information_keys(self) -> list[str]:
        """Keys of the trained networks' mutual information in the first tile, layer by layer."""
        places = [Names(population=TRAINED, layer=layer, tile=FIRST_TILE) for layer in self.layers]
        return [self.information_key(place) for place in places]

    def first_tile_keys(self) -> dict[str, list[str]]:
        """Keys of what figures show: the trained networks of the first tile."""
        return self.alignment_keys(Names(population=TRAINED, tile=FIRST_TILE))

    def all_keys(self) -> dict:
        """The keys of everything that is made once or once per network, for the record."""
        return {"data": self._data_key, "networks": self._network_keys, "dumps": self._dump_keys}

    def all_seeds(self) -> dict:
        """Every seed of the study, for the record."""
        drawn = {name: self.draw(name) for name in ("data", "label_noise", "positions")}
        return drawn | {name: self.seeds(Names(network=name)) for name in self.networks}

    # What is shown

    @property
    def figures(self) -> list[str]:
        """Every figure, in both formats."""
        names = ["alignment_by_depth", "matching_curves", "information", "training_curves"]
        names += [f"correlation_matrices/{layer}" for layer in self.layers]
        return [f"<study>/figures/{name}.{suffix}" for name in names for suffix in ("svg", "png")]

    def guide(self, folder: str) -> str:
        """What to look at when the study is done."""
        looks = {
            "figures/alignment_by_depth.png": "how well units match, layer by layer, against the baselines",
            "figures/matching_curves.png": "each unit's partner, best first",
            "figures/information.png": "whether mutual information finds the same partners as correlation",
            "figures/correlation_matrices/": "who resembles whom, before and after matching",
            "figures/training_curves.png": "what the networks learned",
            "scores.csv": "every number, one per row",
            "tables/summary.csv": "their spread over pairs of networks",
            "provenance.json": "what made them",
        }
        width = max(len(f"{folder}/{file}") for file in looks)
        lines = [f"  {f'{folder}/{file}':{width}}  {meaning}" for file, meaning in looks.items()]
        report = f"For one page with everything, give the same command once more with --report {folder}/report.html"
        return "\n".join(["", "The study is done. Look at", *lines, report, ""])

    def mistakes(self, folder: str, since: float) -> str:
        """The sentences with which jobs ended since a point in time, for the end of what the user reads."""
        logs = [path for path in Path(folder, "logs").rglob("*.log") if path.stat().st_mtime >= since]
        lines = [line for path in sorted(logs) for line in path.read_text().splitlines() if line.startswith("Error: ")]
        return "\n".join(
            ["", "The study stopped; what is done is kept, and the same command goes on from there.", *lines, ""]
        )


class Names:
    """Wildcards that are named in code instead of found in a path."""

    def __init__(self, **names: str):
        self.__dict__.update(names)
