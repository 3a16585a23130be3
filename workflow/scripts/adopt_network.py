"""Take in a network that was trained elsewhere, from a checkpoint or torchvision, and the same network untrained."""

from pathlib import Path

from job import logged

from convergent.checkpoints import download_weights, load_checkpoint
from convergent.models import build, save_weights

with logged(snakemake):
    params = snakemake.params
    architecture, entry = params.architecture, params.entry
    network = build(
        architecture["name"],
        architecture["options"],
        tuple(params.images),
        architecture["classes"],
        params.seeds["initialisation"],
    )
    metadata = {"key": params.key, "network": snakemake.wildcards.network}
    if "checkpoint" in entry:
        path = entry["checkpoint"]
    else:
        # Not a parameter: where weights are kept changes none of them.
        downloads = Path(snakemake.config["downloads"]) / "weights"
        path = download_weights(entry["torchvision"], entry["weights"], downloads)
    save_weights(snakemake.output.untrained, network, metadata)
    load_checkpoint(path, network)
    save_weights(snakemake.output.trained, network, metadata)
    print(f"weights from {path}")
