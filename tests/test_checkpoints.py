"""Weights from elsewhere arrive unchanged or not at all, and no file of theirs can run code."""

import argparse
import hashlib
import io
import os
import pickle
import re
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import safetensors.torch
import stand_in
import torch
from torch import nn

from convergent.checkpoints import (
    download_weights,
    load_checkpoint,
    preprocessing_of,
    read_checkpoint,
    weights_named,
)
from convergent.datasets import downloads
from convergent.errors import StudyError
from convergent.models import build, load_weights, save_weights, standardised


def network(seed=0, width=6):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, width))


def equal(one, other) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def one_sentence(error) -> str:
    message = str(error.value)
    assert "\n" not in message and message.endswith(".") and "\x1b" not in message, message
    return message


WEIGHTS = network().state_dict()


@pytest.mark.parametrize(
    "content",
    [
        WEIGHTS,
        dict(WEIGHTS),
        {"state_dict": WEIGHTS, "epoch": 3},
        {"model_state_dict": WEIGHTS, "optimizer": {"state": {0: {"step": torch.tensor(1.0)}}}},
        {"model": WEIGHTS},
        {"network": {"state_dict": WEIGHTS}, "loss": torch.tensor(0.3)},
        {f"module.{name}": value for name, value in WEIGHTS.items()},
        {"state_dict": {f"_orig_mod.{name}": value for name, value in WEIGHTS.items()}},
        {f"module._orig_mod.{name}": value for name, value in WEIGHTS.items()},
        {**WEIGHTS, "epoch": 7},
    ],
)
@pytest.mark.parametrize("zipped", [True, False])
def test_whatever_training_programs_write_is_the_same_state_dict(tmp_path, content, zipped):
    torch.save(content, tmp_path / "weights.pth", _use_new_zipfile_serialization=zipped)
    assert equal(read_checkpoint(tmp_path / "weights.pth"), WEIGHTS)
    other = network(seed=1)
    load_checkpoint(tmp_path / "weights.pth", other)
    assert equal(other.state_dict(), WEIGHTS)


@pytest.mark.parametrize("name", ["weights.safetensors", "weights.pt"])
def test_safetensors_are_told_by_their_content(tmp_path, name):
    safetensors.torch.save_file(WEIGHTS, tmp_path / name)
    assert equal(read_checkpoint(str(tmp_path / name)), WEIGHTS)


def test_safetensors_that_begin_like_a_pickle(tmp_path):
    """The first byte is the lower part of a length: 128 is also the first byte of pickles."""
    trained, path = network(), tmp_path / "weights.safetensors"
    for length in range(0, 256, 8):
        save_weights(path, trained, {"note": "x" * length})
        if path.read_bytes()[0] == 0x80:
            break
    assert path.read_bytes()[0] == 0x80
    other = network(seed=1)
    load_weights(path, other)
    assert equal(read_checkpoint(path), trained.state_dict()) and equal(other.state_dict(), trained.state_dict())


def test_a_prefix_goes_only_if_all_names_share_it(tmp_path):
    some = {"module.weight": torch.ones(2), "bias": torch.ones(2)}
    torch.save(some, tmp_path / "weights.pt")
    assert equal(read_checkpoint(tmp_path / "weights.pt"), some)


def test_counters_may_be_absent_and_precision_is_the_networks(tmp_path):
    halved = {name: value.half() for name, value in WEIGHTS.items() if value.is_floating_point()}
    torch.save(halved, tmp_path / "weights.pt")
    other = network(seed=1)
    other[1].num_batches_tracked += 5
    load_checkpoint(tmp_path / "weights.pt", other)
    assert other[1].num_batches_tracked == 5
    for name, value in halved.items():
        assert other.state_dict()[name].dtype == torch.float32
        assert torch.equal(other.state_dict()[name], value.float())


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def saved(path, content):
    torch.save(content, path)


def legacy(path, content):
    torch.save(content, path, _use_new_zipfile_serialization=False)


def cut(path, content):
    torch.save(content, path)
    path.write_bytes(path.read_bytes()[:-100])


def cut_legacy(path, content):
    legacy(path, content)
    path.write_bytes(path.read_bytes()[:-8])


