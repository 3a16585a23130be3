"""What a study consists of, and what each of its products depends on.

The plan turns a complete configuration into names (networks, populations, tiles), seeds, and keys. The key of a product
is a digest of the settings, the seeds and the library code behind it, and of the keys of what it is made from. It
stands in the rule's parameters, so Snakemake reruns exactly what a change touches, and in the product itself, so a
reader recognises a file that another run left there.

Methods that take `wildcards` are the rules' input and parameter functions.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from convergent.architectures import complete_options, networks_together, trains_together
from convergent.datasets import images_file, input_files
from convergent.decays import PUBLISHED_UNITS
from convergent.files import digest
from convergent.statistics import pairs
from fingerprint import WORKFLOW, code, users_code
from further import DynamicsPlan, Names, NoisePlan
from sources import Source, in_common, sources_of

TRAINED, UNTRAINED = "trained", "untrained"
FIRST_TILE = "1-1"
# The ledger needs intervals of the costly measures for the first two layers only.
COSTLY_LAYERS = 2
EXAMPLE_STAGES = ("statistics", "alignment", "information", "groups", "maps")  # what the examples are chosen from
MOST_NETWORKS = 10_000
FEWEST_JOBS = 8  # that train the networks of one kind, so that cores stay busy while networks train together
MOST_DRAWN = 4  # networks whose most and least active units are shown, as in the paper


@dataclass(frozen=True)
class Training:
    """Networks that one rule trains: all of them in one job, or each in a job of its own."""

    rule: str
    networks: list[str]
    together: bool
    runs: dict[str, dict] | Callable  # see `Plan.runs`; of the networks of a job

    @property
    def pattern(self) -> str:
        """Regular expression of their names."""
        return any_of(self.networks)

    @property
    def trained(self) -> list[str]:
        """The networks of a job."""
        return self.networks if self.together else ["{network}"]

    @property
    def job(self) -> str:
        """What a job is called; no network has dots in its name."""
        return f"{self.networks[0]}..{self.networks[-1]}" if self.together else "{network}"

    @property
    def title(self) -> str:
        """The same in messages."""
        return f"{self.networks[0]} to {self.networks[-1]}" if self.together else "{wildcards.network}"


@dataclass(frozen=True)
class Recording:
    """Networks whose activations are recorded by one rule, because they give the same files."""

    suffix: str  # of the rule's name
    networks: list[str]
    stages: list[str]  # of their training, whose weights are kept
    populations: list[str]
    layers: list[str]

    @property
    def pattern(self) -> str:
        """Regular expression of their names."""
        return any_of(self.networks)

    @property
    def activations(self) -> list[str]:
        """The activations of every population and layer."""
        return [f"{folder}/{layer}.npy" for folder in self.folders for layer in self.layers]

    @property
    def samples(self) -> list[str]:
        """Which samples their rows are."""
        return [f"{folder}/samples.npz" for folder in self.folders]

    @property
    def dumps(self) -> list[str]:
        """What was noted when they were recorded."""
        return [f"{folder}/dump.json" for folder in self.folders]

    @property
    def folders(self) -> list[str]:
        """Where they are, population by population, for the network of a rule's wildcard."""
        return [f"<study>/activations/{{network}}/{population}" for population in self.populations]


