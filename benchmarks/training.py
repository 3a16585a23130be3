"""Several networks trained together, side by side in one module, against one after another.

    python benchmarks/training.py [--networks 1 2 4 8 16] [--repeats 3] [--only "default study"]

Images per second and network, from the user time of whole trainings with their evaluations, on one thread. Both ways
are timed alternately; ratios matter, seconds depend on the machine. One after another every network takes the same
time, so that one of them is timed for each time that all are trained together.
"""

import argparse
import resource
from pathlib import Path
from statistics import median
from types import SimpleNamespace

import numpy as np
import torch
import yaml
from threadpoolctl import threadpool_limits

from convergent.ensembles import train_together
from convergent.models import build
from convergent.training import train

GOAL = 1.1  # times as fast as one after another, for training together to be worth it
CLASSES = 10
STUDY = yaml.safe_load((Path(__file__).parent.parent / "config.yaml").read_text())
CAFFENET = STUDY["architecture"]["options"]
COLOUR = CAFFENET | {"kernels": [5, 3, 3, 3, 3], "paddings": [2, 1, 1, 1, 1], "pools": [1, 2, 5], "pool_kernel": 3}
# Name -> architecture, its options, shape of an image, batch size, batches of an epoch.
TASKS = {
    "default study": ("caffenet", CAFFENET, (1, 8, 8), 32, 8),
    "same, batches of 8": ("caffenet", CAFFENET, (1, 8, 8), 8, 20),
    "same, batches of 128": ("caffenet", CAFFENET, (1, 8, 8), 128, 3),
    "same, 16 x 16 pixels": ("caffenet", CAFFENET, (1, 16, 16), 32, 4),
    "CIFAR-10, caffenet": ("caffenet", COLOUR, (3, 32, 32), 32, 2),
    "digits, mlp": ("mlp", {}, (1, 8, 8), 32, 60),
    "CIFAR-10, mlp": ("mlp", {"widths": [512, 512]}, (3, 32, 32), 32, 10),
}


def generated(shape: tuple[int, int, int], train_images: int) -> SimpleNamespace:
    """A data set of random images (uint8) with random labels; a fifth as many validate."""
    draws = np.random.default_rng(0)
    count = train_images + train_images // 5
    images = draws.integers(0, 256, (count, *shape), dtype=np.uint8)
    return SimpleNamespace(
        images=images.__getitem__,
        labels=draws.integers(0, CLASSES, count),
        class_names=[str(label) for label in range(CLASSES)],
        splits={"train": np.arange(train_images), "validation": np.arange(train_images, count)},
        shape=shape,
        mean=np.full(shape[0], 0.5),
        std=np.full(shape[0], 0.3),
    )


def user_seconds(function, *arguments, **settings) -> float:
    """How long a call keeps the processor busy, whatever else the machine does."""
    started = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    function(*arguments, **settings)
    return resource.getrusage(resource.RUSAGE_SELF).ru_utime - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", type=int, nargs="+", default=[1, 2, 4, 8, 16])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=TASKS, default=list(TASKS))
    options = parser.parse_args()
    threadpool_limits(1)
    torch.set_num_threads(1)

    print(f"images per second and network, median of {options.repeats}; worth it from a ratio of {GOAL}")
    print(f"  {'':22}{'networks':>9}{'together':>10}{'one by one':>12}{'ratio':>7}")
    for name in options.only:
        architecture, settings, shape, batch_size, batches = TASKS[name]
        data = generated(shape, batch_size * batches)
        recipe = {"epochs": 1, "batch_size": batch_size, "learning_rate": 1e-3}

        def networks(count: int, architecture=architecture, settings=settings, shape=shape) -> list[torch.nn.Module]:
            return [build(architecture, settings, shape, CLASSES, seed) for seed in range(count)]

        train(networks(1)[0], data, **recipe)  # warms up
        for count in options.networks:
            runs = [
                (
                    user_seconds(train_together, networks(count), data, order_seeds=range(count), **recipe) / count,
                    user_seconds(train, networks(1)[0], data, order_seed=0, **recipe),
                )
                for _ in range(options.repeats)
            ]
            ours, theirs = (recipe["epochs"] * batch_size * batches / median(part) for part in zip(*runs, strict=True))
            ratio = median(alone / together for together, alone in runs)
            print(f"  {name:22}{count:9}{ours:10.0f}{theirs:12.0f}{ratio:7.2f}", flush=True)


if __name__ == "__main__":
    main()