def cut_safetensors(path, content):
    safetensors.torch.save_file(content, path)
    path.write_bytes(path.read_bytes()[:-8])


def flip(path, content):
    """Changes one bit of one weight."""
    torch.save(content, path)
    found = bytearray(path.read_bytes())
    found[found.find(content["3.weight"].numpy().tobytes()) + 1] ^= 1
    path.write_bytes(found)


def pickled(path, content):
    path.write_bytes(pickle.dumps({name: value.numpy() for name, value in content.items()}))


def scripted(path, content):
    torch.jit.script(nn.Linear(2, 2)).save(path)


def spoiled(value, place=(0, 0)):
    weights = {name: tensor.clone() for name, tensor in WEIGHTS.items()}
    weights["3.weight"][place] = value
    return weights


CODE = ["more than numbers", "torch.save(network.state_dict(), path)"]
DAMAGED = ["damaged", "copy it again"]


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.parametrize(
    ("write", "content", "words"),
    [
        (saved, network(), CODE),
        (legacy, network(), CODE),
        (saved, {"state_dict": WEIGHTS, "options": argparse.Namespace(rate=1)}, CODE),
        (pickled, WEIGHTS, CODE),
        (scripted, None, CODE),
        (cut, WEIGHTS, DAMAGED),
        (cut_legacy, WEIGHTS, DAMAGED),
        (cut_safetensors, WEIGHTS, DAMAGED),
        (flip, WEIGHTS, [*DAMAGED, "checksum"]),
        (lambda path, _: path.write_text("no weights at all"), None, DAMAGED),
        (lambda path, _: path.write_bytes(b""), None, ["is empty"]),
        (lambda path, _: path.mkdir(), None, ["does not exist"]),
        (lambda path, _: None, None, ["does not exist"]),
        (lambda path, _: np.savez(path.open("wb"), a=np.ones(3)), None, DAMAGED),
        (saved, [1, 2], ["no tensors"]),
        (saved, {"state_dict": {}}, ["no tensors"]),
        (saved, torch.ones(3), ["no tensors"]),
        (saved, {"a": torch.ones(2, 2).to_sparse()}, ["'a'", "sparse"]),
        (saved, {"a": torch.ones(2, dtype=torch.complex64)}, ["'a'", "complex64"]),
        (saved, {"a": torch.ones(2, device="meta")}, ["'a'", "meta"]),
        (saved, spoiled(torch.nan), ["NaN or infinite values in '3.weight'"]),
        (saved, spoiled(torch.inf), ["NaN or infinite values in '3.weight'"]),
        (saved, {**WEIGHTS, "3.bias": torch.full((6,), 1e300, dtype=torch.float64)}, ["infinite", "'3.bias'"]),
        (saved, network(width=5).state_dict(), ["'3.weight' of shape (5, 4)", "(6, 4)", "classes"]),
    ],
)
def test_unfit_files_are_told_and_the_network_is_left_as_it_was(tmp_path, write, content, words):
    path, other = tmp_path / "weights.pt", network(seed=1)
    before = {name: value.clone() for name, value in other.state_dict().items()}
    write(path, content)
    with pytest.raises(StudyError) as error:
        load_checkpoint(path, other)
    message = one_sentence(error)
    assert all(word in message for word in [str(path), *words]), message
    assert equal(before, other.state_dict())


@pytest.mark.parametrize("write", [saved, legacy, lambda path, content: path.write_bytes(pickle.dumps(content))])
@pytest.mark.parametrize("wrapped", [lambda trap: trap, lambda trap: {**WEIGHTS, "more": trap}])
def test_no_code_is_run(tmp_path, write, wrapped):
    path, sprung = tmp_path / "weights.pt", tmp_path / "sprung"
    content = wrapped(Trap(sprung))
    write(path, content)
    with pytest.raises(StudyError, match="more than numbers"):
        read_checkpoint(path)
    assert not sprung.exists()


