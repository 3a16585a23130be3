"""Many small networks trained at once against one after another, and the time of a sweep of linear networks.

    python benchmarks/noise.py [--samples 10 100 1000] [--steps 300] [--one-by-one 6] [--full-sweep]

Both ways are timed alternately in one process on one thread; ratios matter, seconds depend on the machine. One after
another is plain PyTorch: modules, automatic differentiation and its Adam; a few networks are trained so, and the time
is scaled up to all. Networks trained both ways must agree to 1e-4 in double precision.
"""

from collections.abc import Iterable
from statistics import median

import numpy as np
import torch
from common import Comparison, keep, of, parser_of, seconds
from threadpoolctl import threadpool_limits
from torch import Tensor, nn

from convergent.noise.linear import measure_linear
from convergent.noise.perceptron import Perceptrons, initial, learning_rate, train_together, with_ones
from convergent.noise.protocols import grid

GOAL = 10  # times as fast as one after another
SWEEP_GOAL = 40  # core seconds
TOLERANCE = 1e-4
AGREEMENT_STEPS = 300
# Name -> groups of networks with the same inputs, networks of each, inputs, hidden units, outputs.
TASKS = {
    "regression, label noise": (6, 12, 10, 10, 1),
    "regression, input noise": (72, 1, 10, 10, 1),
    "classification": (4, 20, 20, 8, 10),
}


def task(name: str, n: int) -> tuple[Perceptrons, Tensor, Tensor]:
    """Networks, inputs (groups, d + 1, n) and targets of a task with n training samples."""
    groups, each, d, hidden, outputs = TASKS[name]
    draws = np.random.default_rng(0)
    networks = initial([np.random.default_rng(k) for k in range(groups * each)], d, hidden, outputs, 0.2)
    inputs = with_ones(draws.normal(size=(groups, n, d)))
    if outputs == 1:
        return networks, inputs, torch.from_numpy(draws.normal(size=(groups * each, 1, n)).astype(np.float32))
    return networks, inputs, torch.from_numpy(draws.integers(0, outputs, (groups * each, n)))


def one_by_one(
    networks: Perceptrons, inputs: Tensor, targets: Tensor, steps: int, chosen: Iterable[int]
) -> list[nn.Sequential]:
    """The chosen networks, each trained by itself."""
    trained = []
    for number in chosen:
        first, second, shift = (part[number] for part in networks.parts())
        model = nn.Sequential(nn.Linear(first.shape[1] - 1, len(first)), nn.ReLU(), nn.Linear(len(first), len(second)))
        model.to(first.dtype)
        with torch.no_grad():
            for part, value in zip(model.parameters(), (first[:, :-1], first[:, -1], second, shift[:, 0]), strict=True):
                part.copy_(value)
        each = len(networks.first) // len(inputs)
        own = inputs[number // each, :-1].T.contiguous()
        target = targets[number].T.contiguous() if targets.is_floating_point() else targets[number]
        loss = nn.MSELoss() if targets.is_floating_point() else nn.CrossEntropyLoss()
        update = torch.optim.Adam(model.parameters(), lr=1.0)
        for step in range(steps):
            update.param_groups[0]["lr"] = learning_rate(step, steps)
            update.zero_grad()
            loss(model(own), target).backward()
            update.step()
        trained.append(model)
    return trained


def apart(name: str) -> float:
    """Largest difference of any weight of three networks trained both ways for the same steps."""
    networks, inputs, targets = task(name, 100)
    networks = Perceptrons(*(part.double() for part in networks.parts()))
    inputs, targets = inputs.double(), targets.double() if targets.is_floating_point() else targets
    chosen = (0, 1, len(networks.first) - 1)
    together = train_together(networks, inputs, targets, AGREEMENT_STEPS)
    largest = 0.0
    for number, model in zip(chosen, one_by_one(networks, inputs, targets, AGREEMENT_STEPS, chosen), strict=True):
        first, second, shift = (part[number] for part in together.parts())
        pairs = zip((first[:, :-1], first[:, -1], second, shift[:, 0]), model.parameters(), strict=True)
        largest = max(largest, *((a - b).abs().max().item() for a, b in pairs))
    return largest


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--samples", type=int, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--one-by-one", type=int, default=6, help="how many networks are trained by themselves")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--full-sweep", action="store_true", help="time all sizes of linear networks, not only three")
    options = parser.parse_args()
    threadpool_limits(1)
    torch.set_num_threads(1)

    print(f"milliseconds per step of all networks, median of {options.repeats}; goal of the ratio: {GOAL}")
    print(f"  {'':26}{'n':>6}{'networks':>9}{'together':>10}{'one by one':>12}{'ratio':>7}")
    rows: list[Comparison] = []
    for name in TASKS:
        difference = apart(name)
        assert difference <= TOLERANCE, f"{name}: networks trained together and alone differ by {difference}"
        for n in options.samples:
            networks, inputs, targets = task(name, n)
            count = len(networks.first)
            chosen = range(0, count, max(1, count // options.one_by_one))
            runs = [
                (
                    seconds(train_together, networks, inputs, targets, options.steps)[0],
                    seconds(one_by_one, networks, inputs, targets, options.steps, chosen)[0] * count / len(chosen),
                )
                for _ in range(options.repeats)
            ]
            ours, theirs = (1e3 * median(part) / options.steps for part in zip(*runs, strict=True))
            print(f"  {name:26}{n:6}{count:9}{ours:10.3f}{theirs:12.2f}{theirs / ours:7.1f}")
            what = (f"training of ensembles, {name}", f"{count} networks, {n} samples, a step")
            own = (1, "float32", ours / 1e3, theirs / 1e3, difference)
            rows.append(Comparison(*what, f"{of('torch')}, one after another", *own))
        print(f"  {'':26}largest difference of a weight after {AGREEMENT_STEPS} steps: {difference:.1e}")

    reduced = grid("linear", "input", "reduced")
    sizes = reduced.sizes if options.full_sweep else (reduced.sizes[0], reduced.sizes[6], reduced.sizes[-1])
    settings = {"snrs": reduced.snrs, "repetitions": reduced.repetitions, "members": reduced.members}
    spent = [seconds(lambda n=n: measure_linear(n, **settings))[0] for n in sizes]
    for n, time in zip(sizes, spent, strict=True):
        print(f"  linear networks, n = {n:4}: {time:.2f} s")
    whole = sum(spent) * len(reduced.sizes) / len(sizes)
    keep(rows, options.table)
    print(f"  linear networks, all {len(reduced.sizes)} sizes: {whole:.1f} core seconds, goal {SWEEP_GOAL}")


if __name__ == "__main__":
    main()
