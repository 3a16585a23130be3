"""Layers are found by patterns and shown in the order of the computation; mistakes are told."""

import subprocess
import sys
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convergent import layers
from convergent.architectures import complete_options, is_torchvision, is_users
from convergent.errors import StudyError
from convergent.layers import expand, layer_shapes, matches

SHAPES = {
    "conv1": (4, 8, 8),
    "relu": None,
    "layer1": (4, 4, 4),
    "layer1.0": (4, 4, 4),
    "layer1.0.conv1": (4, 4, 4),
    "layer1.0.relu": None,
    "layer2": (8, 2, 2),
    "layer2.0.conv1": (8, 2, 2),
    "layer2.1.conv1": (8, 2, 2),
    "layer2.tokens": (5, 8),
    "odd": (),
    "fc": (10,),
}


@pytest.mark.parametrize(
    ("patterns", "found"),
    [
        (["layer?"], ["layer1", "layer2"]),
        (["layer*.*.conv1"], ["layer1.0.conv1", "layer2.0.conv1", "layer2.1.conv1"]),
        (["layer[2-9].*.conv1"], ["layer2.0.conv1", "layer2.1.conv1"]),
        (["**.conv1"], ["conv1", "layer1.0.conv1", "layer2.0.conv1", "layer2.1.conv1"]),
        (["layer1.**"], ["layer1", "layer1.0", "layer1.0.conv1"]),
        (["*"], ["conv1", "layer1", "layer2", "fc"]),
        (["**"], [name for name, shape in SHAPES.items() if shape]),
        (["fc", "layer?", "layer1", "conv1"], ["fc", "layer1", "layer2", "conv1"]),
        (["relu", "unheard.of"], ["relu", "unheard.of"]),
        ([], []),
    ],
)
def test_patterns(patterns, found):
    assert expand(patterns, SHAPES) == found


@pytest.mark.parametrize(
    "pattern", ["Layer?", "layer?.relu", "layer?.?.relu", "odd*", "conv1.*", "*.*.*.*", "laye*1*1"]
)
def test_a_pattern_without_layers_is_told(pattern):
    with pytest.raises(StudyError) as error:
        expand(["conv1", pattern], SHAPES)
    message = str(error.value)
    assert repr(pattern) in message and "conv1, relu, layer1, layer2, odd, fc" in message and message.endswith(".")


PARTS = st.lists(st.sampled_from(["a", "b", "ab"]), max_size=4)


@given(parts=PARTS, wanted=st.lists(st.sampled_from(["a", "b", "*", "a*", "**"]), max_size=4))
def test_two_stars_stand_for_any_number_of_single_ones(parts, wanted):
    def filled(wanted, room):
        if not wanted:
            yield []
        elif wanted[0] == "**":
            for stars in range(room + 1):
                yield from (["*"] * stars + rest for rest in filled(wanted[1:], room - stars))
        else:
            yield from ([wanted[0], *rest] for rest in filled(wanted[1:], room))

    def fits(plain):
        return len(plain) == len(parts) and all(map(fnmatchcase, parts, plain))

    assert matches(parts, wanted) == any(fits(plain) for plain in filled(wanted, len(parts)))


# Architectures of torchvision


def test_names_of_torchvision_are_no_users_functions():
    assert is_torchvision("torchvision:resnet50") and not is_users("torchvision:resnet50")
    assert is_users("torchvision.models:resnet50") and not is_torchvision("torchvision.models:resnet50")
    assert not is_torchvision("resnet18")
    assert complete_options("torchvision:resnet50", {"a": 1}) == {"a": 1}


def test_users_code_is_looked_for_only_behind_users_names(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(Path(layers.__file__).parents[1])
    from fingerprint import users_code

    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "somebodys_networks.py").write_text("def tiny(): pass\n")
    assert users_code("torchvision:resnet50") is None and users_code("resnet18") is None
    assert len(users_code("somebodys_networks:tiny")) == 64