class Plan:
    """Names, seeds and keys of one study; `config` is complete (see `configuration.completed`)."""

    def __init__(self, config: dict):
        self.config = config
        self.study = config["study"]
        self.sources = sources_of(config)
        self.source = {network: source for source in self.sources for network in source.networks}
        self.networks = list(self.source)
        self.trained_here = [network for network, source in self.source.items() if source.kind == "trained"]
        self.adopted = [name for name, source in self.source.items() if source.kind in ("checkpoint", "torchvision")]
        self.layers = in_common(self.sources)  # those whose units are aligned
        self.stored = config["activations"]["stored"]  # else nothing is made that needs the samples themselves
        asked = config["maps"]["layers"]
        self.mapped_layers = [layer for layer in self.layers if asked is None or layer in asked]
        self.checkpoints = {f"epoch_{epoch:04d}": epoch for epoch in sorted(config["training"]["checkpoints"])}
        self.probes = {probe["name"]: probe for probe in config["probes"]}
        self.stages = [TRAINED, *self.checkpoints, UNTRAINED]  # of training here
        self.members = self._members()
        self.populations = [name for name, members in self.members.items() if len(members) > 1]
        self.early_layers = self.layers[:COSTLY_LAYERS]
        # Populations for which the costlier alignments are made.
        self.ends = [name for name in (TRAINED, UNTRAINED) if name in self.populations]
        size = config["networks_per_tile"] or len(self.networks)
        self.groups = [self.networks[start : start + size] for start in range(0, len(self.networks), size)]
        numbers = range(1, len(self.groups) + 1)
        self.tiles = [f"{a}-{b}" for a in numbers for b in numbers if a <= b]
        self.training = {
            name: value
            for name, value in config["training"].items()
            # The floor and how often the state is written change nothing in a network, so they may not train it again;
            # checkpoints are outputs, and which networks train together is not for each of them to know.
            if name not in ("accuracy_floor", "checkpoints", "resume_minutes", "networks_per_job")
        }
        self.recording = {
            name: value for name, value in config["activations"].items() if name not in ("layers", "stored")
        }
        self.taking = {name: value for name, value in self.recording.items() if name != "batch_size"}
        self.maps_settings = {name: value for name, value in config["maps"].items() if name != "layers"}
        self.images_file = images_file(config["dataset"]["name"])
        # Threads of a job that shows images to networks.
        self.readers = config["readers"] if self.images_file == "images.csv" else 1
        self.repository = WORKFLOW.parent
        self.noise = NoisePlan(config["noise"]["scale"], self.draw("noise"))
        self.dynamics = DynamicsPlan(
            config["dynamics"]["scale"], self.draw("dynamics"), self._data_key, self.images_file
        )
        self.users_files = [str(path) for path in input_files(config["dataset"]["name"], config["dataset"]["options"])]

    # Networks and populations

    def _members(self) -> dict[str, list[str]]:
        """The networks of each population; not every source can give every one."""
        members: dict[str, list[str]] = {name: [] for name in (TRAINED, *self.checkpoints, *self.probes, UNTRAINED)}
        for source in self.sources:
            for population in self.populations_of(source):
                members[population] += source.networks
        return members

    def populations_of(self, source: Source) -> list[str]:
        """The populations that a source's networks belong to."""
        return [
            TRAINED,
            *(self.checkpoints if source.kind == "trained" else ()),
            *(self.probes if source.runs_here else ()),
            *([UNTRAINED] if source.untrained else ()),
        ]

    @cached_property
    def blocks(self) -> list[list[str]]:
        """The networks that are trained here, those of one job together."""
        found = []
        for source in self.sources:
            if source.kind == "trained":
                names, size = list(source.networks), self._together(source)
                found += [names[start : start + size] for start in range(0, len(names), size)]
        return found

    def _together(self, source: Source) -> int:
        """How many networks of a source one job trains.

        Unless the configuration says, it follows from the sizes of networks and batches, and jobs remain for many
        cores. That was measured on processors; `auto` counts as one, as no plan knows the machines of its jobs.
        """
        wanted, architecture = self.config["training"]["networks_per_job"], source.architecture
        if not trains_together(architecture["name"]) or (wanted is None and self.config["device"] in ("cuda", "mps")):
            return 1
        return wanted or networks_together(
            **architecture,
            input_shape=source.images,
            classes=source.classes,
            batch_size=self.config["training"]["batch_size"],
            wanted=max(1, len(source.networks) // FEWEST_JOBS),
        )

    @property
    def trainings(self) -> list[Training]:
        """The rules that train networks: one for all that are alone, and one for each block of several."""
        alone = [network for block in self.blocks for network in block if len(block) == 1]
        several = [block for block in self.blocks if len(block) > 1]
        return [
            Training("train_network", alone, together=False, runs=self.run),
            *(
                Training(f"train_networks_{number}", block, together=True, runs=self.runs(block))
                for number, block in enumerate(several, start=1)
            ),
        ]

    def run(self, wildcards) -> dict[str, dict]:
        """How a network that is alone is trained."""
        return self.runs([wildcards.network])

    def runs(self, networks: list[str]) -> dict[str, dict]:
        """How each network is built, the seeds of its training, and the key of its weights."""
        return {
            network: {
                "key": self.network_key(place),
                "architecture": self.architecture(place),
                "seeds": self.seeds(place),
            }
            for network in networks
            for place in [Names(network=network)]
        }

    def recordings(self, run_here: bool) -> list[Recording]:
        """How the networks that run here, or those that were recorded elsewhere, are divided among rules."""
        alike: dict[str, list[Source]] = {}
        for source in self.sources:
            if source.runs_here == run_here:
                alike.setdefault(digest(self.populations_of(source), list(source.layers)), []).append(source)
        return [
            Recording(
                suffix=f"_{number}" if number > 1 else "",
                networks=[network for source in group for network in source.networks],
                stages=[name for name in self.populations_of(group[0]) if name not in self.probes],
                populations=self.populations_of(group[0]),
                layers=list(group[0].layers),
            )
            for number, group in enumerate(alike.values(), start=1)
        ]

    def layers_of(self, wildcards) -> dict[str, str]:
        """Layers of a network: name in the study -> module path."""
        return self.source[wildcards.network].layers

    def architecture(self, wildcards) -> dict:
        """Name, options and number of classes of a network."""
        source = self.source[wildcards.network]
        return source.architecture | {"classes": source.classes}

    def standardisation(self, wildcards) -> tuple[list[float], list[float]] | None:
        """What a network expects its images to be standardised by, if not by those of the study."""
        return self.source[wildcards.network].standardisation

    def image_shape(self, wildcards) -> list[int]:
        """Shape of the images that a network is shown: channels, height, width."""
        return list(self.source[wildcards.network].images)

    def entry(self, wildcards) -> dict:
        """What the configuration says of a network that was not trained here."""
        return self.source[wildcards.network].entry

    def brought_files(self, wildcards) -> list[str]:
        """The user's files that a network is made from: its checkpoint, or its activations layer by layer."""
        source = self.source[wildcards.network]
        if source.kind == "activations":
            layers = source.layers.values()
            return [
                file
                for place in source.places.values()
                for file in ([place] if Path(place).is_file() else [f"{place}/{layer}.npy" for layer in layers])
            ]
        return [source.entry["checkpoint"]] if source.kind == "checkpoint" else []

    def brought(self, wildcards) -> list[list]:
        """Size and time of these files, which tell that one was replaced, also by an older one."""
        found = [Path(file) for file in self.brought_files(wildcards)]
        return [[str(file), file.stat().st_size, file.stat().st_mtime_ns] for file in found if file.exists()]

    @property
    def data_files(self) -> list[str]:
        """The study's images, where there are networks to show them to."""
        if not any(source.runs_here for source in self.sources):
            return []
        return [f"<study>/data/{file}" for file in ("dataset.json", self.images_file, "labels.npy", "splits.npz")]

    @property
    def other_data(self) -> dict[str, str]:
        """The probes that are another data set, and the file that holds or lists its images."""
        return {
            name: images_file(probe["dataset"]["name"]) for name, probe in self.probes.items() if "dataset" in probe
        }

    @property
    def other_data_files(self) -> list[str]:
        """Their files."""
        return [file for probe in self.other_data for file in self.probe_files(Names(population=probe))]

    def probe_files(self, wildcards) -> list[str]:
        """Those that networks of a population are shown; none if that is the study's images."""
        probe = wildcards.population
        files = ("dataset.json", self.other_data.get(probe), "labels.npy", "splits.npz")
        return [f"<study>/probes/{probe}/{file}" for file in files] if probe in self.other_data else []

    @property
    def drawn_networks(self) -> list[str]:
        """Networks whose units are pictured: they run here, on the study's images as they are, layers by their names.

        None if the first two are not among them, or if it is not known which images excite a unit.
        """
        if not self.stored:
            return []
        drawable = [
            network
            for network in self.groups[0]
            for source in [self.source[network]]
            if source.runs_here and source.own_names and source.standardisation is None
        ]
        return drawable[:MOST_DRAWN] if drawable[:2] == self.groups[0][:2] else []

    @cached_property
    def convolutional_layers(self) -> list[str]:
        """The layers that give maps, in their order; what the paper says of conv1 to conv5 is judged on these."""
        here = next((source for source in self.sources if source.runs_here), None)
        shapes = here.shapes if here else {}
        return [layer for layer in self.layers if len(shapes.get(layer) or ()) == 3]

    @property
    def meaningless_baselines(self) -> list[str]:
        """Populations that compare nothing: with one initialisation for all, the untrained networks are the same."""
        alike = self.config["vary"] == "data_order" and all(source.kind == "trained" for source in self.sources)
        return [UNTRAINED, "against_untrained"] if alike else []

    @property
    def regime(self) -> str:
        """Whether numbers compare with the paper's: `exact` for its own networks on its own images, else `scaled`."""
        architecture, published = self.config["architecture"], complete_options("caffenet", {})
        options = architecture["options"] | {"initialisation": published["initialisation"]}
        same = architecture["name"] == "caffenet" and options == published and isinstance(self.config["networks"], int)
        return "exact" if same and self.config["dataset"]["name"] == "imagenet" else "scaled"

    # Random draws

    def draw(self, name: str, number: int = 0) -> int:
        """Seed of a named random draw."""
        entropy = [self.config["seed"], number, int(digest(name)[:8], 16)]
        return int(np.random.SeedSequence(entropy).generate_state(1)[0])

    def seeds(self, wildcards) -> dict[str, int]:
        """Seeds of a network's initialisation and of everything random in its training."""
        # A name that was given keeps its seeds wherever it stands in the list.
        counted = re.fullmatch(r"net(\d+)", wildcards.network)
        number = int(counted[1]) if counted else int(digest(wildcards.network)[:8], 16) + MOST_NETWORKS
        vary = self.config["vary"]
        return {
            "initialisation": self.draw("initialisation", 0 if vary == "data_order" else number),
            "data_order": self.draw("data_order", 0 if vary == "initialisation" else number),
        }

    # Tiles: N networks are cut into groups; a tile is a pair of groups

    def sides(self, wildcards) -> list[list[str] | None]:
        """The networks on the two sides of a tile; None on the diagonal, where both are the same."""
        a, b = (int(number) - 1 for number in wildcards.tile.split("-"))
        groups = self._groups_of[population_of(wildcards)]
        return [groups[a], None if a == b else groups[b]]

    @cached_property
    def _groups_of(self) -> dict[str, list[list[str]]]:
        """The groups of networks, as far as they belong to each population."""
        found = {population: set(members) for population, members in self.members.items()}
        return {
            population: [[network for network in group if network in members] for group in self.groups]
            for population, members in found.items()
        }

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
        """Where the activations of each network of a tile are."""
        population = population_of(wildcards)
        return [f"<study>/activations/{network}/{population}" for network in self.tile_networks(wildcards)]

    def tile_weights(self, wildcards) -> list[str]:
        """The weights of each network that a tile runs; further probes are shown to the trained ones."""
        population = population_of(wildcards)
        stage = TRAINED if population in self.probes else population
        return [f"<study>/networks/{network}/{stage}.safetensors" for network in self.tile_networks(wildcards)]

    def untrained_weights(self, wildcards) -> list[str]:
        """Those before training."""
        return self.tile_weights(untrained(wildcards))

    def tile_runs(self, wildcards) -> dict[str, dict]:
        """How each network of a tile is built and run, and the key of its weights."""
        return {
            network: {
                "key": self.network_key(place),
                "architecture": self.architecture(place),
                "standardisation": self.standardisation(place),
                "layers": {layer: self.source[network].layers[layer] for layer in self.layers},
            }
            for network in self.tile_networks(wildcards)
            for place in [Names(network=network)]
        }

    def layer_places(self, wildcards) -> list["Names"]:
        """A tile's place in each layer; controls, which name no population, look at trained networks."""
        where = {"population": population_of(wildcards), "tile": wildcards.tile}
        return [Names(layer=layer, **where) for layer in self.layers]

    def tile_layers(self, wildcards) -> list[str]:
        """The activations of every layer of each network that a tile reads."""
        return [
            f"{folder}/{layer}.npy"
            for network, folder in zip(self.tile_networks(wildcards), self.tile_folders(wildcards), strict=True)
            for layer in self.source[network].layers
        ]

    def untrained_records(self, wildcards) -> list[str]:
        """What was noted when the same networks were recorded before their training."""
        return self.tile_records(untrained(wildcards))

    def untrained_activations(self, wildcards) -> list[str]:
        """The layer's activations of the same networks before their training."""
        return self.tile_activations(untrained(wildcards))

    def untrained_layers(self, wildcards) -> list[str]:
        """The activations of every layer of the same networks before their training."""
        return self.tile_layers(untrained(wildcards))

    def untrained_dump_keys(self, wildcards) -> dict[str, str]:
        """Their keys."""
        return self.tile_dump_keys(untrained(wildcards))

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
        caffenet = all(source.architecture.get("name") == "caffenet" for source in self.sources)
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
        trained = [code("train_network"), self._data_key, self.training, self.stages, self.config["device"]]
        trained.append(self.draw("label_noise"))
        # Company changes the rounding of a network.
        company = {network: [block] for block in self.blocks for network in block if len(block) > 1}
        keys = {}
        for network in (*self.trained_here, *self.adopted):
            place, source = Names(network=network), self.source[network]
            brought = [code("adopt_network"), source.entry, source.images, self.brought(place)]
            shared = trained if source.kind == "trained" else brought
            built = [self.architecture(place), users_code(source.architecture["name"]), self.seeds(place)]
            keys[network] = digest("network", shared, built, *company.get(network, ()))
        return keys

    @cached_property
    def _dump_keys(self) -> dict[str, str]:
        keys, position_seed = {}, self.draw("positions")
        for network, source in self.source.items():
            which = [source.layers, self.populations_of(source), position_seed]
            if source.runs_here:
                made_of = [self._network_keys[network], self._data_key, self.recording, source.standardisation]
                made_of += [list(self.probes.values()), self.probe_keys]
                keys[network] = digest("dump", code("dump_activations"), made_of, which)
            else:
                data = self.shown_data_key(None)
                brought = [source.entry, self.brought(Names(network=network))]
                keys[network] = digest("dump", code("adopt_activations"), brought, data, self.taking, which)
        return keys

    @cached_property
    def probe_keys(self) -> dict[str, str]:
        """Keys of the probes that are other data sets."""
        return {
            name: digest("data", code("fetch_data"), probe["dataset"], self.draw("data"))
            for name, probe in self.probes.items()
            if "dataset" in probe
        }

    def shown_data_key(self, wildcards) -> str | None:
        """Key of the study's images if networks are shown them here, else None."""
        return self._data_key if self.data_files else None

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
        return digest("statistics", code("compute_statistics" if self.stored else "stream_statistics"), which)

    def statistics_keys(self, wildcards) -> list[str]:
        """Keys of the statistics of all layers, in their order."""
        return [self.statistics_key(place) for place in self.layer_places(wildcards)]

    def alignment_keys(self, wildcards) -> dict[str, list[str]]:
        """Keys of statistics and alignments of all layers, in their order."""
        statistics = self.statistics_keys(wildcards)
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
        which.append(self.untrained_dump_keys(wildcards))
        shuffling = [self.config["controls"], self.config["groups"]["threshold"]] if self.stored else []
        script = "run_controls" if self.stored else "stream_controls"
        return digest("controls", code(script), which, [*shuffling, self.controls_seed(wildcards)])

    def controls_keys(self, wildcards) -> list[str]:
        """Keys of the controls of all layers, in their order."""
        return [self.controls_key(place) for place in self.layer_places(wildcards)]

    def similarity_key(self, wildcards) -> str:
        which = [wildcards.population, self.sides(wildcards), self.tile_dump_keys(wildcards), self.layers]
        settings = [self.comparing, self.draw("similarity"), self.all_layers(wildcards)]
        return digest("similarity", code("compare_representations"), which, settings)

    def similarity_controls_key(self, wildcards) -> str:
        which = [
            self.sides(wildcards),
            self.tile_dump_keys(wildcards),
            self.untrained_dump_keys(wildcards),
            self.layers,
        ]
        settings = [self.comparing, self.config["similarity"]["noise"], self.draw("similarity")]
        return digest("similarity_controls", code("control_similarity"), which, settings)

    def calibration_key(self, wildcards) -> str:
        which = [wildcards.population, self.sides(wildcards), self.tile_dump_keys(wildcards), self.layers]
        return digest("calibration", code("calibrate_similarity"), which, self.calibrating, self.draw("similarity"))

    @property
    def comparing(self) -> dict:
        """How representations are compared."""
        return {name: self.config["similarity"][name] for name in ("measures", "positions", "largest_samples")}

    @property
    def calibrating(self) -> dict:
        """How similarities are calibrated."""
        names = ("calibrated", "over_layers", "permutations", "positions", "largest_samples")
        return {name: self.config["similarity"][name] for name in names}

    def controls_seed(self, wildcards) -> int:
        return self.draw(f"controls {wildcards.layer} {wildcards.tile}")

    def controls_seeds(self, wildcards) -> list[int]:
        """Their seeds."""
        return [self.controls_seed(place) for place in self.layer_places(wildcards)]

    def score_fragments(self, wildcards) -> list[str]:
        """The pieces of the score table."""
        return [path for path, _, _ in self._score_pieces]

    def score_contents(self, wildcards) -> list[tuple[list[str], bool]]:
        """For each piece, the keys that its rows may carry, and whether there is no pair to score in it."""
        return [(keys, empty) for _, keys, empty in self._score_pieces]

    @cached_property
    def _score_pieces(self) -> list[tuple[str, list[str], bool]]:
        pieces = []
        for place in self.places(self.populations) if self.layers else ():
            # A network is scored alone, too.
            path = f"<study>/alignment/{place.population}/{place.tile}.csv"
            pieces.append((path, self.alignment_keys(place)["alignment"], False))
        for place in self.places(self.ends, self.layers) if self.stored else ():
            pieces.append(self._piece("information", place, self.information_key(place)))
        for place in self.places(self.ends, self.mapped_layers):
            pieces.append(self._piece("maps", place, self.maps_key(place)))
        for place in self.places(self.ends, self.layers):
            pieces.append(self._piece("groups", place, self.groups_key(place)))
        for place in self.places([TRAINED], self.layers):
            # Controls also score each network with itself.
            pieces.append((f"<study>/controls/{place.layer}/{place.tile}.csv", [self.controls_key(place)], False))
        return pieces

    def similarity_fragments(self, wildcards) -> list[str]:
        """The pieces of the table of similarities."""
        return [path for path, _ in self._similarity_pieces["similarity"]]

    def calibration_fragments(self, wildcards) -> list[str]:
        """The pieces of the table of calibrated similarities."""
        return [path for path, _ in self._similarity_pieces["calibration"]]

    def similarity_contents(self, wildcards) -> dict[str, list[tuple[list[str], bool]]]:
        """For each piece of either table, the keys that its rows may carry, and whether there is nothing in it."""
        return {table: [content for _, content in pieces] for table, pieces in self._similarity_pieces.items()}

    @cached_property
    def _similarity_pieces(self) -> dict[str, list[tuple[str, tuple[list[str], bool]]]]:
        settings = self.config["similarity"]
        similarity, calibration = [], []
        for place in self.places(self.populations) if settings["measures"] else ():
            empty = not (self.all_layers(place) or self.sharing(place)) or self.without_pairs(place)
            path = f"<study>/similarity/{place.population}/{place.tile}.csv"
            similarity.append((path, ([self.similarity_key(place)], empty)))
        for place in self.places([TRAINED]) if settings["measures"] else ():
            path = f"<study>/similarity/controls/{place.tile}.csv"
            # Each network is also compared with copies of itself, in the tile on the diagonal.
            empty = self.sides(place)[1] is not None and not self.sharing(place)
            similarity.append((path, ([self.similarity_controls_key(place)], empty)))
        for place in self.places(self.ends) if settings["calibrated"] or settings["over_layers"] else ():
            of_layers = settings["calibrated"] and self.sharing(place)
            empty = self.without_pairs(place) or not (settings["over_layers"] or of_layers)
            path = f"<study>/calibration/{place.population}/{place.tile}.csv"
            calibration.append((path, ([self.calibration_key(place)], empty)))
        return {"similarity": similarity, "calibration": calibration}

    def sharing(self, wildcards) -> bool:
        """Whether any two networks of a tile have a layer of the same name."""
        found = pairs(*self.sides(wildcards))
        return any(set(self.source[a].layers) & set(self.source[b].layers) for a, b in found)

    def all_layers(self, wildcards) -> bool:
        """Whether every layer is compared with every other; where networks are on the way, only like with like."""
        return wildcards.population in self.ends

    def _piece(self, stage: str, place: "Names", key: str) -> tuple[str, list[str], bool]:
        path = f"<study>/{stage}/{place.population}/{place.layer}/{place.tile}.csv"
        return path, [key], self.without_pairs(place)

    def places(self, populations: list[str], layers: list[str] | None = None) -> list["Names"]:
        """Every combination of population, layer (if any) and tile, as wildcards."""
        every = [Names(population=name, tile=tile) for name in populations for tile in self.tiles]
        # Of a population that lacks some networks, a tile may have nothing on one side.
        every = [place for place in every if all(side != [] for side in self.sides(place))]
        return every if layers is None else [Names(layer=layer, **vars(place)) for layer in layers for place in every]

    def resampled(self, wildcards) -> list[str]:
        """Mean scores of every draw of images, tile by tile."""
        return [f"<study>/resampled/{place.layer}/{place.tile}.csv" for place in self.resampled_places]

    def resampled_contents(self, wildcards) -> list[tuple[list[str], bool]]:
        """For each of them, the key of its rows and whether there is no pair in it."""
        return [([self.resampling_key(place)], self.without_pairs(place)) for place in self.resampled_places]

    @property
    def resampled_places(self) -> list["Names"]:
        """Layers and tiles for which images are drawn."""
        return self.places([TRAINED], self.layers) if self.stored else []

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
        names = ("data", "label_noise", "positions", "halves", "maps", "groups", "images", "networks", "similarity")
        drawn = {name: self.draw(name) for name in (*names, "noise", "dynamics")}
        places = self.places([TRAINED], self.layers)
        drawn |= {f"controls {place.layer} {place.tile}": self.controls_seed(place) for place in places}
        return drawn | {name: self.seeds(Names(network=name)) for name in self._network_keys}

    # What is shown

    @property
    def figure_names(self) -> list[str]:
        """Every figure, below figures/ and without suffix."""
        names = ["training_curves"] if self.trained_here else []
        if self.layers:
            names += ["alignment_by_depth", "matching_curves", "activation_spectra", "matched_activity"]
        if self.layers and self.stored:
            names += ["information", "joint_activations"]
        layered = ["correlation_matrices", "groups", "group_hierarchy"]
        if self.mapped_layers:
            names += ["sparse_prediction", "few_predictors", "mapping_layers"]
            names += [f"sparse_maps/{layer}" for layer in self.mapped_layers]
        if self.layers and self.drawn_networks:
            names.append("filters")
            layered += ["unit_pairs", "unit_groups", "activity_extremes"]
            names += [f"unit_pairs_information/{layer}" for layer in self.early_layers]
            names += [f"unit_predictors/{layer}" for layer in self.mapped_layers]
        names += [f"{name}/{layer}" for name in layered for layer in self.layers]
        return names + list(self.similarity_figures)

    @property
    def epochs(self) -> dict[str, int]:
        """Populations that are stages of the training here, with their epochs."""
        last = self.config["training"]["epochs"]
        stages = {UNTRAINED: 0, **self.checkpoints, TRAINED: last}
        return {stage: epoch for stage, epoch in stages.items() if stage in self.populations}

    @cached_property
    def similarity_figures(self) -> dict[str, str]:
        """Figures of similarities, with what the report calls them."""
        settings = self.config["similarity"]
        measures = settings["measures"]
        figures = {f"layer_similarity/{name}": f"all layers, {name}" for name in measures}
        if self.layers and measures:
            figures["similarity_by_depth"] = "similarity against depth"
            figures["groundings"] = "what the measures notice"
            if self.checkpoints and len(self.epochs) > 2:
                figures["similarity_over_training"] = "similarity over training"
        if len(measures) > 1:
            figures["measure_agreement"] = "how far measures agree"
        if self.layers and settings["calibrated"]:
            figures["calibrated_similarity"] = "similarity above chance"
        return figures

    @property
    def results(self) -> list[str]:
        """Everything that the main study ends with."""
        names = ["scores.csv", "tables/summary.csv", "tables/similarity.csv"]
        # The ledger is about units, of layers that all networks have.
        names += ["claims.csv", "claims.html"] if self.layers else []
        return [f"<study>/{name}" for name in names] + self.figures

    @property
    def records(self) -> list["Record"]:
        """What is noted of each study when its results are there."""
        return [
            Record("", self.results, self.all_keys()),
            Record("noise/", self.noise.results, self.noise.all_keys()),
            Record("dynamics/", self.dynamics.results, self.dynamics.all_keys()),
        ]

    @property
    def figures(self) -> list[str]:
        """Every figure, in both formats."""
        return [f"<study>/figures/{name}.{suffix}" for name in self.figure_names for suffix in ("svg", "png")]

    @cached_property
    def pages(self) -> list["Page"]:
        """The pages of claims: one for each study, and one for all of them."""
        scales = {"noise": self.noise.scale, "dynamics": self.dynamics.scale}
        notes = {name: f"The study of {name} was run at the scale `{scale}`." for name, scale in scales.items()}
        # The ledger of the main study is about units, of layers that all networks have.
        main = [Page("convergence", "", self.figure_names, [])] if self.layers else []
        further = [Page(name, f"{name}/", list(getattr(self, name).figures), [notes[name]]) for name in scales]
        return [*main, *further, Page("everything", "", [], [], parts=[*main, *further])]

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
            "figures/similarity_by_depth.png": "how alike whole representations are, by many measures",
            "figures/layer_similarity/": "every layer of one network with every layer of another",
            "figures/groundings.png": "what these measures notice, and what they miss",
            "figures/training_curves.png": "what the networks learned",
            "scores.csv": "every number, one per row",
            "tables/similarity.csv": "similarities of all pairs of layers",
            "tables/summary.csv": "their spread over pairs of networks",
            "provenance.json": "what made them",
            "noise/claims.html": "the claims about noise and sample size",
            "figures/noise/": "alignment against noise and sample size",
            "dynamics/claims.html": "the claims about learning dynamics",
            "figures/dynamics/": "learning dynamics and theory",
            "ledger.html": "the claims of all three studies",
        }
        looks = {file: meaning for file, meaning in looks.items() if Path(folder, file).exists()}
        if not looks:  # a part of a study was asked for
            return ""
        width = max(len(f"{folder}/{file}") for file in looks)
        lines = [f"  {f'{folder}/{file}':{width}}  {meaning}" for file, meaning in looks.items()]
        report = f"For one page with everything, give the same command once more with --report {folder}/report.html"
        return "\n".join(["", "The study is done. Look at", *lines, report, ""])

    def mistakes(self, folder: str, since: float) -> str:
        """The sentences with which jobs ended since a point in time, for the end of what the user reads."""
        logs = [path for path in Path(folder, "logs").rglob("*.log") if path.stat().st_mtime >= since]
        lines = []
        for path in sorted(logs):
            written = path.read_text().splitlines()
            if not any(line.startswith("done in ") for line in written):
                lines += [line for line in written if line.startswith("Error: ")] or [
                    f"Error: the job of {path} was ended from outside before it was done, as a scheduler ends one that "
                    "takes more memory or time than it asked for."
                ]
        return "\n".join(
            ["", "The study stopped; what is done is kept, and the same command goes on from there.", *lines, ""]
        )


