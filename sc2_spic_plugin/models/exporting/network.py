"""Exporting the network parts of both halves with torch.export, and making sure that they still compute the same."""

import copy
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ...errors import CutError
from ...runtime.manifest import DEVICE, PROGRAMS, SERVER
from ...runtime.program import flat_outputs, open_program
from ..crossing import run_front_end
from ..split_model import SplitModel

__all__ = ["export_network"]

_PROBES = ((0, 0), (5, 9), (-3, 6))
"""Rows and columns more than `input_size`: of the images on which an exported network is compared with its original."""


def export_network(model: SplitModel) -> tuple[dict[str, bytes], bool]:
    """Exports the network parts of both halves for any batch and, where torch can, for any image size.

    What was exported is opened again and compared with the model bit for bit, on images of several sizes.

    Args:
        model: on the CPU; its cut is not bypassed.

    Returns:
        The content of the `.pt2` file of each half, and whether they take images of any size.

    Raises:
        CutError: the network cannot be exported.
    """
    trouble: Exception | None = None
    for any_size in (True, False):
        try:
            programs = _programs(model, any_size)
            _compare(model, programs, _PROBES if any_size else _PROBES[:1])
        except Exception as error:  # torch.export raises what it likes
            trouble = error
        else:
            return programs, any_size
    raise CutError(
        f"torch {torch.__version__} cannot export the network split at `{model.cut}` ({trouble}); try another cut, or "
        "run the model itself."
    ) from trouble


@torch.no_grad()
def _programs(model: SplitModel, any_size: bool) -> dict[str, bytes]:
    """Exports both halves in the plain memory layout, which is the one that asks least of image sizes."""
    front_end, back_end = (
        copy.deepcopy(half).to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        for half in (model.front_end, model.back_end)
    )
    image = torch.randn(2, *model.input_size, generator=torch.Generator().manual_seed(0))
    features, crossing = run_front_end(front_end, image)
    back_inputs = (features.contiguous(), *crossing)
    return {DEVICE: _program(front_end, (image,), any_size), SERVER: _program(back_end, back_inputs, any_size)}


def _program(half: nn.Module, inputs: tuple[Any, ...], any_size: bool) -> bytes:
    from torch.export import Dim, export, save
    from torch.fx.experimental import _config

    free = Dim.DYNAMIC
    of_image = {0: free, 2: free, 3: free} if any_size else {0: free}
    shapes = tuple(of_image if isinstance(item, Tensor) else (free if any_size else None) for item in inputs)
    with _config.patch(backed_size_oblivious=True):  # type: ignore[attr-defined]  # else sizes of 1 are thought of as another program
        # not the strict tracer: it reads bytecode, and the halves' generated forward need not pass it
        program = export(half, inputs, dynamic_shapes=shapes, strict=False)
    program.example_inputs = None  # they would travel as a pickle
    buffer = io.BytesIO()
    save(program, buffer)
    return buffer.getvalue()


@torch.no_grad()
def _compare(model: SplitModel, programs: Mapping[str, bytes], probes: Sequence[tuple[int, int]]) -> None:
    """Runs the network parts from their files beside the model's own.

    Raises:
        CutError: an output differs in a bit.
    """
    front_end, back_end = (open_program(programs[half], PROGRAMS[half]) for half in (DEVICE, SERVER))
    channels, height, width = model.input_size
    for rows, columns in probes:
        size = (max(height + rows, 1), max(width + columns, 1))
        image = torch.randn(1, channels, *size, generator=torch.Generator().manual_seed(1))
        try:
            features, crossing = run_front_end(model.front_end, image)
            wanted = model.back_end(features.clone(), *crossing)
        except (RuntimeError, ValueError):
            if (rows, columns) == (0, 0):
                raise
            continue  # the network itself does not take this size
        own_features, own_sizes = flat_outputs(front_end(image))
        own = back_end(features.clone(), *own_sizes)
        outputs = zip(_tensors(wanted), _tensors(own), strict=True)
        same = torch.equal(features, own_features) and all(torch.equal(a, b) for a, b in outputs)
        if not same or tuple(crossing) != own_sizes:
            raise CutError(f"the exported network differs from the original on images of {size[0]}x{size[1]}.")


def _tensors(output: Any) -> Iterator[Tensor]:
    """Yields the tensors of a network's output in order."""
    if isinstance(output, Tensor):
        yield output
    elif isinstance(output, Mapping):
        for value in output.values():
            yield from _tensors(value)
    elif isinstance(output, Sequence):
        for value in output:
            yield from _tensors(value)