@pytest.mark.parametrize(
    ("name", "shape", "options", "layer", "expected"),
    [
        ("torchvision:resnet50", (1, 64, 64), {}, "layer1.0.conv3", (256, 16, 16)),
        ("torchvision:googlenet", (3, 64, 64), {}, "inception4a", (512, 4, 4)),
        ("torchvision:squeezenet1_1", (3, 64, 64), {"dropout": 0.1}, "features.0", (64, 31, 31)),
        ("torchvision:vit_b_32", (1, 64, 64), {"image_size": 64}, "encoder.ln", (5, 768)),
    ],
)
def test_classifiers_of_torchvision(name, shape, options, layer, expected):
    shapes = layer_shapes(name, options, shape, 7)
    assert shapes[layer] == expected
    assert not any(path.startswith("aux") for path in shapes)


def test_the_grey_first_convolution_sums_the_colours():
    import torch

    from convergent.models import build

    grey, colour = (build("torchvision:squeezenet1_1", {}, (channels, 64, 64), 5, 1).eval() for channels in (1, 3))
    image = torch.randn(2, 1, 64, 64)
    with torch.no_grad():
        assert torch.allclose(grey(image), colour(image.expand(-1, 3, -1, -1)), atol=1e-4)


@pytest.mark.parametrize(
    ("name", "shape", "options", "words"),
    [
        ("torchvision:resnt50", (3, 64, 64), {}, ["'resnt50'", "did you mean 'resnet50'"]),
        ("torchvision:", (3, 64, 64), {}, ["torchvision has no classifier ''"]),
        ("torchvision:fcn_resnet50", (3, 64, 64), {}, ["no classifier 'fcn_resnet50'"]),
        ("torchvision:resnet50", (3, 64, 64), {"widht": 3}, ["torchvision:resnet50", "widht", "arguments of"]),
        ("torchvision:resnet50", (3, 64, 64), {"weights": "DEFAULT"}, ["other than weights and num_classes"]),
        ("torchvision:resnet50", (4, 64, 64), {}, ["1 or 3 channels", "(4, 64, 64)"]),
        ("torchvision:vit_b_32", (3, 64, 64), {}, ["cannot take images", "(3, 64, 64)"]),
        ("torchvison:resnet50", (3, 64, 64), {}, ["torchvison", "PYTHONPATH"]),
        ("resnet50", (3, 64, 64), {}, ["torchvision:NAME", "did you mean 'resnet18'"]),
    ],
)
def test_mistakes_are_told(name, shape, options, words):
    with pytest.raises(StudyError) as error:
        layer_shapes(name, options, shape, 7)
    message = str(error.value)
    assert all(word in message for word in words) and message.endswith(".") and "\n" not in message, message


NETWORK = """
from torch import nn
class Crossed(nn.Module):
    def __init__(self, shape, classes, hidden):
        super().__init__()
        self.last = nn.Linear(hidden, classes)
        self.unused = nn.Linear(3, 3)
        self.blocks = nn.ModuleList([nn.Linear(hidden, hidden), nn.Sequential(nn.ReLU(), nn.Linear(hidden, hidden))])
        self.twice = nn.ReLU()
        self.first = nn.Sequential(nn.Flatten(), nn.Linear(shape[0] * shape[1] * shape[2], hidden))
        self.windows, self.pieces = nn.Unflatten(1, (2, hidden // 2)), nn.Flatten(0)
    def forward(self, images):
        x = self.twice(self.first(images))
        for block in reversed(self.blocks):
            x = block(x)
        self.windows(x)
        self.pieces(x)
        return self.last(self.twice(x))
def crossed(shape, classes, hidden=6):
    return Crossed(shape, classes, hidden)
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working directory with a user's network whose modules are not listed in the order of its forward pass."""
    (tmp_path / "crossed_networks.py").write_text(NETWORK)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_order_is_that_of_the_first_calls(folder, monkeypatch):
    monkeypatch.syspath_prepend(folder)
    shapes = layer_shapes("crossed_networks:crossed", {}, (1, 4, 4), 3)
    assert list(shapes) == [
        *("first", "first.0", "first.1", "twice"),
        *("blocks", "blocks.1", "blocks.1.0", "blocks.1.1", "blocks.0"),
        *("windows", "pieces", "last", "unused"),
    ]
    assert shapes["unused"] is shapes["blocks"] is shapes["twice"] is shapes["pieces"] is None


