"""Networks trained on two points, many at once with gradients written out, against plain PyTorch.

    python benchmarks/dynamics.py [--settings default shallow narrow cnn] [--steps 20] [--repeats 3] [--held 8]

Plain PyTorch is one network at a time: modules, automatic differentiation, its loss and optimiser, with as many threads
as it takes by default, and with one. All ways are timed alternately; ratios matter, milliseconds depend on the machine.
Networks trained both ways must agree to 1e-5 in single and 1e-10 in double precision.
"""

import multiprocessing
from concurrent.futures import Executor, ProcessPoolExecutor
from statistics import mean, median

import torch
from common import Comparison, keep, of, parser_of, seconds
from torch import Tensor, nn

from convergent.dynamics.networks import CHANNELS, HELD, Stack, build, shapes, two_points
from convergent.dynamics.settings import SETTINGS, Setting, setting
from convergent.threads import one_thread

GOAL = 4  # times as fast as plain PyTorch, of two processes with the default setting
TOLERANCES = {torch.float32: 1e-5, torch.float64: 1e-10}
AGREEMENT_STEPS = 20
FEW, MANY = 5, 10  # seeds at once of wide networks, and of narrow ones and convolutions
ACTIVATIONS = {
    "none": nn.Identity,
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "tanh": nn.Tanh,
    "silu": nn.SiLU,
}


def points(networks: int, dtype: torch.dtype) -> list[Tensor]:
    """Inputs and targets (networks, 2, 1)."""
    return [torch.from_numpy(part).to(dtype).expand(networks, -1, -1).contiguous() for part in two_points()]


def plain(one: Setting, start: list[Tensor], dtype: torch.dtype) -> nn.Sequential:
    """The same network as modules, with the weights of one that is stacked."""
    modules = []
    for shape in shapes(one):
        if len(shape) == 3:
            modules += [] if shape[1] == CHANNELS else [nn.Unflatten(1, (1, -1))]
            modules.append(nn.Conv1d(shape[1], shape[0], shape[2]))
        else:
            modules += [nn.Flatten()] if one.model == "convolutional" and modules else []
            modules.append(nn.Linear(*shape))
        modules.append(ACTIVATIONS[one.activation]())
    model = nn.Sequential(*modules[:-1]).to(dtype)
    with torch.no_grad():
        for part, value in zip(model.parameters(), start, strict=True):
            part.copy_(value[0].T if value.ndim == 3 else value[0])
    return model


def train_plain(one: Setting, model: nn.Sequential, inputs: Tensor, targets: Tensor, steps: int) -> None:
    """Steps of one network by automatic differentiation."""
    optimiser = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[one.optimiser](model.parameters(), lr=one.rate / 2)
    loss = nn.MSELoss()
    for _ in range(steps):
        optimiser.zero_grad()
        (0.5 * loss(model(inputs), targets)).backward()
        optimiser.step()


def train_stack(one: Setting, stack: Stack, inputs: Tensor, targets: Tensor, steps: int) -> None:
    """Steps of all networks of a stack."""
    with torch.no_grad():
        for _ in range(steps):
            stack.forward(inputs)
            stack.step(targets, 0.5, one.rate / 2)


def apart(one: Setting, dtype: torch.dtype, held: int) -> float:
    """Largest difference of any weight, bias or output of a network trained both ways for the same steps."""
    stack = build(one, [0], dtype=dtype, held=held)
    model = plain(one, stack.parameters(), dtype)
    inputs, targets = points(1, dtype)
    train_stack(one, stack, inputs, targets, AGREEMENT_STEPS)
    train_plain(one, model, inputs[0], targets[0], AGREEMENT_STEPS)
    with torch.no_grad():
        pairs = [(stack.forward(inputs)[1][0], model(inputs[0]))]
        for found, part in zip(stack.parameters(), model.parameters(), strict=True):
            pairs.append((found[0].T if found.ndim == 3 else found[0], part))
        return max((a - b).abs().max().item() for a, b in pairs)


@one_thread()
def ours(name: str, seeds: int, steps: int, held: int) -> float:
    """Milliseconds per step and seed."""
    one = setting(name)
    stack = build(one, range(seeds), held=held)
    inputs, targets = points(seeds, torch.float32)
    train_stack(one, stack, inputs, targets, 2)
    return 1e3 * seconds(train_stack, one, stack, inputs, targets, steps)[0] / steps / seeds


def theirs(name: str, steps: int) -> float:
    """Milliseconds per step of plain PyTorch."""
    one = setting(name)
    model = plain(one, build(one, [0]).parameters(), torch.float32)
    inputs, targets = (part[0] for part in points(1, torch.float32))
    train_plain(one, model, inputs, targets, 2)
    return 1e3 * seconds(train_plain, one, model, inputs, targets, steps)[0] / steps


def both_at_once(pool: Executor, *arguments: object) -> float:
    """Milliseconds per step and seed of two processes that run at the same time."""
    return mean(run.result() for run in [pool.submit(ours, *arguments) for _ in range(2)]) / 2


def main() -> None:
    parser = parser_of(__doc__)
    choices = [name for name, one in SETTINGS.items() if one.model in ("perceptron", "convolutional")]
    parser.add_argument("--settings", nargs="+", choices=choices, default=["default", "shallow", "narrow", "cnn"])
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--held", type=int, default=HELD, help="steps for which large matrices are left as they are")
    options = parser.parse_args()

    threads, rows = torch.get_num_threads(), []
    print(f"milliseconds per step and seed, median of {options.repeats}; goal of the first ratio: {GOAL} (default)")
    print(f"  {'':10}{'PyTorch, threads':>20}{'ours, seeds':>20}{'two':>9}{'ratio to PyTorch, threads':>27}")
    print(f"  {'':10}{threads:10}{1:10}{1:10}{'many':>10}{'at once':>9}{threads:17}{'two of 1':>10}")
    # Processes that are started afresh: those that are forked can wait for threads that they do not have.
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        for name in options.settings:
            one = setting(name)
            for dtype, tolerance in TOLERANCES.items():
                difference = apart(one, dtype, options.held)
                assert difference <= tolerance, f"{name}, {dtype}: both ways differ by {difference}"
            seeds = FEW if one.width > 100 and one.model == "perceptron" else MANY
            steps = options.steps * (1 if one.width > 100 and one.hidden > 2 else 10)
            both_at_once(pool, name, 1, 1, options.held)  # imports
            runs = []
            for _ in range(options.repeats):
                run = [theirs(name, steps)]
                with one_thread():
                    run.append(theirs(name, steps))
                run += [ours(name, count, steps, options.held) for count in (1, seeds)]
                runs.append([*run, both_at_once(pool, name, seeds, steps, options.held)])
            default, single, own, many, pair = (median(part) for part in zip(*runs, strict=True))
            # Two processes of plain PyTorch are taken to be twice as fast as one: they are not.
            times = f"{default:10.2f}{single:10.2f}{own:10.3f}{many:10.3f}{pair:9.3f}"
            print(f"  {name:10}{times}{default / pair:17.1f}{single / 2 / pair:10.1f}", flush=True)
            what = (f"two-point training, {name}", f"{seeds} seeds, a step of one")
            peer = f"{of('torch')} with autograd, {threads} threads"
            rows.append(Comparison(*what, peer, 2, "float32", pair / 1e3, default / 1e3, difference))
    keep(rows, options.table)


if __name__ == "__main__":
    main()
