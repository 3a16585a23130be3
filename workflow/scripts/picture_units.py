"""Find what excites the chosen units of one network: the strongest probe images, and guided gradients in them."""

from pathlib import Path

import numpy as np
from job import logged

from convergent.activations import open_dump
from convergent.datasets import open_dataset
from convergent.devices import device_named
from convergent.examples import read_examples, units_drawn
from convergent.files import save_arrays
from convergent.models import build, load_weights
from convergent.mosaics import mosaic
from convergent.pictures import first_layer_filters, unit_pictures
from convergent.receptive_fields import receptive_fields
from convergent.samples import blocks

UNITS_AT_ONCE = 32  # large images take 11 MB per unit

with logged(snakemake):
    params, network_name, arrays = snakemake.params, snakemake.wildcards.network, {}
    data = open_dataset(Path(snakemake.input.dataset).parent, params.data_key, snakemake.threads)
    dump = open_dump(Path(snakemake.input.record).parent, params.dump_key)
    architecture = params.architecture
    network = build(architecture["name"], architecture["options"], data.shape, architecture["classes"], seed=0)
    load_weights(snakemake.input.weights, network, params.network_key)
    chosen = units_drawn(read_examples(snakemake.input.examples, params.examples_key), network_name)
    fields = receptive_fields(network, list(chosen), data.shape)
    device = device_named(params.device)
    for layer, units in chosen.items():
        drawn, live = [], []
        for some in blocks(len(units), UNITS_AT_ONCE):
            pictures = unit_pictures(network, data, dump, layer, units[some], params.images, device, fields[layer])
            drawn += [mosaic(*unit) for unit in zip(pictures.patches, pictures.gradients, strict=True)]
            live += pictures.live.tolist()
        arrays |= {
            f"units/{layer}": np.array(units),
            f"live/{layer}": np.array(live),
            f"mosaics/{layer}": np.stack(drawn),
        }
        print(f"{len(units)} units of {layer}")
    filters = first_layer_filters(network, params.layers[0])
    if filters is not None:
        arrays["filters"] = filters
    save_arrays(snakemake.output[0], params.key, **arrays)
