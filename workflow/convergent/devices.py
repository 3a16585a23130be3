"""Which device computes: the one asked for, and of several GPUs one that no other process of this user is on."""

import os
import tempfile
from functools import cache
from itertools import count
from pathlib import Path
from typing import IO

import torch

from convergent.architectures import require_choice
from convergent.errors import StudyError

_held: list[IO] = []  # locked files; the system unlocks them when the process ends, however it ends


def device_named(name: str) -> torch.device:
    """The device `cpu`, `cuda` or `mps`; `auto` is the fastest that this machine has.

    Of several GPUs, a process gets one to itself as long as there are enough, the same whenever it asks.

    Raises:
        StudyError: the name is unknown, or this machine has no such device.
    """
    require_choice("device", name, ("auto", "cpu", "cuda", "mps"))
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        name = next(device for device, there in present.items() if there)
    if not present[name]:
        raise StudyError(f"device {name!r} is not available to PyTorch on this machine: set it to auto or cpu.")
    if name == "cuda" and torch.cuda.device_count() > 1:
        return torch.device("cuda", free_gpu())
    return torch.device(name)


@cache
def free_gpu() -> int:
    """Number of the visible GPU that the fewest processes of this user have taken; it is taken until this one ends.

    Processes tell each other by locked files in the folder for temporary files, one for each GPU and process on it.
    """
    import fcntl  # not on every system, as GPUs

    names = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    gpus = torch.cuda.device_count()
    # Two processes may see different parts of a machine: a GPU is called what the system calls it.
    names = names[:gpus] if len(names) >= gpus else list(map(str, range(gpus)))
    folder = Path(tempfile.gettempdir(), f"convergent-gpus-{os.getuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    for others in count():
        for number, name in enumerate(names):
            handle = open(folder / f"{name.strip().replace('/', '-')}.{others}", "w")  # noqa: SIM115 - it stays open
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                handle.close()
                continue
            _held.append(handle)
            return number
