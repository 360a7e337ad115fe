"""Networks with random weights, shared by the tests of one file, and one thread for all of them."""

from collections.abc import Iterator

import pytest
import torch
import torchvision.models as tv
from torch import nn


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def resnet() -> nn.Module:
    torch.manual_seed(0)
    return tv.resnet50(num_classes=5)


@pytest.fixture(scope="module")
def deeplab() -> nn.Module:
    torch.manual_seed(0)
    build = tv.segmentation.deeplabv3_resnet50
    return build(weights=None, weights_backbone=None, aux_loss=True, num_classes=4)
