"""What tests of stopped trainings and of several processes share: augmented images, processes, equality of states."""

import multiprocessing
import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from tiny_parts import TinyImages
from torch import Tensor


class NoisyImages(TinyImages):
    """Images augmented with draws from all three global generators."""

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image, target = super().__getitem__(index)
        return image + 0.3 * torch.randn_like(image) + random.random() * float(np.random.rand()), target


class StoppedError(Exception):
    """A stop in the middle of training."""


def exit_codes(function: Callable[..., None], calls: Sequence[tuple[Any, ...]]) -> list[int | None]:
    """Makes all calls at once, each in a process of its own, and returns how these ended; None: one that hangs."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["sc2_spic_plugin.training.loop", "sc2_spic_plugin.cli.running"])
    children = [context.Process(target=function, args=arguments) for arguments in calls]
    for child in children:
        child.start()
    codes = []
    for child in children:
        child.join(300)
        codes.append(child.exitcode)
        child.kill()
    return codes


def assert_same_content(one: Any, other: Any, where: str = "") -> None:
    assert type(one) is type(other), where
    if isinstance(one, Tensor):
        assert torch.equal(one, other), where
    elif isinstance(one, dict):
        assert list(one) == list(other), where
        for key in one:
            assert_same_content(one[key], other[key], f"{where}.{key}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), where
        for number, pair in enumerate(zip(one, other, strict=True)):
            assert_same_content(*pair, f"{where}.{number}")
    else:
        assert one == other, where