def printed(capsys, *words):
    """Exit status, and what was printed and what was complained about."""
    status = layers.main(words)
    return status, *capsys.readouterr()


def test_the_table(folder, capsys):
    words = ("crossed_networks:crossed", "--images", "1", "4", "4", "--classes", "3", "--option", "hidden=8")
    status, out, complaint = printed(capsys, *words)
    assert (status, complaint) == (0, "")
    lines = out.splitlines()
    assert [line.split()[0] for line in lines[:3]] == ["layer", "first", "first.0"]
    assert lines[1].split() == ["first", "units", "8"]
    assert lines[4].split() == ["twice", "-", "-"]
    assert lines[10].split() == ["windows", "tokens", "x", "units", "2", "x", "4"]
    # Columns are aligned.
    start = lines[0].index("kind")
    assert all(line[start - 1] == " " and line[start] != " " for line in lines)


def test_the_table_of_a_pattern(capsys):
    _, out, _ = printed(capsys, *("resnet18", "--images", "3", "32", "32", "--matching", "layer?.0.conv1", "fc"))
    lines = out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == [*(f"layer{stage}.0.conv1" for stage in range(1, 5)), "fc"]
    assert "channels x height x width  64 x 8 x 8" in lines[1]


def test_the_table_of_activations(tmp_path, capsys):
    for name, shape in (("layer10", (6, 4)), ("layer2", (3, 5, 2, 2)), ("scores", (3,))):
        np.save(tmp_path / f"{name}.npy", np.zeros(shape))
    status, out, _ = printed(capsys, "--activations", str(tmp_path))
    assert status == 0
    assert [" ".join(line.split()) for line in out.splitlines()[1:]] == [
        "layer2 images x channels x height x width 3 x 5 x 2 x 2",
        "layer10 samples x units 6 x 4",
        "scores - -",
    ]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("", "name an architecture"),
        ("resnet18", "name an architecture"),
        ("resnet --images 3 32 32", "did you mean 'resnet18'"),
        ("mlp --images 1 8 8 --option width", "'width' has no value"),
        ("mlp --images 1 8 8 --option widths=[1", "not YAML"),
        ("mlp --images 1 8 8 --option widths=[0]", "widths"),
        ("mlp --images 1 8 8 --matching conv*", "'conv*'"),
        ("mlp --images 1 8 8 --matching fc4", "no layer 'fc4'"),
        ("--activations /nowhere", "/nowhere"),
    ],
)
def test_mistakes_at_the_prompt_are_one_sentence(capsys, words, told):
    status, out, complaint = printed(capsys, *words.split())
    assert (status, out) == (1, "")
    assert told in complaint and complaint.endswith(".\n") and complaint.count("\n") == 1


def test_as_a_program(folder):
    workflow = str(Path(layers.__file__).parents[1])
    words = [sys.executable, "-m", "convergent.layers", "crossed_networks:crossed", "--images", "1", "4", "4"]
    run = subprocess.run(words, cwd=folder, env={"PYTHONPATH": workflow}, capture_output=True, text=True)
    assert run.returncode == 0 and run.stdout.startswith("layer"), run.stderr
    words = [*words[:3], "mlp"]
    run = subprocess.run(words, cwd=folder, env={"PYTHONPATH": workflow}, capture_output=True, text=True)
    assert run.returncode == 1 and run.stderr.count("\n") == 1 and not run.stdout


def test_a_users_module_may_hold_tensors_of_its_own(tmp_path, monkeypatch):
    """A network is asked for its layers without memory; what its module holds must stay real."""
    (tmp_path / "holding.py").write_text(
        "import torch\nfrom torch import nn\n\nMEAN = torch.tensor([0.5])\n\n\n"
        "class Centred(nn.Module):\n    def __init__(self, classes):\n        super().__init__()\n"
        "        self.last = nn.Linear(64, classes)\n\n    def forward(self, x):\n"
        "        return self.last((x - MEAN * float(x.mean())).flatten(1))\n\n\n"
        "def network(input_shape, classes):\n    return Centred(classes)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert layer_shapes("holding:network", {}, (1, 8, 8), 10)["last"] == (10,)
