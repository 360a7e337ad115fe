"""Compares the bytes of the released Huffman coder with those of the static tables, on symbols of a trained unit.

Run: python benchmarks/performance/huffman_saving.py SYMBOLS.npy [CALIBRATION.npy] [--limit 2000]

Both files hold integers (N, C, h, w). Tables of both coders are counted on the calibration symbols (training images);
without such a file, on every other image of SYMBOLS, and the rest is coded. As released: one Huffman table for all
channels, through `dahuffman`, padded to whole bytes per image. Symbols that the calibration lacks have no code there
(the released coder raises); each is counted once, so that every image can be coded. No headers on either side.
"""

import argparse
from collections import Counter
from pathlib import Path

import numpy as np
import torch

from sc2_spic_plugin.coding import HuffmanCoder, ModeCoder, StaticCoder, SymbolTables

MODES = 16


def read_symbols(path: Path) -> np.ndarray:
    """Returns (N, C, h, w) int32."""
    symbols = np.load(path, allow_pickle=False)
    if symbols.ndim != 4 or symbols.dtype.kind not in "iu":
        raise SystemExit(f"{path} holds {symbols.dtype} of shape {symbols.shape}; expected integers (N, C, h, w)")
    return symbols.astype(np.int32)


def with_modes(counted: np.ndarray) -> StaticCoder | ModeCoder:
    """Returns the coder of tables calibrated on the symbols."""
    tables = SymbolTables(counted.shape[1], counted.shape[2:], modes=MODES)
    tables.start_calibration()
    tables.count(torch.from_numpy(counted))
    tables.finish_calibration()
    return tables.coder


def entropy_bits(counts: Counter, symbols: np.ndarray) -> float:
    """Returns the code length of symbols under one table of relative frequencies, in bits per image."""
    total = sum(counts.values())
    values, times = np.unique(symbols, return_counts=True)
    lengths = [-np.log2(counts[int(value)] / total) for value in values]
    return float(np.dot(times, lengths)) / len(symbols)


def main() -> None:
    """Prints bytes per image and the saving."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("symbols", type=Path, help="symbols to code, .npy")
    parser.add_argument("calibration", type=Path, nargs="?", help="symbols to count, .npy")
    parser.add_argument("--limit", type=int, help="images to code at most")
    arguments = parser.parse_args()
    coded = read_symbols(arguments.symbols)
    if arguments.calibration is None:
        counted, coded = coded[::2], coded[1::2]
    else:
        counted = read_symbols(arguments.calibration)
    coded = coded[: arguments.limit]

    frequencies = Counter(counted.reshape(-1).tolist())
    missing = sorted(set(np.unique(coded).tolist()) - set(frequencies))
    frequencies.update(missing)
    huffman = HuffmanCoder(frequencies)
    huffman_bytes = np.mean([len(huffman.encode(latent)) for latent in coded])
    print(f"{len(counted)} latents counted, {len(coded)} coded, shape {'x'.join(map(str, coded.shape[1:]))}")
    print(
        f"{100 * np.mean(coded == 0):.1f} % zeros, largest symbol {coded.max()}, not in the counts: {missing or 'none'}"
    )
    print(f"{'coder':>42} {'bytes/image':>12} {'saving':>8} {'ideal bytes':>12} {'over':>6}")
    ideal = entropy_bits(frequencies, coded) / 8
    over = huffman_bytes - ideal
    print(f"{'Huffman, one table (as released)':>42} {huffman_bytes:12.2f} {'':8} {ideal:12.2f} {over:6.2f}")
    coders = {
        "static tables per channel": StaticCoder.fit(counted, positions=False),
        "static tables per channel and position": StaticCoder.fit(counted),
        f"the same, up to {MODES} modes": with_modes(counted),
    }
    for name, coder in coders.items():
        size = np.mean([len(code) for code in coder.encode_batch(coded)])
        ideal = np.mean([coder.ideal_bits(latent) for latent in coded]) / 8
        saving = 100 * (1 - size / huffman_bytes)
        print(f"{name:>42} {size:12.2f} {saving:6.1f} % {ideal:12.2f} {size - ideal:6.2f}")


if __name__ == "__main__":
    main()