def test_names_that_do_not_fit_are_counted_and_compared(tmp_path):
    path = tmp_path / "weights.pt"
    renamed = {name.replace("3.weight", "3.wieght"): value for name, value in WEIGHTS.items()}
    torch.save(renamed, path)
    with pytest.raises(StudyError) as error:
        load_checkpoint(path, network())
    message = one_sentence(error)
    assert "lacks 1 of the network's 9 tensors ('3.weight' (did you mean '3.wieght'?))" in message
    assert "has 1 tensor unknown to the network ('3.wieght' (did you mean '3.weight'?))" in message
    torch.save({f"more.{number}": torch.ones(1) for number in range(5)}, path)
    with pytest.raises(StudyError) as error:
        load_checkpoint(path, network())
    message = one_sentence(error)
    assert "lacks 8 of" in message and "has 5 tensors unknown" in message and "'more.2', ...)" in message
    assert "more.3" not in message


def test_auxiliary_classifiers_are_left_out_only_where_there_are_none(tmp_path):
    path = tmp_path / "weights.pt"
    plain = network()
    torch.save({**WEIGHTS, "AuxLogits.fc.weight": torch.ones(2, 2)}, path)
    with pytest.raises(StudyError, match=r"'AuxLogits\.fc\.weight'"):
        load_checkpoint(path, plain)
    plain.AuxLogits = None
    load_checkpoint(path, plain)
    assert equal(plain.state_dict(), WEIGHTS)


@pytest.mark.parametrize("name", ["torchvision:densenet121", "torchvision:mnasnet0_5"])
def test_networks_with_names_or_versions_of_their_own(tmp_path, name):
    trained, other, third = (build(name, {}, (3, 32, 32), 4, seed) for seed in (0, 1, 2))
    published = {
        re.sub(r"(denselayer\d+\.(?:norm|conv))([12]\.)", r"\1.\2", name): value
        for name, value in trained.state_dict().items()
    }
    assert ("features.denseblock1.denselayer1.norm.1.weight" in published) == name.endswith("densenet121")
    torch.save(published, tmp_path / "weights.pth")
    load_checkpoint(tmp_path / "weights.pth", other)
    assert equal(other.state_dict(), trained.state_dict())
    save_weights(tmp_path / "weights.safetensors", trained, {})
    load_weights(tmp_path / "weights.safetensors", third)
    assert equal(third.state_dict(), trained.state_dict())


# Published weights


@pytest.mark.parametrize(
    ("model", "weights", "words"),
    [
        ("resnt50", "DEFAULT", ["'resnt50'", "did you mean 'resnet50'", "alexnet"]),
        (
            "resnet50",
            "IMAGENET1K_V3",
            ["'IMAGENET1K_V3'", "did you mean 'IMAGENET1K_V", "IMAGENET1K_V1, IMAGENET1K_V2"],
        ),
        ("resnet50", "trained", ["'trained'", "DEFAULT"]),
    ],
)
def test_unknown_names_are_told(tmp_path, model, weights, words):
    for ask in (weights_named, preprocessing_of, lambda *names: download_weights(*names, tmp_path)):
        with pytest.raises(StudyError) as error:
            ask(model, weights)
        message = one_sentence(error)
        assert all(word in message for word in words), message


def test_weights_are_torchvisions():
    assert weights_named("torchvision:resnet50", "DEFAULT").name == "IMAGENET1K_V2"
    assert weights_named("resnet18", "IMAGENET1K_V1").url.startswith("https://download.pytorch.org/models/resnet18-")
    assert preprocessing_of("resnet18", "DEFAULT") == ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    # Not all were trained on images standardised in this way.
    assert preprocessing_of("efficientnet_v2_l", "DEFAULT") == ([0.5] * 3, [0.5] * 3)


def test_networks_see_what_they_were_published_with():
    """googlenet undoes the usual standardisation inside when torchvision loads its weights."""
    from convergent.torchvision_import import torchvision

    data = stand_in.noise((3, 64, 64), count=4)
    images = data.images(np.arange(2))
    here = build("torchvision:googlenet", {}, (3, 64, 64), 5, seed=0).eval()
    there = torchvision.models.googlenet(
        num_classes=5, aux_logits=False, init_weights=False, transform_input=True
    ).eval()
    there.load_state_dict(here.state_dict())
    entry = weights_named("googlenet", "DEFAULT").transforms()
    with torch.no_grad():
        expected = there(standardised(images, data, "cpu", (entry.mean, entry.std)))
        found = here(standardised(images, data, "cpu", preprocessing_of("googlenet", "DEFAULT")))
    assert torch.allclose(found, expected, atol=1e-4)


