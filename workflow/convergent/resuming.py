"""Training that is stopped and goes on where it was, to the same weights bit for bit.

Everything that the rest of a training follows from (weights, the optimizer's memory, the states of all random
generators, the place in the epoch) is written to one `.safetensors` file: every so many minutes, and when the process
is asked to end, as batch systems do at a job's time limit. What was written for another training is left alone.
"""

import json
import logging
import signal
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import safetensors
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from convergent.architectures import first_line
from convergent.errors import StudyError
from convergent.files import remove_unfinished, written_whole
from convergent.models import read_safetensors

SIGNALS = (signal.SIGTERM, signal.SIGINT)

logger = logging.getLogger(__name__)


@dataclass
class State:
    """Where a training stands, between two steps.

    Attributes:
        orders: generators of the order of the images, which are drawn from once at the beginning of an epoch.
        draws: all other generators.
        histories: the rows of each network so far.
        sums: (2, networks) losses and right answers of the steps of this epoch.
        epoch: from 1; 0 before training.
        step: how many steps of the epoch are done.
        started: reading of time.perf_counter at which the epoch began, as if it had never been interrupted.
        order_states: of `orders`, at the beginning of the epoch.
        kept: epoch -> weights at its end, of the epochs that are kept.
    """

    networks: nn.Module
    optimizer: torch.optim.Optimizer
    orders: list[torch.Generator]
    draws: list[torch.Generator]
    histories: list[list[dict[str, float]]]
    sums: Tensor
    epoch: int = 0
    step: int = 0
    started: float = field(default_factory=time.perf_counter)
    order_states: list[Tensor] = field(default_factory=list)
    kept: dict[int, dict[str, Tensor]] = field(default_factory=dict)

    def begin(self, epoch: int) -> None:
        """Come to the beginning of an epoch."""
        self.epoch, self.step, self.started = epoch, 0, time.perf_counter()
        self.sums = torch.zeros_like(self.sums)
        self.order_states = [draws.get_state() for draws in self.orders]

    def keep(self, epoch: int) -> None:
        """Keep the present weights as those at the end of an epoch."""
        self.kept[epoch] = copied(self.networks.state_dict())

    def past(self) -> Iterator[int]:
        """The epochs that are kept; the networks have their weights while one is given, and afterwards those of now."""
        now = copied(self.networks.state_dict())
        for epoch, weights in self.kept.items():
            self.networks.load_state_dict(weights)
            self.networks.eval()
            yield epoch
        self.networks.load_state_dict(now)

    def tensors(self) -> dict[str, Tensor]:
        """Copies of everything that is a tensor, named by `PART/NAME`."""
        memory = {
            f"{weight}/{name}": value
            for weight, values in self.optimizer.state_dict()["state"].items()
            for name, value in values.items()
            if isinstance(value, Tensor)
        }
        parts = {
            "weights": copied(self.networks.state_dict()),
            "optimizer": copied(memory),
            "orders": dict(enumerate(self.order_states)),
            "draws": dict(enumerate(draws.get_state() for draws in self.draws)),
            "sums": copied({"": self.sums}),
            "kept": {f"{epoch}/{name}": value for epoch, values in self.kept.items() for name, value in values.items()},
        }
        return {f"{part}/{name}": value for part, values in parts.items() for name, value in values.items()}

    def place(self) -> dict:
        """Everything else, as JSON can express it."""
        seconds = time.perf_counter() - self.started
        return {"epoch": self.epoch, "step": self.step, "seconds": seconds, "histories": self.histories}

    def restore(self, place: dict, tensors: Mapping[str, Tensor]) -> None:
        """Become what `place` and `tensors` were taken of."""
        parts: dict[str, dict[str, Tensor]] = {}
        for path, value in tensors.items():
            part, _, name = path.partition("/")
            parts.setdefault(part, {})[name] = value
        self.networks.load_state_dict(parts["weights"])
        memory: dict[int, dict[str, Tensor]] = {}
        for path, value in parts.get("optimizer", {}).items():
            weight, _, name = path.partition("/")
            memory.setdefault(int(weight), {})[name] = value
        self.optimizer.load_state_dict(self.optimizer.state_dict() | {"state": memory})
        self.order_states = [parts["orders"][str(number)] for number in range(len(self.orders))]
        for draws, state in zip(self.orders, self.order_states, strict=True):
            draws.set_state(state)
        for number, draws in enumerate(self.draws):
            draws.set_state(parts["draws"][str(number)])
        self.sums.copy_(parts["sums"][""])
        for path, value in parts.get("kept", {}).items():
            epoch, _, name = path.partition("/")
            self.kept.setdefault(int(epoch), {})[name] = value
        for rows, past in zip(self.histories, place["histories"], strict=True):
            rows[:] = past
        self.epoch, self.step = place["epoch"], place["step"]
        self.started = time.perf_counter() - place["seconds"]


class Resumption:
    """The file from which a training goes on, and when it is written.

    A training that ends before its first minutes are over writes nothing.
    """

    def __init__(self, path: str | Path, key: str, minutes: float, kept: Iterable[int] = ()) -> None:
        """Nothing is read or written yet.

        Args:
            path: of the file, which should be no product of a workflow: those are deleted when a job fails.
            key: digest of everything that the training follows from.
            minutes: between two writings.
            kept: epochs (0: before training) at whose rows the caller saves the networks. As what was saved may be
                gone, a training that goes on begins by repeating these rows, with the weights of then.
        """
        self.path, self.key, self.seconds, self.kept = Path(path), key, 60 * minutes, frozenset(kept)
        self.written = time.monotonic()
        self.signal: str | None = None  # the name of the one that asked to end

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Within the block, SIGTERM and SIGINT end a training only once its state is written."""

        def note(number: int, _frame) -> None:
            self.signal = signal.Signals(number).name

        before = {number: signal.signal(number, note) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def restore(self, state: State) -> bool:
        """Bring a training that has not begun to where the file says; False if there is no file of this training."""
        if not self.path.exists():
            return False
        try:
            metadata, tensors = read_safetensors(self.path)
        except (OSError, safetensors.SafetensorError) as error:
            logger.info(f"{self.path} cannot be read ({first_line(error)}): training begins anew.")
            return False
        if (metadata.get("key"), metadata.get("device")) != (self.key, state.sums.device.type):
            logger.info(f"{self.path} is of another training: this one begins anew.")
            return False
        state.restore(json.loads(metadata["place"]), tensors)
        logger.info(f"goes on after step {state.step} of epoch {state.epoch}, from {self.path}")
        return True

    def rest(self, state: State) -> None:
        """Write the state if it is time; to be called often.

        Raises:
            StudyError: the process has been asked to end.
        """
        if state.epoch and (self.signal or time.monotonic() - self.written >= self.seconds):
            metadata = {"key": self.key, "device": state.sums.device.type, "place": json.dumps(state.place())}
            with written_whole(self.path) as partial:
                save_file(state.tensors(), partial, metadata)
            self.written = time.monotonic()
        if self.signal:
            reached = f"after step {state.step} of epoch {state.epoch}" if state.epoch else "before its first step"
            raise StudyError(f"training was ended by {self.signal} {reached}: the same command goes on from there.")

    def remove(self) -> None:
        """Delete the file: what the training was for is done."""
        remove_unfinished(self.path)
        self.path.unlink(missing_ok=True)


def copied(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Copies in the processor's memory."""
    return {name: value.detach().to("cpu", copy=True).contiguous() for name, value in tensors.items()}
