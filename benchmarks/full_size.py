"""The study of full size on a few generated photographs in ImageNet's layout: what each of its jobs takes.

    python benchmarks/full_size.py [--networks 2] [--images 16] [--cores 1] [--folder FOLDER]

Runs the workflow with the architecture and recipe of workflow/studies/imagenet.yaml on few images for one epoch, as far
as the statistics and matching of the layers at all positions; once with stored activations and once without.
"""

import argparse
import csv
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml
from costs import LAYERS, ROOT, config_of, photograph
from PIL import Image

CLASSES = 2
SIZES = ((375, 500), (500, 375), (333, 500))  # height, width; the most frequent of ImageNet's


def layout(folder: Path, images: int) -> None:
    """Photographs in train/ and val/, a folder for each class, `images` in each part."""
    for part in ("train", "val"):
        for number in range(images):
            path = folder / part / f"n{number % CLASSES:08d}" / f"{part}_{number:08d}.JPEG"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(photograph(number, *SIZES[number % len(SIZES)])).save(path, quality=92)


def run(folder: Path, name: str, config: dict, cores: int) -> None:
    """Run a study as far as its matching, and print what every rule took."""
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(config | {"study": name}))
    results = folder / "results" / name
    words = [f"results/{name}/alignment/trained/{layer}/1-1.npz" for layer in LAYERS]
    words += ["--snakefile", ROOT / "Snakefile", "--configfile", path, "--cores", cores, "--quiet", "all"]
    subprocess.run([sys.executable, "-m", "snakemake", *map(str, words)], check=True, cwd=folder)
    print(f"{name}: rule                 seconds   of a core   largest memory (MiB)")
    for file in sorted((results / "benchmarks").glob("**/*.tsv")):
        with open(file) as handle:
            row = next(csv.DictReader(handle, delimiter="\t"))
        job = file.relative_to(results / "benchmarks").with_suffix("")
        print(f"  {job!s:40}{row['s']:>9}{row['cpu_time']:>12}{row['max_rss']:>12}")
    for part in ("networks", "activations", "statistics"):
        size = sum(file.stat().st_size for file in (results / part).rglob("*") if file.is_file())
        print(f"  {part} on disk: {size / 1e6:.0f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", type=int, default=2)
    parser.add_argument("--images", type=int, default=16, help="to train on, and as many to compare on")
    parser.add_argument("--cores", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="where to run; a temporary folder unless given")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        layout(folder / "images", options.images)
        config = config_of("imagenet")
        config |= {"networks": options.networks, "device": "auto"}
        config["dataset"]["options"]["path"] = str(folder / "images")
        config["training"] |= {"epochs": 1, "batch_size": options.images, "accuracy_floor": 0.0}
        everywhere = {"positions": "all", "batch_size": 16}
        run(folder, "stored", config | {"activations": everywhere}, options.cores)
        config.pop("maps")
        run(folder, "streamed", config | {"activations": everywhere | {"stored": False}}, options.cores)


if __name__ == "__main__":
    main()
