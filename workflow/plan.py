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

from convergent.architectures import complete_options
from convergent.datasets import class_count, image_shape, images_file, input_files
from convergent.decays import PUBLISHED_UNITS
from convergent.files import digest
from convergent.layers import layer_shapes
from fingerprint import WORKFLOW, code, users_code

TRAINED, UNTRAINED = "trained", "untrained"
FIRST_TILE = "1-1"
# The ledger needs intervals of the costly measures for the first two layers only.
COSTLY_LAYERS = 2
EXAMPLE_STAGES = ("statistics", "alignment", "information", "groups", "maps")  # what the examples are chosen from
MOST_DRAWN = 4  # networks whose most and least active units are shown, as in the paper


class Plan:
    """Names, seeds and keys of one study; `config` is complete (see `configuration.completed`)."""

    def __init__(self, config: dict):
        self.config = config
        self.study = config["study"]
        self.networks = [f"net{number}" for number in range(1, config["networks"] + 1)]
        self.layers = config["activations"]["layers"]
        asked = config["maps"]["layers"]
        self.mapped_layers = [layer for layer in self.layers if asked is None or layer in asked]
        self.checkpoints = {f"epoch_{epoch:04d}": epoch for epoch in sorted(config["training"]["checkpoints"])}
        self.populations = [TRAINED, *self.checkpoints, UNTRAINED]
        self.early_layers = self.layers[:COSTLY_LAYERS]
        self.ends = [TRAINED, UNTRAINED]  # populations for which the costlier alignments are made
        size = config["networks_per_tile"] or len(self.networks)
        self.groups = [self.networks[start : start + size] for start in range(0, len(self.networks), size)]
        self.drawn_networks = self.groups[0][:MOST_DRAWN]
        numbers = range(1, len(self.groups) + 1)
        self.tiles = [f"{a}-{b}" for a in numbers for b in numbers if a <= b]
        self.training = {
            name: value
            for name, value in config["training"].items()
            # The floor changes nothing in the network, so it may not train it again; checkpoints are outputs.
            if name not in ("accuracy_floor", "checkpoints")
        }
        self.recording = {name: value for name, value in config["activations"].items() if name != "layers"}
        self.maps_settings = {name: value for name, value in config["maps"].items() if name != "layers"}
        self.images_file = images_file(config["dataset"]["name"])
        self.repository = WORKFLOW.parent
        self.users_files = [str(path) for path in input_files(config["dataset"]["name"], config["dataset"]["options"])]

    @cached_property
    def convolutional_layers(self) -> list[str]:
        """The layers that give maps, in their order; what the paper says of conv1 to conv5 is judged on these."""
        dataset, architecture = self.config["dataset"], self.config["architecture"]
        place = dataset["name"], dataset["options"]
        shapes = layer_shapes(architecture["name"], architecture["options"], image_shape(*place), class_count(*place))
        return [layer for layer in self.layers if shapes[layer] is not None and len(shapes[layer]) == 3]

    @property
    def meaningless_baselines(self) -> list[str]:
        """Populations that compare nothing: with one initialisation for all, the untrained networks are the same."""
        return [UNTRAINED, "against_untrained"] if self.config["vary"] == "data_order" else []

    @property
    def regime(self) -> str:
        """Whether numbers compare with the paper's: `exact` for its own networks on its own images, else `scaled`."""
        architecture, published = self.config["architecture"], complete_options("caffenet", {})
        options = architecture["options"] | {"initialisation": published["initialisation"]}
        same = architecture["name"] == "caffenet" and options == published
        return "exact" if same and self.config["dataset"]["name"] == "imagenet" else "scaled"

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

    def untrained_records(self, wildcards) -> list[str]:
        """What was noted when the same networks were recorded before their training."""
        return self.tile_records(Names(tile=wildcards.tile, population=UNTRAINED))

    def untrained_activations(self, wildcards) -> list[str]:
        """The layer's activations of the same networks before their training."""
        return self.tile_activations(Names(tile=wildcards.tile, layer=wildcards.layer, population=UNTRAINED))

    def diagonals(self, wildcards) -> list["Names"]:
        """Further tiles in which the networks of a tile are compared with themselves; none if it is such a tile."""
        a, b = wildcards.tile.split("-")
        numbers = (a, b) if a != b else ()
        return [Names(**{**vars_of(wildcards), "tile": f"{number}-{number}"}) for number in numbers]

    def within_statistics(self, wildcards) -> list[str]:
        """Where else the correlations within each network of a tile are."""
        return [
            f"<study>/statistics/{place.population}/{place.layer}/{place.tile}.npz"
            for place in self.diagonals(wildcards)
        ]

    def published_units(self, wildcards) -> int | None:
        """Width of the published network's layer of this name; None where the network is another one."""
        caffenet = self.config["architecture"]["name"] == "caffenet"
        return PUBLISHED_UNITS.get(wildcards.layer) if caffenet else None

    def costly_redraws(self, wildcards) -> list[str]:
        """Which of the costly measures are taken on every draw of images."""
        early = wildcards.layer in self.early_layers
        mapped = wildcards.layer in self.mapped_layers
        return [name for name, wanted in {"information": early, "maps": early and mapped}.items() if wanted]

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

    def maps_key(self, wildcards) -> str:
        which = [wildcards.population, wildcards.layer, self.sides(wildcards), self.tile_dump_keys(wildcards)]
        seeds = [self.draw("halves"), self.draw("maps")]
        return digest("maps", code("map_units"), which, self.maps_settings, self.published_units(wildcards), seeds)

    def within_keys(self, wildcards) -> list[str]:
        return [self.statistics_key(place) for place in self.diagonals(wildcards)]

    def groups_key(self, wildcards) -> str:
        made_of = [self.statistics_key(wildcards), self.within_keys(wildcards), self.draw("groups")]
        return digest("groups", code("group_units"), made_of, self.config["groups"])

    def resampling_key(self, wildcards) -> str:
        which = [wildcards.layer, self.sides(wildcards), self.tile_dump_keys(wildcards)]
        seeds = [self.draw(name) for name in ("images", "halves", "maps")]
        costly = [self.costly_redraws(wildcards), self.published_units(wildcards), self.maps_settings]
        settings = [self.config["information"], self.config["groups"]["threshold"], self.config["resampling"]["images"]]
        return digest("resampled", code("resample_images"), which, seeds, costly, settings)

    def controls_key(self, wildcards) -> str:
        which = [wildcards.layer, self.sides(wildcards), self.tile_dump_keys(wildcards)]
        settings = [self.config["controls"], self.config["groups"]["threshold"], self.controls_seed(wildcards)]
        return digest("controls", code("run_controls"), which, settings)

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
        pieces = []
        for place in self.places(self.populations):
            # A network is scored alone, too.
            path = f"<study>/alignment/{place.population}/{place.tile}.csv"
            pieces.append((path, self.alignment_keys(place)["alignment"], False))
        for place in self.places(self.populations, self.layers):
            pieces.append(self._piece("information", place, self.information_key(place)))
        for place in self.places(self.ends, self.mapped_layers):
            pieces.append(self._piece("maps", place, self.maps_key(place)))
        for place in self.places(self.ends, self.layers):
            pieces.append(self._piece("groups", place, self.groups_key(place)))
        for place in self.places([TRAINED], self.layers):
            # Controls also score each network with itself.
            pieces.append((f"<study>/controls/{place.layer}/{place.tile}.csv", [self.controls_key(place)], False))
        return pieces

    def _piece(self, stage: str, place: "Names", key: str) -> tuple[str, list[str], bool]:
        path = f"<study>/{stage}/{place.population}/{place.layer}/{place.tile}.csv"
        return path, [key], self.without_pairs(place)

    def places(self, populations: list[str], layers: list[str] | None = None) -> list["Names"]:
        """Every combination of population, layer (if any) and tile, as wildcards."""
        every = [Names(population=name, tile=tile) for name in populations for tile in self.tiles]
        return every if layers is None else [Names(layer=layer, **vars(place)) for layer in layers for place in every]

    def resampled(self, wildcards) -> list[str]:
        """Mean scores of every draw of images, tile by tile."""
        return [f"<study>/resampled/{place.layer}/{place.tile}.csv" for place in self.places([TRAINED], self.layers)]

    def resampled_contents(self, wildcards) -> list[tuple[list[str], bool]]:
        """For each of them, the key of its rows and whether there is no pair in it."""
        return [
            ([self.resampling_key(place)], self.without_pairs(place)) for place in self.places([TRAINED], self.layers)
        ]

    def without_pairs(self, wildcards) -> bool:
        """Whether a tile has no pair of networks to score: one on the diagonal that holds a single network."""
        return len(self.tile_networks(wildcards)) == 1

    def first_tile_keys(self, *stages: str) -> dict[str, list[str]]:
        """Keys of what a figure shows, the trained networks of the first tile, stage by stage and layer by layer."""
        place = Names(population=TRAINED, tile=FIRST_TILE)
        places = {layer: Names(layer=layer, **vars(place)) for layer in self.layers}
        every = self.alignment_keys(place) | {
            "information": [self.information_key(place) for place in places.values()],
            "groups": [self.groups_key(place) for place in places.values()],
            "maps": [self.maps_key(places[layer]) for layer in self.mapped_layers],
        }
        return {stage: every[stage] for stage in stages}

    def first_pair_dump_keys(self) -> dict[str, str]:
        """Networks whose single units are shown, and the keys of their activations."""
        return {network: self._dump_keys[network] for network in self.groups[0][:2]}

    def first_pair_activations(self, wildcards) -> list[str]:
        """Their activations in the layers whose joint densities are shown."""
        return [
            f"<study>/activations/{network}/{TRAINED}/{layer}.npy"
            for network in self.groups[0][:2]
            for layer in self.early_layers
        ]

    def first_pair_records(self, wildcards) -> list[str]:
        """What was noted when they were recorded."""
        return [f"<study>/activations/{network}/{TRAINED}/dump.json" for network in self.groups[0][:2]]

    @property
    def examples_key(self) -> str:
        return digest("examples", code("choose_examples"), self.first_tile_keys(*EXAMPLE_STAGES), self.drawn_networks)

    def pictures_key(self, wildcards) -> str:
        made_of = [self.dump_key(wildcards), self.examples_key]
        return digest("pictures", code("picture_units"), made_of, self.config["pictures"])

    def pictures_keys(self, networks: list[str]) -> list[str]:
        """Keys of the pictures of several networks."""
        return [self.pictures_key(Names(network=network)) for network in networks]

    def all_keys(self) -> dict:
        """The keys of everything that is made once or once per network, for the record."""
        return {"data": self._data_key, "networks": self._network_keys, "dumps": self._dump_keys}

    def all_seeds(self) -> dict:
        """Every seed of the study, for the record."""
        names = ("data", "label_noise", "positions", "halves", "maps", "groups", "images", "networks")
        drawn = {name: self.draw(name) for name in names}
        places = self.places([TRAINED], self.layers)
        drawn |= {f"controls {place.layer} {place.tile}": self.controls_seed(place) for place in places}
        return drawn | {name: self.seeds(Names(network=name)) for name in self.networks}

    # What is shown

    @property
    def figure_names(self) -> list[str]:
        """Every figure, below figures/ and without suffix."""
        names = ["alignment_by_depth", "matching_curves", "information", "joint_activations"]
        names += ["activation_spectra", "matched_activity", "filters", "training_curves"]
        layered = [
            "correlation_matrices",
            "unit_pairs",
            "groups",
            "group_hierarchy",
            "unit_groups",
            "activity_extremes",
        ]
        names += [f"{name}/{layer}" for name in layered for layer in self.layers]
        names += [f"unit_pairs_information/{layer}" for layer in self.early_layers]
        if self.mapped_layers:
            names += ["sparse_prediction", "few_predictors", "mapping_layers"]
            names += [f"{name}/{layer}" for name in ("sparse_maps", "unit_predictors") for layer in self.mapped_layers]
        return names

    @property
    def figures(self) -> list[str]:
        """Every figure, in both formats."""
        return [f"<study>/figures/{name}.{suffix}" for name in self.figure_names for suffix in ("svg", "png")]

    def figures_by_name(self, prints: list[str]) -> dict[str, str]:
        """The printed figures by their names, from their paths in the order of `figures`."""
        return dict(zip(self.figure_names, map(str, prints), strict=True))

    def guide(self, folder: str) -> str:
        """What to look at when the study is done."""
        looks = {
            "claims.html": "what was claimed, what was measured here, and the verdicts",
            "figures/alignment_by_depth.png": "how well units match, layer by layer, against the baselines",
            "figures/matching_curves.png": "each unit's partner, best first",
            "figures/information.png": "whether mutual information finds the same partners as correlation",
            "figures/few_predictors.png": "how well few units of one network predict a unit of another",
            "figures/correlation_matrices/": "who resembles whom, before and after matching",
            "figures/unit_pairs/": "what the best and the worst pairs of units respond to",
            "figures/groups/": "groups of units of two networks that belong together",
            "figures/training_curves.png": "what the networks learned",
            "scores.csv": "every number, one per row",
            "tables/summary.csv": "their spread over pairs of networks",
            "provenance.json": "what made them",
        }
        looks = {file: meaning for file, meaning in looks.items() if self.mapped_layers or "predictors" not in file}
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


def vars_of(wildcards) -> dict[str, str]:
    """Names and values of wildcards, Snakemake's or `Names`."""
    return dict(wildcards.items()) if hasattr(wildcards, "items") else vars(wildcards)
