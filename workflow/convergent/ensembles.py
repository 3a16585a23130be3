"""Several networks of one architecture trained at once, side by side in one module; each as if it were alone.

Channels of all networks follow each other, those of the first network first, and every layer treats them as groups:
a convolution of N networks is one with N groups, a linear layer is one batched product. A step then pays once instead
of N times for everything that is not arithmetic. Every network has its own order of the images, augmentation, label
noise and dropout.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from convergent.errors import StudyError
from convergent.training import Row, generator, train_side_by_side

# Layers to which it makes no difference whose channels are whose.
CHANNELWISE = (nn.ReLU, nn.LeakyReLU, nn.GELU, nn.Tanh, nn.Identity, nn.MaxPool2d, nn.Flatten)
LAYERS = (*CHANNELWISE, nn.Conv2d, nn.Linear, nn.LocalResponseNorm, nn.Dropout)


def can_train_together(network: nn.Module) -> bool:
    """Whether copies of a network can be trained by `train_together`.

    It must be a chain (nn.Sequential, also of chains) of convolutions, linear layers after flattening, max pooling,
    local response normalisation, dropout and activations, all of its weights its own and trained: the study's
    caffenet and mlp are.
    """
    chain = layers(network)
    plain = all(
        type(layer) in LAYERS and getattr(layer, "padding_mode", "zeros") == "zeros" for layer in chain
    ) and all(weight.requires_grad for weight in network.parameters())
    shared = len(list(network.named_parameters(remove_duplicate=False))) > len(list(network.parameters()))
    kinds = [type(layer) for layer in chain]
    flat = nn.Linear not in kinds or nn.Flatten in kinds[: kinds.index(nn.Linear)]
    return plain and flat and not shared


def train_together(
    networks: Sequence[nn.Module],
    data,
    *,
    order_seeds: Sequence[int],
    label_noise_seeds: Sequence[int | None] | None = None,
    on_epoch: Callable[[int, Row, nn.Module], None] | None = None,
    **recipe,
) -> list[list[Row]]:
    """Train networks that are built alike, in place; on a processor each becomes what `training.train` makes of it.

    Up to rounding: sums are taken in another order. On other devices dropout silences other units than alone. A single
    network, whatever its layers, is trained as by `train`: as an ensemble of one it would take up to a quarter longer.

    Args:
        networks: each maps (n, channels, height, width) to (n, classes).
        data: as in `train`.
        order_seeds: one for each network, from which follows everything that is drawn.
        label_noise_seeds: one for each network, where the replaced labels are not to follow `order_seeds`.
        on_epoch: called with the number of a network, from 0, its row of the epoch and the network in evaluation mode.
        **recipe: as in `train_side_by_side`.

    Returns:
        The rows of each network, as `train` gives them; of an epoch's seconds each has an equal share.

    Raises:
        StudyError: networks that cannot be trained together, and as `train`.
    """
    together = networks[0]
    if len(networks) > 1:
        require_alike(networks)
        device = recipe.get("device", "cpu")
        together = side_by_side(networks, [generator(seed, "dropout", device) for seed in order_seeds])

    def on_row(number: int, row: Row) -> None:
        if len(networks) > 1:
            separate(together, networks[number].eval(), number, len(networks))
        if on_epoch is not None:
            on_epoch(number, row, networks[number])

    noise_seeds = [None] * len(networks) if label_noise_seeds is None else label_noise_seeds
    return train_side_by_side(together, data, order_seeds, noise_seeds, on_row, **recipe)


def side_by_side(networks: Sequence[nn.Module], draws: Sequence[torch.Generator]) -> nn.Sequential:
    """One module of all networks, with copies of their weights; `draws` are those of each network's dropout.

    It maps (n, networks * channels, height, width) to (n, networks * classes).
    """
    chains = zip(*(layers(network) for network in networks), strict=True)
    return nn.Sequential(*(united(alike, draws) for alike in chains))


def united(alike: Sequence[nn.Module], draws: Sequence[torch.Generator]) -> nn.Module:
    """One layer of all networks, from the same layer of each."""
    first, count = alike[0], len(alike)
    if isinstance(first, nn.Dropout):
        return DropoutOfEach(first.p, draws)
    if isinstance(first, nn.LocalResponseNorm):
        return NormalisationOfEach(first, count)
    if isinstance(first, CHANNELWISE):
        return first
    if isinstance(first, nn.Linear):
        layer = LinearOfEach(count)
    else:
        layer = nn.Conv2d(
            count * first.in_channels,
            count * first.out_channels,
            first.kernel_size,
            first.stride,
            first.padding,
            first.dilation,
            count * first.groups,
            first.bias is not None,
        )
    for name, _ in first.named_parameters():
        joined = torch.cat([getattr(one, name).detach() for one in alike])
        setattr(layer, name, nn.Parameter(joined))
    return layer


@torch.no_grad()
def separate(together: nn.Sequential, network: nn.Module, number: int, count: int) -> None:
    """Give `network` the weights of network `number` of `count` that are side by side."""
    own = (weight.chunk(count)[number] for weight in together.parameters())
    for weight, value in zip(network.parameters(), own, strict=True):
        weight.copy_(value)


def layers(network: nn.Module) -> list[nn.Module]:
    """The layers of a chain, in the order of the computation; what is no chain is one layer."""
    if type(network) is nn.Sequential:
        return [layer for part in network for layer in layers(part)]
    return [network]


def require_alike(networks: Sequence[nn.Module]) -> None:
    """Raise StudyError unless the networks can be trained together."""
    for layer in layers(networks[0]):
        if type(layer) not in LAYERS:
            raise StudyError(
                f"networks with a layer of type {type(layer).__name__} cannot be trained together: train each alone."
            )
    if not can_train_together(networks[0]):
        raise StudyError(
            "networks with shared or fixed weights, padding other than zeros or linear layers on maps cannot be "
            "trained together: train each alone."
        )
    # What a network prints are its layers and their sizes.
    if len({str(network) for network in networks}) > 1:
        raise StudyError("networks that are not built alike cannot be trained together: train each alone.")


class LinearOfEach(nn.Module):
    """Linear layers side by side: (n, networks * inputs) to (n, networks * outputs)."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count
        self.register_parameter("weight", None)  # (networks * outputs, inputs), once it is known
        self.register_parameter("bias", None)  # (networks * outputs,)

    def forward(self, values: Tensor) -> Tensor:
        weight = self.weight.unflatten(0, (self.count, -1))
        # Features first: the gradient of the weights then lies in memory as they do. The other way round, large
        # layers would take twice as long.
        columns = values.unflatten(1, (self.count, -1)).permute(1, 2, 0)
        if self.bias is None:
            products = torch.bmm(weight, columns)
        else:
            products = torch.baddbmm(self.bias.view(self.count, -1, 1), weight, columns)
        return products.permute(2, 0, 1).flatten(1)


