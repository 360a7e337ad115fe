"""Compares the released units' Huffman bytes with ours, same table and counted tables, on real photographs.

Run: python benchmarks/performance/published_bytes.py SPIC --network FILE --counted FOLDER --coded FOLDER

SPIC is a copy of the released repository; its classification units are put behind ResNet-50 with the weights of
--network, at 224 px as published. Tables "per channel" and "per channel and position" are counted on the images below
--counted; all coders code the images below --coded. No headers anywhere.

The units were trained for torchvision's first ImageNet weights. With other weights the features are not those that
units and tables were made for: the lines then show what each coder makes of the same symbols, and how it takes symbols
it never met, not the rate or accuracy of the published system. A table counted on few images has seen little, so the
saving of counted tables is what this many images give.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torchvision import transforms

from sc2_spic_plugin.coding import PublishedTable, StaticCoder
from sc2_spic_plugin.datasets import FlatImageFolder
from sc2_spic_plugin.importers import PublishedUnit, find_published_units
from sc2_spic_plugin.importers.network_weights import network_config
from sc2_spic_plugin.models import build_network

DEFAULT_UNITS = ("S1/0", "S1/4", "US1/2", "S2/0", "S2/4", "US2/3", "S3/0", "S3/3", "S3/5")
PREPARED = transforms.Compose(
    [
        transforms.Resize(256),
        transforms.CenterCrop(224),
        transforms.ToTensor(),
        transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
    ]
)


@torch.no_grad()
def symbols_of(
    folder: Path, limit: int | None, network: nn.Module, units: Sequence[PublishedUnit], encoders: dict[str, Any]
) -> dict[str, np.ndarray]:
    """Returns the symbols (N, C_r, h, w) of each unit over a folder of images, in one pass of the network."""
    features: dict[str, Tensor] = {}
    for cut in {unit.cut for unit in units}:
        network.get_submodule(cut).register_forward_hook(
            lambda _module, _input, output, cut=cut: features.__setitem__(cut, output.clone())
        )
    images = FlatImageFolder(folder, PREPARED)
    chosen = np.linspace(0, len(images) - 1, min(limit or len(images), len(images))).round().astype(int)
    found: dict[str, list[np.ndarray]] = {unit.name: [] for unit in units}
    for index in chosen.tolist():
        network(images[index][0][None])
        for unit in units:
            found[unit.name].append(encoders[unit.name].encode(features[unit.cut])[0].numpy())
    return {name: np.stack(arrays) for name, arrays in found.items()}


def mean_bytes(coder: StaticCoder, symbols: np.ndarray) -> float:
    """Returns the mean bytes per image."""
    return float(np.mean([len(code) for code in coder.encode_batch(symbols)]))


def main() -> None:
    """Prints one line per unit."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path, help="a copy of the released repository")
    parser.add_argument("--network", type=Path, required=True, help="weights of ResNet-50")
    parser.add_argument("--counted", type=Path, required=True, help="folder of images to count tables on")
    parser.add_argument("--coded", type=Path, required=True, help="folder of images to code")
    parser.add_argument("--limit", type=int, help="images of each folder at most, evenly spread")
    parser.add_argument("--units", nargs="+", default=DEFAULT_UNITS, help="for example S1/0")
    arguments = parser.parse_args()
    released = find_published_units(arguments.source, missing="skip")
    units = [released.named(f"classification/{name}") for name in arguments.units]
    network = build_network(network_config("classification", arguments.network))
    encoders = {unit.name: unit.load()[0] for unit in units}
    counted = symbols_of(arguments.counted, arguments.limit, network, units, encoders)
    coded = symbols_of(arguments.coded, arguments.limit, network, units, encoders)

    print(f"{len(coded[units[0].name])} images coded, tables counted on {len(counted[units[0].name])} others, 224 px")
    print("bytes per image; Huffman codes only images without a symbol that its table lacks: n, and ours on those")
    columns = ("unit", "symbols", "nonzero", "Huffman", "n", "same table", "saved", "same, all", "channel", "position")
    print("".join(f"{column:>12}" for column in columns) + f"{'escapes/image':>16}")
    for unit in units:
        symbols = coded[unit.name]
        table = PublishedTable(unit.step, unit.frequencies)
        lengths = [table.lengths(image) for image in symbols]
        both = [each for each in lengths if each["huffman_bytes"] is not None]
        huffman = float(np.mean([each["huffman_bytes"] for each in both])) if both else float("nan")
        same = float(np.mean([each["same_table_bytes"] for each in both])) if both else float("nan")
        per = [
            mean_bytes(StaticCoder.fit(counted[unit.name], table.alphabet_size, positions=positions), symbols)
            for positions in (False, True)
        ]
        everywhere = float(np.mean([each["same_table_bytes"] for each in lengths]))
        escapes = float(np.mean([each["escapes"] for each in lengths]))
        print(
            f"{unit.name.partition('/')[2]:>12}{symbols[0].size:12d}{100 * np.mean(symbols > 0):10.1f} %{huffman:12.1f}"
            f"{len(both):12d}{same:12.1f}{100 * (1 - same / huffman):10.1f} %{everywhere:12.1f}{per[0]:12.1f}"
            f"{per[1]:12.1f}{escapes:16.2f}"
        )


if __name__ == "__main__":
    main()
