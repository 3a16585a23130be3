"""Training a classifier: stochastic gradient descent with every choice visible, and every random draw named.

Source: Li et al. 2016, section 2 (networks that differ in nothing but their random draws). A step of SGD is
v <- momentum v + gradient + weight_decay w;  w <- w - learning_rate v.
"""

import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from convergent.architectures import require_choice
from convergent.errors import StudyError
from convergent.files import digest
from convergent.models import standardised
from convergent.resuming import Resumption, State

OPTIMIZERS = ("sgd", "adamw")
SCHEDULES = ("constant", "step", "cosine", "one_cycle")
PRECISIONS = ("float32", "bfloat16")
RESIDENT_BYTES = 2**31  # splits up to this size are held whole on the device
READERS = 2  # batches of larger ones that are read at a time, ahead; the data set has threads of its own for each
UNTRAINED_IMAGES = 10_000  # of the train split, which describe it before training

Row = dict[str, float]


def train(
    network: nn.Module,
    data,
    *,
    order_seed: int = 0,
    label_noise_seed: int | None = None,
    on_epoch: Callable[[Row, nn.Module], None] | None = None,
    **recipe,
) -> list[Row]:
    """Train `network` in place on the train split of `data` by the recipe of `train_side_by_side`; a row per epoch.

    Row 0 describes the untrained network; the others hold the loss and accuracy on the training images as
    they were during the epoch (with their augmentation, dropout and label noise) and those on the validation
    split at its end. The initial weights are the caller's; everything drawn here (order of the images,
    augmentation, dropout, label noise) follows from `order_seed`. Equal seeds and thread counts give equal
    numbers, on a processor bit for bit.

    Args:
        network: maps (n, channels, height, width) to (n, classes).
        data: `images(indices)`, `labels`, `class_names`, `splits`, `shape`, `mean`, `std`;
            for `random_crop` also `decodes`.
        label_noise_seed: for the choice of the replaced labels, where it is not to follow `order_seed`.
        on_epoch: called with each row and the network in evaluation mode: the place to save a checkpoint.

    Returns:
        Rows of epoch, train_loss, train_accuracy, validation_loss, validation_accuracy (losses in nats,
        accuracies 0..1), learning_rate (of the epoch's last step) and seconds (of the epoch).

    Raises:
        StudyError: the loss is no longer finite, a choice is unknown, these images cannot be cropped, or the process
            was asked to end (see `Resumption`).
    """

    def on_row(_number: int, row: Row) -> None:
        if on_epoch is not None:
            on_epoch(row, network)

    return train_side_by_side(network, data, [order_seed], [label_noise_seed], on_row, **recipe)[0]


