"""Small folders of images, made in temporary places."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def make_folder(tmp_path: Path) -> Callable[..., Path]:
    """Writes tiny PNG files at the given relative paths and returns their root."""

    def make(*paths: str, root: str = "images") -> Path:
        folder = tmp_path / root
        folder.mkdir(exist_ok=True)
        for number, path in enumerate(paths):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((4, 6, 3), number % 256, dtype=np.uint8)).save(folder / path, format="PNG")
        return folder

    return make
