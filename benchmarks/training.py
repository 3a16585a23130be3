"""Networks trained together, against a plain PyTorch loop over seeds, and against the machine's arithmetic.

    python benchmarks/training.py [--networks 1 2 4 8 16 32 64] [--repeats 3] [--only "default study"] [--table FILE]

Images per second and network, from the user time of whole trainings with their evaluations, on one thread. The plain
loop sees the same batches and draws the same dropout; weights must agree. Both ways are timed alternately. In the loop
every network takes the same time, so that at most four are timed. The share of the arithmetic is that of the rate of a
float32 matrix product which a network's own products reach: 2 operations for each multiplication, three times as many
for an image that is trained on as for one that is only looked at.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import median
from types import SimpleNamespace

import numpy as np
import torch
import yaml
from common import Comparison, keep, matrix_rate, of, parser_of, user_seconds
from threadpoolctl import threadpool_limits
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from convergent.ensembles import train_together
from convergent.models import build, standardised
from convergent.training import generator, named_seed

GOAL = 1.1  # times as fast as the loop, for training together to be worth it
TOLERANCE = 1e-3  # between weights trained both ways: a rectifier on its kink may go either way, all else is rounding
NETWORKS = (1, 2, 4, 8, 16, 32, 64)
TABLED = (1, 8, 64)  # numbers of networks that the documentation shows
LOOPED = 4  # networks of the loop that are timed, at most
ENOUGH = 16  # networks in all repetitions together
CLASSES = 10
EPOCHS, RATE, MOMENTUM = 2, 1e-4, 0.9
ROOT = Path(__file__).parents[1]
CAFFENET = yaml.safe_load((ROOT / "config.yaml").read_text())["architecture"]["options"]
CIFAR = yaml.safe_load((ROOT / "workflow" / "studies" / "cifar10.yaml").read_text())["architecture"]["options"]
# Name -> architecture, its options, shape of an image, batch size, batches of an epoch, numbers of networks.
TASKS = {
    "default study": ("caffenet", CAFFENET, (1, 8, 8), 32, 5, NETWORKS),
    "default study, batches of 8": ("caffenet", CAFFENET, (1, 8, 8), 8, 20, (8,)),
    "default study, batches of 128": ("caffenet", CAFFENET, (1, 8, 8), 128, 2, (8,)),
    "default study, 16 x 16 pixels": ("caffenet", CAFFENET, (1, 16, 16), 32, 2, (8,)),
    "CIFAR-10, caffenet": ("caffenet", CIFAR, (3, 32, 32), 16, 1, NETWORKS),
    "CIFAR-10, caffenet, batches of 128": ("caffenet", CIFAR, (3, 32, 32), 128, 1, (1,)),
    "digits, mlp": ("mlp", {}, (1, 8, 8), 32, 60, NETWORKS),
    "CIFAR-10, mlp": ("mlp", {"widths": [512, 512]}, (3, 32, 32), 32, 10, (8,)),
}


def generated(shape: tuple[int, int, int], train_images: int) -> SimpleNamespace:
    """A data set of random images (uint8) with random labels; a quarter as many validate."""
    draws = np.random.default_rng(0)
    count = train_images + train_images // 4
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


def plain_loop(networks: Sequence[nn.Module], data, batch_size: int) -> None:
    """Train one network after another, as anybody would write it; number i draws from seed i."""
    parts = [
        (standardised(data.images(rows), data), torch.as_tensor(data.labels[rows])) for rows in data.splits.values()
    ]
    (images, labels), validation = parts
    for seed, network in enumerate(networks):
        torch.manual_seed(named_seed(seed, "dropout"))
        order = generator(seed, "order")
        optimizer = torch.optim.SGD(network.parameters(), lr=RATE, momentum=MOMENTUM)
        for part in parts:
            judge(network, *part, batch_size)
        for _ in range(EPOCHS):
            network.train()
            for rows in torch.randperm(len(images), generator=order).split(batch_size):
                optimizer.zero_grad()
                loss = functional.cross_entropy(network(images[rows]), labels[rows])
                loss.backward()
                optimizer.step()
            judge(network, *validation, batch_size)


@torch.no_grad()
def judge(network: nn.Module, images: Tensor, labels: Tensor, batch_size: int) -> tuple[float, float]:
    """Mean loss, and share of right answers."""
    network.eval()
    scores = torch.cat([network(batch) for batch in images.split(batch_size)])
    return float(functional.cross_entropy(scores, labels)), float((scores.argmax(dim=1) == labels).float().mean())


def together(networks: Sequence[nn.Module], data, batch_size: int) -> None:
    """The same by the library."""
    train_together(
        networks,
        data,
        order_seeds=range(len(networks)),
        epochs=EPOCHS,
        batch_size=batch_size,
        learning_rate=RATE,
        momentum=MOMENTUM,
        weight_decay=0,
        schedule="constant",
    )


def operations(network: nn.Module, data) -> int:
    """Floating-point operations of the products in the training of one network."""
    with FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, *data.shape))
    train, validation = (len(rows) for rows in data.splits.values())
    return counter.get_total_flops() * (3 * EPOCHS * train + train + (EPOCHS + 1) * validation)


def apart(one: nn.Module, other: nn.Module) -> float:
    """Largest difference of any weight."""
    pairs = zip(one.parameters(), other.parameters(), strict=True)
    return max(float((a - b).detach().abs().max()) for a, b in pairs)


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--networks", type=int, nargs="+", help="instead of those of each task")
    parser.add_argument("--repeats", type=int, default=3, help="of few networks; of many there are fewer")
    parser.add_argument("--only", nargs="+", choices=TASKS, default=list(TASKS))
    options = parser.parse_args()
    threadpool_limits(1)
    torch.set_num_threads(1)

    comparisons = []
    print(f"images per second and network, and share of the machine's arithmetic; worth it from a ratio of {GOAL}")
    print(f"  {'':37}{'networks':>9}{'together':>10}{'share':>7}{'loop':>10}{'share':>7}{'ratio':>7}{'difference':>12}")
    for name in options.only:
        architecture, settings, shape, batch_size, batches, counts = TASKS[name]
        data = generated(shape, batch_size * batches)
        start = partial(build, architecture, settings, shape, CLASSES)
        plain_loop([start(0)], data, batch_size)  # warms up
        rate, work = matrix_rate(user_seconds), operations(start(0), data)
        for count in options.networks or counts:
            runs = []
            for _ in range(max(1, min(options.repeats, ENOUGH // count))):
                ours = [start(seed) for seed in range(count)]
                theirs = [start(seed) for seed in range(min(count, LOOPED))]
                taken = user_seconds(together, ours, data, batch_size)[0] / len(ours)
                runs.append((taken, user_seconds(plain_loop, theirs, data, batch_size)[0] / len(theirs)))
            difference = max(map(apart, ours, theirs))
            assert difference < TOLERANCE, f"weights differ by {difference}"
            one, other = (median(way) for way in zip(*runs, strict=True))
            ratio = median(loop / taken for taken, loop in runs)
            columns = [
                f"{EPOCHS * batch_size * batches / each:10.0f}{work / each / rate:7.0%}" for each in (one, other)
            ]
            print(f"  {name:37}{count:9}{''.join(columns)}{ratio:7.2f}{difference:12.1e}", flush=True)
            if count in TABLED:
                size, peer = f"{count} networks", f"a loop in {of('torch')}"
                what = f"training, {name}"
                comparisons.append(Comparison(what, size, peer, 1, "float32", count * one, count * other, difference))
    keep(comparisons, options.table)


if __name__ == "__main__":
    main()
