"""torchvision can be imported whatever it was built for, and what its extension declares is left alone."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

WORKFLOW = Path(__file__).parents[1] / "workflow"


def run(code: str, *folders: Path) -> str:
    """Run `code` in a fresh interpreter, with `folders` before everything else on its path."""
    path = os.pathsep.join(map(str, [*folders, WORKFLOW]))
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_datasets_and_transforms_are_usable():
    from convergent.torchvision_import import torchvision

    assert issubclass(torchvision.datasets.CIFAR10, torch.utils.data.Dataset)
    flipped = torchvision.transforms.functional.hflip(torch.arange(3)[None, None])
    assert flipped.flatten().tolist() == [2, 1, 0]
    assert torchvision.models.alexnet(num_classes=3)(torch.zeros(1, 3, 227, 227)).shape == (1, 3)


def fake_torchvision(folder: Path, extension: bytes) -> Path:
    """A package called torchvision with a given compiled extension; it tells which operators it finds."""
    (folder / "torchvision").mkdir()
    (folder / "torchvision" / "_C.so").write_bytes(extension)
    (folder / "torchvision" / "__init__.py").write_text(
        "import torch\ndeclared = [o for o in ('nms', 'qnms') if hasattr(torch.ops.torchvision, o)]\n"
    )
    return folder


SHOW = "from convergent.torchvision_import import torchvision; print(torchvision.declared)"


@pytest.mark.skipif(torch.version.cuda is not None, reason="beside CUDA torch nothing is changed")
def test_operators_are_declared_where_the_extension_does_not_load(tmp_path):
    folder = fake_torchvision(tmp_path, b"not a library")
    # One of them being there already must not matter.
    before = "import torch; torch.library.define('torchvision::nms', '(Tensor x) -> Tensor'); "
    assert run(before + SHOW, folder).strip() == "['nms', 'qnms']"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="borrows a Linux library")
def test_nothing_is_declared_where_the_extension_loads(tmp_path):
    library = next(Path(torch.__file__).parent.glob("lib/libtorch_global_deps.so"), None)
    if library is None:
        pytest.skip("torch has no small library to borrow")
    assert run(SHOW, fake_torchvision(tmp_path, library.read_bytes())).strip() == "[]"


def test_an_earlier_import_is_kept():
    assert "True" in run(
        "from convergent.torchvision_import import torchvision as first, import_torchvision\n"
        "print(import_torchvision() is first)"
    )