def train_side_by_side(
    networks: nn.Module,
    data,
    order_seeds: Sequence[int],
    label_noise_seeds: Sequence[int | None],
    on_row: Callable[[int, Row], None],
    *,
    names: Sequence[str] | None = None,
    epochs: int,
    batch_size: int = 64,
    optimizer: str = "sgd",
    learning_rate: float = 0.05,
    momentum: float = 0.9,
    weight_decay: float = 5e-4,
    schedule: str = "one_cycle",
    warmup_epochs: float = 0.0,
    step_epochs: float = 30.0,
    step_factor: float = 0.1,
    label_smoothing: float = 0.0,
    label_noise: float = 0.0,
    shift: int = 0,
    mirror: bool = False,
    random_crop: bool = False,
    device: str | torch.device = "cpu",
    precision: str = "float32",
    resumption: Resumption | None = None,
) -> list[list[Row]]:
    """Train one network, or several that are one module (`ensembles.side_by_side`), in place; each has its own seeds.

    Args:
        networks: maps images (n, networks * channels, height, width) to scores (n, networks * classes), so that no
            network has a part in another's.
        order_seeds: one for each network.
        label_noise_seeds: one for each network, as in `train`.
        on_row: called with the number of a network, from 0, and its new row; all are in evaluation mode.
        names: of the networks, for messages.
        batch_size: images per step; what is left at the end of an epoch waits for a later one.
        momentum: of the gradient; for adamw the decay rate of its first moment.
        weight_decay: of weights, not of biases or normalisation, as in CaffeNet.
        schedule: `constant`; `step`, times `step_factor` every `step_epochs`; `cosine`, half of one to zero;
            `one_cycle`, linear up over the first quarter of training and linear down to zero.
        warmup_epochs: linear rise from zero that multiplies any schedule.
        label_noise: share of training labels replaced by another class, drawn uniformly.
        shift: largest move of a training image in pixels, either way; its border is repeated.
        mirror: whether half of the training images are reflected left to right.
        random_crop: whether image files are cropped at random places, and half mirrored, as they are decoded.
        precision: `float32`, or `bfloat16` for the products (the weights stay float32).
        resumption: where the training goes on if it was stopped, and from where it can be taken up. Then, too, it
            ends with the same weights and rows (but for the seconds), on a processor bit for bit.

    Returns:
        The rows of each network, as `train` gives them; of an epoch's seconds each has an equal share.

    Raises:
        StudyError: as `train`.
    """
    require_choice("optimizer", optimizer, OPTIMIZERS)
    require_choice("schedule", schedule, SCHEDULES)
    require_choice("precision", precision, PRECISIONS)
    if random_crop and not data.decodes:
        raise StudyError(
            f"the images of {data.name} have no margin to crop from: set random_crop to false, and use shift."
        )
    device = torch.device(device)
    networks.to(device)

    train_indices, validation_indices = data.splits["train"], data.splits["validation"]
    labels = np.asarray(data.labels, dtype=np.int64)
    train_labels = [
        noisy_labels(labels[train_indices], len(data.class_names), label_noise, order if noise is None else noise)
        for order, noise in zip(order_seeds, label_noise_seeds, strict=True)
    ]
    train_split = Split(data, train_indices, np.stack(train_labels, axis=1), device, resident=not random_crop)
    validation_labels = np.tile(labels[validation_indices, None], len(order_seeds))
    validation_split = Split(data, validation_indices, validation_labels, device)

    images = len(train_split.labels)
    batch_size = min(batch_size, images)
    steps = images // batch_size
    orders = [generator(seed, "order") for seed in order_seeds]
    augmentations = [generator(seed, "augmentation") for seed in order_seeds]
    scale = np.tile(data.mean, len(order_seeds)), np.tile(data.std, len(order_seeds))

    decayed = [weight for weight in networks.parameters() if weight.ndim > 1]
    plain = [weight for weight in networks.parameters() if weight.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": plain, "weight_decay": 0.0}]
    if optimizer == "sgd":
        update = torch.optim.SGD(groups, lr=learning_rate, momentum=momentum)
    else:
        update = torch.optim.AdamW(groups, lr=learning_rate, betas=(momentum, 0.999))

    def rate(step: int) -> float:
        """Learning rate of a step, counted from 0 over all epochs."""
        epoch, progress = (step + 0.5) / steps, (step + 0.5) / (steps * epochs)
        factor = {
            "constant": 1.0,
            "step": step_factor ** (epoch // step_epochs),
            "cosine": (1 + math.cos(math.pi * progress)) / 2,
            "one_cycle": min(progress / 0.25, (1 - progress) / 0.75),
        }[schedule]
        warmup = min(1.0, epoch / warmup_epochs) if warmup_epochs else 1.0
        return learning_rate * factor * warmup

    narrow = torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")
    histories: list[list[Row]] = [[] for _ in order_seeds]
    # A network's own dropout draws from torch's global generators.
    draws = [*augmentations, *global_generators(device)]
    state = State(networks, update, orders, draws, histories, torch.zeros(2, len(histories), device=device))

    def rest() -> None:
        if resumption is not None:
            resumption.rest(state)

    def record(epoch: int, now: float, train_loss: np.ndarray, train_accuracy: np.ndarray) -> None:
        """Append the rows of an epoch that ended at learning rate `now`."""
        with narrow:
            validation_loss, validation_accuracy = evaluate(networks, validation_split, data, batch_size, rest=rest)
        lost = ~np.isfinite([train_loss, validation_loss]).all(axis=0)
        if lost.any():
            which = f" of {' and '.join(np.array(names)[lost])}" if names else ""
            raise StudyError(
                f"training{which} diverged in epoch {epoch} (the loss is no longer finite): lower "
                f"training.learning_rate (now {learning_rate:g}) or raise training.warmup_epochs."
            )
        spent = (time.perf_counter() - state.started) / len(histories)
        for number, rows in enumerate(histories):
            row = {
                "epoch": epoch,
                "train_loss": float(train_loss[number]),
                "train_accuracy": float(train_accuracy[number]),
                "validation_loss": float(validation_loss[number]),
                "validation_accuracy": float(validation_accuracy[number]),
                "learning_rate": now,
                "seconds": spent,
            }
            rows.append(row)
            on_row(number, row)
        if resumption is not None and epoch in resumption.kept:
            state.keep(epoch)

    with preserved_randomness(device):
        torch.manual_seed(named_seed(order_seeds[0], "dropout"))
        if resumption is not None and resumption.restore(state):
            for epoch in state.past():
                for number, rows in enumerate(histories):
                    on_row(number, rows[epoch])
        else:
            with narrow:
                untrained = evaluate(networks, train_split, data, batch_size, UNTRAINED_IMAGES, rest)
            record(0, 0.0, *untrained)

        for epoch in range(max(1, state.epoch), epochs + 1):
            if epoch > state.epoch:
                state.begin(epoch)
            networks.train()
            readings = [
                train_split.batches(
                    torch.randperm(images, generator=draws)[state.step * batch_size : steps * batch_size],
                    batch_size,
                    crops(seed, epoch, range(state.step, steps)) if random_crop else None,
                )
                for draws, seed in zip(orders, order_seeds, strict=True)
            ]
            for batches in zip(*readings, strict=True):
                for group in update.param_groups:
                    group["lr"] = rate((epoch - 1) * steps + state.step)
                moved = [
                    augmented(batch, shift, mirror, draws)
                    for (batch, _), draws in zip(batches, augmentations, strict=True)
                ]
                batch = standardised(torch.cat(moved, dim=1), data, device, scale)
                targets = torch.stack([labels[:, number] for number, (_, labels) in enumerate(batches)], dim=1)
                with narrow:
                    losses, answers = judged(networks(batch), targets, label_smoothing)
                update.zero_grad(set_to_none=True)
                # The gradient of a sum: each network's is that of its own mean loss.
                losses.mean(dim=0).sum().backward()
                update.step()
                state.sums += torch.stack([losses.detach().mean(dim=0), answers.sum(dim=0)])
                state.step += 1
                rest()
            loss_sum, right = state.sums
            record(epoch, rate(epoch * steps - 1), mean(loss_sum, steps), mean(right, steps * batch_size))
    return histories


class Split:
    """Images and labels of one split: on the device as a whole if they fit, else read ahead by threads.

    The labels are (images, networks): each network may have its own, where some are wrong on purpose.
    """

    def __init__(
        self, data, indices: np.ndarray, labels: np.ndarray, device: torch.device, resident: bool = True
    ) -> None:
        self.data, self.indices, self.device = data, indices, device
        self.labels = torch.as_tensor(labels).to(device)
        fits = len(indices) * data.images(indices[:1]).nbytes <= RESIDENT_BYTES
        self.resident = torch.as_tensor(data.images(indices)).to(device) if resident and fits else None

    def batches(
        self, rows: Tensor, batch_size: int, crops: Iterable[np.random.Generator] | None = None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Images as the data set stores them and labels (n, networks) of the given rows of the split, in their order.

        With `crops`, image files are cropped at random; each batch has its own generator, so that it does not
        matter which thread is first.
        """
        pieces = rows.split(batch_size) if len(rows) else ()
        if self.resident is not None:
            for piece in pieces:
                piece = piece.to(self.device)
                yield self.resident[piece], self.labels[piece]
            return

        def read(piece: Tensor, *draws: np.random.Generator) -> Tensor:
            images = torch.as_tensor(self.data.images(self.indices[piece.numpy()], *draws))
            # A GPU copies from pinned memory while it computes.
            return images.pin_memory() if self.device.type == "cuda" else images

        with ThreadPoolExecutor(READERS) as readers:
            draws = [()] * len(pieces) if crops is None else ((draw,) for draw in crops)
            wanted = (readers.submit(read, piece, *draw) for piece, draw in zip(pieces, draws, strict=True))
            waiting = deque(islice(wanted, READERS + 1))
            for piece in pieces:
                images = waiting.popleft().result()
                waiting.extend(islice(wanted, 1))
                yield images.to(self.device, non_blocking=True), self.labels[piece.to(self.device)]


def augmented(images: Tensor, shift: int, mirror: bool, draws: torch.Generator) -> Tensor:
    """Images (n, channels, height, width), moved by up to `shift` pixels; if wished half are mirrored."""
    if not (shift or mirror):
        return images
    n, _, height, width = images.shape
    moves = torch.randint(-shift, shift + 1, (2, n, 1), generator=draws)
    # Where each pixel comes from; indices beyond the border repeat it.
    y = (torch.arange(height) + moves[0]).clamp(0, height - 1)
    x = (torch.arange(width) + moves[1]).clamp(0, width - 1)
    if mirror:
        x = torch.where(torch.rand(n, 1, generator=draws) < 0.5, width - 1 - x, x)
    image, y, x = (index.to(images.device) for index in (torch.arange(n)[:, None, None], y[:, :, None], x[:, None]))
    return images[image, :, y, x].permute(0, 3, 1, 2).contiguous()


def noisy_labels(labels: np.ndarray, classes: int, share: float, seed: int) -> np.ndarray:
    """A copy of `labels` (n,) with round(share * n) entries replaced by a uniformly drawn other class."""
    draws = np.random.default_rng(named_seed(seed, "label noise"))
    replaced = draws.permutation(len(labels))[: round(share * len(labels))]
    labels = labels.copy()
    labels[replaced] = (labels[replaced] + draws.integers(1, classes, len(replaced))) % classes
    return labels


def judged(scores: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> tuple[Tensor, Tensor]:
    """Cross-entropies (nats) and whether the highest score is the right one, both (n, networks).

    Args:
        scores: (n, networks * classes), as one network or several side by side give them.
        targets: (n, networks).
    """
    each, wanted = scores.reshape(targets.numel(), -1), targets.flatten()
    losses = functional.cross_entropy(each, wanted, reduction="none", label_smoothing=label_smoothing)
    return losses.view_as(targets), (each.detach().argmax(dim=1) == wanted).view_as(targets)


@torch.no_grad()
def evaluate(
    networks: nn.Module,
    split: Split,
    data,
    batch_size: int,
    most: int | None = None,
    rest: Callable[[], None] = lambda: None,
) -> tuple[np.ndarray, np.ndarray]:
    """Mean cross-entropy (nats) and share of right answers (networks,) on a split, or on its first `most` images.

    The networks are left in evaluation mode. `rest` is called after every batch.
    """
    networks.eval()
    count = split.labels.shape[1]
    loss, right = torch.zeros(2, count, device=split.device)
    rows = torch.arange(len(split.labels))[:most]
    for batch, targets in split.batches(rows, batch_size):
        shown = standardised(batch, data, split.device)
        losses, answers = judged(networks(torch.cat([shown] * count, dim=1)), targets)
        loss += losses.sum(dim=0)
        right += answers.sum(dim=0)
        rest()
    return mean(loss, len(rows)), mean(right, len(rows))


def mean(sums: Tensor, count: int) -> np.ndarray:
    """Sums (networks,) over `count`, in double precision, which not every device has."""
    return sums.cpu().numpy().astype(float) / count


def accuracy(
    network: nn.Module, data, indices: np.ndarray, device: str | torch.device = "cpu", batch_size: int = 256
) -> float:
    """Share (0..1) of the images `indices` of `data` whose class the network names."""
    device = torch.device(device)
    indices = np.asarray(indices)
    split = Split(data, indices, np.asarray(data.labels, dtype=np.int64)[indices, None], device)
    return float(evaluate(network.to(device), split, data, batch_size)[1][0])


def named_seed(seed: int, name: str) -> int:
    """An independent seed for each purpose `name` of one seed."""
    return int(digest(name, seed)[:15], 16)


def generator(seed: int, name: str, device: str | torch.device = "cpu") -> torch.Generator:
    """Generator of the draws called `name`; those on the processor are the same whatever device trains."""
    return torch.Generator(device).manual_seed(named_seed(seed, name))


def crops(seed: int, epoch: int, steps: Iterable[int]) -> Iterator[np.random.Generator]:
    """Generators of the random crops of each of the given steps of an epoch."""
    return (np.random.default_rng([named_seed(seed, "crops"), epoch, step]) for step in steps)


def global_generators(device: torch.device) -> list[torch.Generator]:
    """Those that torch draws from where no other is named: of the processor, and of a CUDA device."""
    of_device = [torch.cuda.default_generators[device.index or 0]] if device.type == "cuda" else []
    return [torch.default_generator, *of_device]


def preserved_randomness(device: torch.device):
    """Context that restores torch's global generators of the processor and of a CUDA device."""
    return torch.random.fork_rng(devices=[device.index or 0] if device.type == "cuda" else [])