class NormalisationOfEach(nn.Module):
    """Local response normalisation (n, networks * channels, ...), no window of which reaches into another network."""

    def __init__(self, one: nn.LocalResponseNorm, count: int) -> None:
        super().__init__()
        self.one, self.count = one, count

    def forward(self, maps: Tensor) -> Tensor:
        each = maps.unflatten(1, (self.count, -1)).flatten(0, 1)
        return self.one(each).view_as(maps)


class DropoutOfEach(nn.Module):
    """Dropout (n, networks * features, ...), for which each network draws as nn.Dropout would draw for it alone."""

    def __init__(self, share: float, draws: Sequence[torch.Generator]) -> None:
        super().__init__()
        self.share, self.draws = share, draws

    def get_extra_state(self) -> Tensor:
        """The states of the generators, so that they are saved with the weights."""
        return torch.stack([draws.get_state() for draws in self.draws])

    def set_extra_state(self, states: Tensor) -> None:
        for draws, state in zip(self.draws, states, strict=True):
            draws.set_state(state.cpu().clone())  # torch reads a view from its beginning

    def forward(self, values: Tensor) -> Tensor:
        if not (self.training and self.share):
            return values
        parts = values.detach().chunk(len(self.draws), dim=1)
        kept = [
            torch.empty_like(part, memory_format=torch.contiguous_format).bernoulli_(1 - self.share, generator=draws)
            for part, draws in zip(parts, self.draws, strict=True)
        ]
        return values * torch.cat(kept, dim=1).div_(1 - self.share)
