"""The network part of a half: loading what `torch.export` wrote, checked before it is opened."""

import hashlib
import io
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import CheckpointError
from .archive import checked_archive

__all__ = ["flat_outputs", "load_program", "open_program"]


def load_program(path: Path, sha256: str, torch_version: str, device: str | torch.device = "cpu") -> nn.Module:
    """Loads a network part whose digest is that of its manifest.

    Args:
        path: the `.pt2` file.
        sha256: of the file, in hex.
        torch_version: of the torch that wrote it, for the message.
        device: where it runs.

    Raises:
        CheckpointError: the file is missing or damaged, or `open_program` refuses it.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error}); copy the whole half again.") from error
    if hashlib.sha256(data).hexdigest() != sha256:
        raise CheckpointError(f"{path} is damaged, or belongs to another half than its manifest: copy both again.")
    return open_program(data, str(path), torch_version, device)


def open_program(
    data: bytes, where: str, torch_version: str = str(torch.__version__), device: str | torch.device = "cpu"
) -> nn.Module:
    """Makes a module of a `.pt2` file's content; it has the kernels and the memory layout of the original network.

    `torch.export.load` is not made for files from strangers; nothing is handed to it that it would unpickle, import or
    evaluate (`checked_archive`).

    Raises:
        CheckpointError: it is none of the files that we write, or this torch cannot read it.
    """
    checked = checked_archive(data, where)
    from torch.export import load

    try:
        program = load(io.BytesIO(checked))
        if torch.device(device).type != "cpu":
            from torch.export.passes import move_to_device_pass

            program = move_to_device_pass(program, device)
        module: nn.Module = program.module(check_guards=False)  # instead, the exporter compares on several image sizes
    except Exception as error:
        raise CheckpointError(
            f"{where} was written by torch {torch_version} and torch {torch.__version__} cannot load it ({error}); "
            "use that torch, or export it again with this one."
        ) from error
    return module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # as `SplitModel` computes


def flat_outputs(result: Any) -> tuple[Tensor, tuple[int, ...]]:
    """Returns the features (B, C, H, W) of a front-end's result and the sizes that cross with them."""
    features, *sizes = result if isinstance(result, tuple | list) else (result,)
    return features, tuple(int(size) for size in sizes)
