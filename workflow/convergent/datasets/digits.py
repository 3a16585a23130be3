"""The 1,797 handwritten digits that come with scikit-learn: 8 x 8 pixels, no download.

Source: E. Alpaydin and C. Kaynak (1998), Optical Recognition of Handwritten Digits, UCI;
`sklearn.datasets.load_digits`.
"""

from pathlib import Path

import numpy as np

from convergent.datasets.source import Content, Shape, Source


class Digits(Source):
    """Digits in 17 grey levels, stretched to 0..255."""

    def image_shape(self, options: dict) -> Shape:
        return 1, 8, 8

    def class_count(self, options: dict) -> int:
        return 10

    def available(self, options: dict) -> dict[str, int]:
        return {"train": 1797, "other": 0}

    def read(self, options: dict, downloads: Path) -> Content:
        from sklearn.datasets import load_digits

        digits = load_digits()
        images = np.rint(digits.images * (255 / 16)).astype(np.uint8)[:, None]
        names = [str(name) for name in digits.target_names]
        return Content(digits.target.astype(np.int64), names, "sklearn.datasets.load_digits", blocks=[images])
