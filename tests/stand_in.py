"""Data sets for the tests of networks: scikit-learn's digits, and random images of any shape; small architectures."""

import numpy as np
from sklearn.datasets import load_digits

# A CaffeNet for images of 8 x 8, and a vision transformer.
CAFFENET = {
    "channels": [4, 6, 8, 8, 6],
    "kernels": [3] * 5,
    "strides": [1] * 5,
    "paddings": [1] * 5,
    "pools": [1],
    "pool_kernel": 2,
    "dense": [12, 10],
}
TINY_VIT = {"patch_size": 4, "num_layers": 2, "num_heads": 2, "hidden_dim": 16, "mlp_dim": 32}


class StandIn:
    """What training and recording ask of a data set, with all images in memory."""

    def __init__(self, images: np.ndarray, labels: np.ndarray, train: int, name: str) -> None:
        self.array, self.labels, self.name = images, labels.astype(np.int64), name
        self.key = name
        self.shape = images.shape[1:]
        self.class_names = [str(label) for label in range(10)]
        order = np.random.default_rng(0).permutation(len(images))
        self.splits = {"train": order[:train], "validation": order[train:], "probe": order[train:]}
        scaled = images[self.splits["train"]] / 255
        self.mean, self.std = scaled.mean(axis=(0, 2, 3)), scaled.std(axis=(0, 2, 3))

    def images(self, indices: np.ndarray) -> np.ndarray:
        """Images (len(indices), channels, height, width), uint8."""
        return self.array[indices]


def digits() -> StandIn:
    """The 1,797 digits (1 x 8 x 8), 997 of them to train on."""
    content = load_digits()
    images = np.rint(content.images * (255 / 16)).astype(np.uint8)[:, None]
    return StandIn(images, content.target, 997, "digits")


def noise(shape: tuple[int, int, int], count: int = 12, seed: int = 0) -> StandIn:
    """Random images with random labels."""
    draws = np.random.default_rng(seed)
    images = draws.integers(0, 256, (count, *shape), dtype=np.uint8)
    return StandIn(images, draws.integers(0, 10, count), count // 2, "noise")