def test_every_published_file_can_be_checked():
    from convergent.torchvision_import import torchvision

    models = torchvision.models
    for model in models.list_models(module=models):
        for entry in models.get_model_weights(model):
            assert torch.hub.HASH_REGEX.search(entry.url.rpartition("/")[2])[1].isalnum()
            assert len(entry.transforms().mean) == len(entry.transforms().std) == 3


class Server:
    """Serves one file from this machine: as it is, cut short, altered, or not at all."""

    def __init__(self, content):
        self.behaviour, self.requests, self.lasting = "honest", [], threading.Event()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(handler):
                self.requests.append(handler.path)
                if self.behaviour == "silent":
                    self.lasting.wait(10)
                    return
                handler.send_response(404 if self.behaviour == "absent" else 200)
                sent = {"truncating": content[:-1000], "tampering": b"x" + content[1:]}.get(self.behaviour, content)
                handler.send_header("Content-Length", str(len(content)))
                handler.end_headers()
                handler.wfile.write(sent)

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/"
        threading.Thread(target=self.http.serve_forever, args=[0.02], daemon=True).start()

    def close(self):
        self.lasting.set()
        self.http.shutdown()
        self.http.server_close()


@pytest.fixture(scope="module")
def published():
    """Weights of a squeezenet1_1, as they would be published."""
    trained = build("torchvision:squeezenet1_1", {}, (3, 64, 64), 1000, seed=3)
    stream = io.BytesIO()
    torch.save(trained.state_dict(), stream)
    return trained, stream.getvalue()


@pytest.fixture
def server(published, monkeypatch):
    content = published[1]
    server = Server(content)
    entry = weights_named("squeezenet1_1", "IMAGENET1K_V1")
    server.name = f"squeezenet1_1-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    monkeypatch.setattr(entry.value, "url", server.url + server.name)
    monkeypatch.delenv("http_proxy", raising=False)
    monkeypatch.delenv("HTTP_PROXY", raising=False)
    yield server
    server.close()


def fetch(folder):
    return download_weights("squeezenet1_1", "DEFAULT", folder)


def test_published_weights_are_downloaded_once_and_fit(tmp_path, server, published):
    path = fetch(tmp_path / "kept")
    assert path == tmp_path / "kept" / server.name and path.read_bytes() == published[1]
    assert list(path.parent.iterdir()) == [path]
    assert fetch(tmp_path / "kept") == path and len(server.requests) == 1
    other = build("torchvision:squeezenet1_1", {}, (3, 64, 64), 1000, seed=4)
    load_checkpoint(path, other)
    assert equal(other.state_dict(), published[0].state_dict())


def test_a_file_put_there_by_hand_needs_no_network(tmp_path, server, published):
    (tmp_path / server.name).write_bytes(published[1])
    assert fetch(tmp_path) == tmp_path / server.name
    assert server.requests == []


def test_a_wrong_file_put_there_by_hand_is_named_and_left(tmp_path, server, published):
    (tmp_path / server.name).write_bytes(published[1][:-5])
    with pytest.raises(StudyError) as error:
        fetch(tmp_path)
    message = one_sentence(error)
    assert str(tmp_path / server.name) in message and "delete it" in message and server.url in message
    assert (tmp_path / server.name).read_bytes() == published[1][:-5]
    assert server.requests == []


@pytest.mark.parametrize("behaviour", ["truncating", "tampering", "absent", "closed", "silent"])
def test_a_download_that_fails_is_told_and_leaves_nothing(tmp_path, server, monkeypatch, behaviour):
    monkeypatch.setattr(downloads, "TIMEOUT", 0.3)
    server.behaviour = behaviour
    if behaviour == "closed":
        server.close()
    started = time.monotonic()
    with pytest.raises(StudyError) as error:
        fetch(tmp_path)
    message = one_sentence(error)
    assert all(word in message for word in (server.url, server.name, str(tmp_path), "could not be downloaded"))
    assert ("truncated or altered" in message) == (behaviour in ("truncating", "tampering"))
    assert list(tmp_path.iterdir()) == []
    assert time.monotonic() - started < 5
    assert socket.getdefaulttimeout() is None
