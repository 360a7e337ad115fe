"""Compares all released units with their imported twins: symbols, outputs, bytes; and what their tables could save.

Run: python benchmarks/performance/published_units.py REPOSITORY [--unit classification/S1 ...]

REPOSITORY is a clone of the released code and weights (IntelLabs/spic). Its unit classes and its Huffman coder are run
as an outside reference (so name a clone that you trust), one unit at a time on one thread, on a fixed input at the
feature size of the published figures: rectified normal noise, `default_rng(7)`. Symbols are compared at every position;
the output error is the largest difference divided by the largest output. Equal symbols and outputs on noise show that
layers, geometry, step and weights are the same; how many bytes photographs need they do not show.
"""

import argparse
import importlib.util
import pickle
import statistics
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import numpy as np
import torch
from timing import machine_line
from torch import Tensor, nn

from sc2_spic_plugin.coding import HuffmanCoder
from sc2_spic_plugin.errors import TableError
from sc2_spic_plugin.importers import PublishedUnit, check_rows, find_published_units


class Parity(NamedTuple):
    """One unit against the released code."""

    symbols: int
    different: int
    largest_step: int
    output_error: float
    same_size: bool
    released_bytes: int | None
    our_bytes: int | None


def import_file(path: Path) -> ModuleType:
    """Imports one file of the released code."""
    spec = importlib.util.spec_from_file_location(f"released_{path.parent.parent.name}_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise SystemExit(f"{path} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def released_unit(unit: PublishedUnit, folder: Path) -> nn.Module:
    """Returns the released unit class with its weights, in eval mode."""
    point = unit.split[-1]
    module = import_file(folder / "models" / f"model{point}.py")
    name = "Bottleneck3" if (unit.task, point) == ("classification", "3") else "Bottleneck2"
    released = getattr(module, name)(unit.step, True, unit.latent_channels, unit.stride)
    state = torch.load(unit.weights, map_location="cpu", weights_only=True)["state_dict"]
    missing = released.load_state_dict(state, strict=False).missing_keys
    if missing:
        raise SystemExit(f"{unit.name}: the released class wants {missing}")
    return released.eval()


def released_result(unit: PublishedUnit, folder: Path, features: Tensor) -> tuple[Tensor, Tensor, int | None]:
    """Runs the released unit and coder: the dequantised latent, the output, and the bytes or None (KeyError)."""
    released = released_unit(unit, folder)
    latents: list[Tensor] = []
    released.quantizelayer.register_forward_hook(lambda _module, _input, output: latents.append(output.detach()))
    with torch.inference_mode():
        output = released(features)
    output = output[0] if isinstance(output, tuple) else output
    table = pickle.loads(unit.table.read_bytes())  # noqa: S301 - as the released code reads it; REPOSITORY is trusted
    codec = import_file(folder / "huffmancodec.py").HuffmanCodec.from_frequencies(table)
    try:
        size = len(codec.encode(latents[0][0].numpy().reshape(-1)))
    except KeyError:
        size = None
    return latents[0], output, size


def compare(unit: PublishedUnit, folder: Path) -> Parity:
    """Runs both on the fixed input."""
    shape = (1, unit.in_channels, *unit.point.feature_size)
    noise = np.maximum(np.random.default_rng(7).standard_normal(shape), 0).astype(np.float32)
    features = torch.from_numpy(noise)
    latent, expected, released_bytes = released_result(unit, folder, features.clone())
    expected_symbols = torch.round(latent / unit.step).to(torch.int32)
    ours, table = unit.load()
    symbols = ours.encode(features)
    output = ours.decode(symbols, unit.point.feature_size)
    try:
        our_bytes = len(HuffmanCoder(table).encode(symbols[0]))
    except TableError:
        our_bytes = None
    difference = (symbols - expected_symbols).abs()
    same_size = output.shape == expected.shape
    error = float((output - expected).abs().max() / expected.abs().max()) if same_size else float("inf")
    different = int((difference != 0).sum())
    return Parity(symbols.numel(), different, int(difference.max()), error, same_size, released_bytes, our_bytes)


def main() -> None:
    """Prints one line per unit, then the sums."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("repository", type=Path, help="a clone of the released repository")
    parser.add_argument("--unit", action="append", default=[], help="only units whose names begin so")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    units = find_published_units(arguments.repository)
    chosen = [unit for unit in units if not arguments.unit or unit.name.startswith(tuple(arguments.unit))]
    if not chosen:
        raise SystemExit(f"no unit begins with {' or '.join(arguments.unit)}")
    rows = {row.name: row for row in check_rows(units)}
    print(machine_line())
    print(f"{'unit':>20} {'symbols':>8} {'differ':>7} {'output error':>13} {'released':>9} {'ours':>7} {'saving':>7}")
    results = []
    for unit in chosen:
        folder = arguments.repository / unit.task.capitalize()
        result = compare(unit, folder)
        results.append(result)
        print(
            f"{unit.name:>20} {result.symbols:8} {result.different:7} {result.output_error:13.1e} "
            f"{result.released_bytes or 'no code':>9} {result.our_bytes or 'no code':>7} "
            f"{rows[unit.name].saving_percent:5.1f} %",
            flush=True,
        )
    summarise(results, {unit.name: rows[unit.name].saving_percent for unit in chosen})


def summarise(results: list[Parity], savings: dict[str, float]) -> None:
    """Prints what holds over all units."""
    symbols, different = sum(result.symbols for result in results), sum(result.different for result in results)
    coded = [result for result in results if result.released_bytes is not None]
    same = sum(result.released_bytes == result.our_bytes for result in coded)
    lacking = [result for result in results if result.released_bytes is None]
    agree = sum(result.our_bytes is None for result in lacking)
    exact = [result.output_error for result in results if not result.different]
    steps = max(result.largest_step for result in results)
    print(f"\n{len(results)} units, {sum(result.same_size for result in results)} with the released output size")
    print(f"symbols that differ: {different} of {symbols:,} ({different / symbols:.1e}), by {steps} at most, in "
          f"{sum(result.different > 0 for result in results)} units")  # fmt: skip
    print(f"largest relative output error: {max(result.output_error for result in results):.1e}; "
          f"where all symbols agree ({len(exact)} units): {max(exact, default=float('nan')):.1e}")  # fmt: skip
    print(f"Huffman bytes equal: {same} of {len(coded)}; no code for a symbol: {len(lacking)} units of the released "
          f"coder, {agree} of them in ours too")  # fmt: skip
    largest = max(savings, key=savings.__getitem__)
    print(f"an ideal coder of the same table saves {statistics.median(savings.values()):.1f} % in the median, "
          f"{savings[largest]:.1f} % at most ({largest})")  # fmt: skip


if __name__ == "__main__":
    main()