@dataclass(frozen=True)
class Record:
    """What made the results of a study, noted when they are there."""

    folder: str
    results: list[str]
    keys: dict

    @property
    def rule(self) -> str:
        return "_".join(["write", *self.folder.split("/")[:-1], "provenance"])

    @property
    def path(self) -> str:
        return f"<study>/{self.folder}provenance.json"


@dataclass(frozen=True)
class Page:
    """A page of claims with the figures that show them."""

    study: str
    folder: str
    own_figures: list[str]
    own_notes: list[str]
    parts: list["Page"] | None = None  # of a page of several studies

    @property
    def each(self) -> list["Page"]:
        return [self] if self.parts is None else self.parts

    @property
    def rule(self) -> str:
        names = {"convergence": "write_claims_page", "everything": "write_ledger"}
        return names.get(self.study, f"write_{self.study}_page")

    @property
    def path(self) -> str:
        return f"<study>/{self.folder}{'ledger' if self.parts else 'claims'}.html"

    @property
    def claims(self) -> list[str]:
        return [f"<study>/{page.folder}claims.csv" for page in self.each]

    @property
    def figures(self) -> list[str]:
        return [name for page in self.each for name in page.own_figures]

    @property
    def prints(self) -> list[str]:
        return [f"<study>/figures/{name}.png" for name in self.figures]

    @property
    def studies(self) -> list[str]:
        return [page.study for page in self.each]

    @property
    def notes(self) -> list[str]:
        return [note for page in self.each for note in page.own_notes]

    @property
    def caption(self) -> str:
        return f"../report/{self.study + '_' if self.folder else ''}claims.rst"

    @property
    def category(self) -> str:
        return {"noise": "Noise and sample size", "dynamics": "Learning dynamics"}.get(self.study, "Claims")


def vars_of(wildcards) -> dict[str, str]:
    """Names and values of wildcards, Snakemake's or `Names`."""
    return dict(wildcards.items()) if hasattr(wildcards, "items") else vars(wildcards)


def population_of(wildcards) -> str:
    """The population in question; controls, which name none, look at trained networks."""
    return getattr(wildcards, "population", TRAINED)


def untrained(wildcards) -> Names:
    """The same place before training."""
    return Names(**{**vars_of(wildcards), "population": UNTRAINED})


def any_of(names: list[str]) -> str:
    """Regular expression that matches exactly these names; one that matches nothing if there are none."""
    return "|".join(map(re.escape, names)) or "(?!)"
