"""Devices: the one asked for, and of several GPUs one for each process."""

import tempfile

import pytest
import torch

from convergent import devices
from convergent.devices import device_named
from convergent.errors import StudyError


@pytest.fixture
def gpus(monkeypatch, tmp_path):
    """A machine with some number of GPUs, on which each call stands for a process; and how to end one."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(devices, "_held", [])

    def started(number, visible=None):
        monkeypatch.setattr(torch.cuda, "device_count", lambda: number)
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        if visible is not None:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        devices.free_gpu.cache_clear()
        assert device_named("cuda") == device_named("auto")  # one process has one
        return device_named("cuda").index

    yield started
    for handle in devices._held:
        handle.close()


def test_devices(monkeypatch):
    assert device_named("cpu") == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert device_named("auto") == torch.device("cpu")
    with pytest.raises(StudyError, match="'cuda' is not available"):
        device_named("cuda")
    with pytest.raises(StudyError, match="device must be one of"):
        device_named("tpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert device_named("auto") == torch.device("cuda")


def test_every_process_takes_a_gpu_of_its_own_while_there_are_some(gpus):
    assert [gpus(3) for _ in range(3)] == [0, 1, 2]
    devices._held.pop(1).close()  # the second process ends, whatever the way
    assert gpus(3) == 1
    # More processes than GPUs: shared evenly.
    assert [gpus(3) for _ in range(4)] == [0, 1, 2, 0]


def test_a_gpu_is_known_by_its_name_whatever_part_of_the_machine_is_seen(gpus):
    assert gpus(2, visible="2,3") == 0
    assert gpus(4) == 0
    assert gpus(4) == 1
    assert gpus(4) == 3  # 2 is taken
    assert gpus(2, visible="MIG-a/1/0,GPU-b") == 0
    assert gpus(2, visible="MIG-a/1/0,GPU-b") == 1
