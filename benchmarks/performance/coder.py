"""Measures the deployed coder against compressai's rANS and dahuffman: bytes above the code length, and time.

Run: python benchmarks/performance/coder.py [--repeats 30]

Latents are synthetic, with the statistics of rectified, quantised features: mostly zeros, each channel (and position)
with its own distribution. All coders run in this process on one thread; times are medians, read the ratios.
"""

from timing import machine_line, median, take_turns

# isort: split
import argparse
import statistics
from collections import Counter

import numpy as np
import torch
from compressai import ans
from compressai._CXX import pmf_to_quantized_cdf
from dahuffman import HuffmanCodec

from sc2_spic_plugin.coding import ModeCoder, StaticCoder

OVERHEAD_SHAPES = [(128, 4, 4), (64, 2, 2), (32, 2, 2)]
SPEED_SHAPES = [(64, 15, 15), (64, 2, 2)]
TRAIN, TEST = 1000, 200
MODES = 16


def sparse_latents(count: int, shape: tuple[int, int, int], seed: int = 0) -> np.ndarray:
    """Returns (count, C, h, w) int32: zero with a probability of 0.6 to 0.97, otherwise geometric."""
    rng = np.random.default_rng(seed)
    zero = np.clip(rng.uniform(0.6, 0.97, (shape[0], 1, 1)) + rng.normal(0, 0.04, shape), 0.5, 0.99)
    tail = rng.uniform(0.25, 0.8, (shape[0], 1, 1))
    is_zero = rng.random((count, *shape)) < zero
    return np.where(is_zero, 0, rng.geometric(np.broadcast_to(tail, (count, *shape)))).astype(np.int32)


class Rans:
    """compressai's coder with one table per channel, called as its entropy models call it."""

    def __init__(self, symbols: np.ndarray) -> None:
        channels, top = symbols.shape[1], int(symbols.max()) + 1
        counts = [np.bincount(symbols[:, c].ravel(), minlength=top + 1) + 0.01 for c in range(channels)]
        tables = [pmf_to_quantized_cdf((count / count.sum()).tolist(), 16) for count in counts]
        self.cdf = torch.IntTensor(tables)
        self.lengths = torch.IntTensor([len(table) for table in tables])
        self.offsets = torch.zeros(channels, dtype=torch.int32)
        indexes = torch.arange(channels, dtype=torch.int32).view(-1, 1, 1)
        self.indexes = indexes.expand(symbols.shape[1:]).contiguous()
        self.encoder, self.decoder = ans.RansEncoder(), ans.RansDecoder()

    def tables(self) -> tuple[list, list, list, list]:
        """Converts what the coder takes to lists, on every call, as compressai does."""
        return self.indexes.reshape(-1).tolist(), self.cdf.tolist(), self.lengths.tolist(), self.offsets.tolist()

    def encode(self, symbols: torch.Tensor) -> bytes:
        """Returns the code of (C, h, w) integers."""
        return self.encoder.encode_with_indexes(symbols.reshape(-1).tolist(), *self.tables())

    def decode(self, code: bytes) -> torch.Tensor:
        """Returns (C, h, w) int32."""
        values = self.decoder.decode_with_indexes(code, *self.tables())
        return torch.tensor(values, dtype=torch.int32).reshape(self.indexes.shape)

    def ideal_bits(self, symbols: np.ndarray) -> float:
        """Returns the code length under its own tables."""
        frequencies = np.diff(self.cdf.numpy(), axis=1)
        return float((16 - np.log2(frequencies[self.indexes.numpy(), symbols])).sum())


def with_modes(coder: StaticCoder) -> ModeCoder:
    """Returns a coder of as many modes as are usual, all with the same tables: the time does not depend on those."""
    equal = np.full(MODES, (1 << 24) // MODES)
    shared = (coder.frequencies, coder.channel_assignment, np.stack([coder.assignment] * MODES))
    return ModeCoder(*shared, coder.latent_size, equal)


def print_overhead() -> None:
    """Prints mean bytes per latent and what is above the code length of each coder's own tables."""
    print("Bytes above the ideal code length of the coder's own tables (mean per latent, held-out latents)")
    print(f"{'shape':>10} {'bytes':>8} {'over':>6} {'worst':>6} | {'rANS':>8} {'over':>6} | {'tables':>7}")
    for shape in OVERHEAD_SHAPES:
        latents = sparse_latents(TRAIN + TEST, shape)
        coder, rans = StaticCoder.fit(latents[:TRAIN]), Rans(latents)
        ours = [(len(coder.encode(x)), coder.ideal_bits(x) / 8) for x in latents[TRAIN:]]
        theirs = [(len(rans.encode(torch.from_numpy(x))), rans.ideal_bits(x) / 8) for x in latents[TRAIN:]]
        over = [size - ideal for size, ideal in ours]
        print(
            f"{'x'.join(map(str, shape)):>10} {statistics.mean(size for size, _ in ours):8.1f} "
            f"{statistics.mean(over):6.2f} {max(over):6.2f} | {statistics.mean(size for size, _ in theirs):8.1f} "
            f"{statistics.mean(size - ideal for size, ideal in theirs):6.2f} | {coder.table_bytes:7d}"
        )


def print_speed(shape: tuple[int, int, int], repeats: int) -> None:
    """Prints times in microseconds per latent and how many times as long the others take."""
    latents = sparse_latents(TRAIN // 2, shape)
    symbols = torch.from_numpy(latents[-1])
    coder, rans = StaticCoder.fit(latents), Rans(latents)
    modes = with_modes(coder)
    huffman = HuffmanCodec.from_frequencies(Counter(latents.ravel().tolist()))
    array = latents[-1].reshape(-1)
    codes = coder.encode(symbols), rans.encode(symbols), huffman.encode(array.tolist()), modes.encode(symbols)
    if not torch.equal(coder.decode(codes[0], shape), symbols) or not torch.equal(rans.decode(codes[1]), symbols):
        raise SystemExit("a coder did not give back what it was given")
    rows = {
        "static tables": (lambda: coder.encode(symbols), lambda: coder.decode(codes[0], shape)),
        f"{MODES} modes of static tables": (lambda: modes.encode(symbols), lambda: modes.decode(codes[3], shape)),
        "compressai rANS": (lambda: rans.encode(symbols), lambda: rans.decode(codes[1])),
        "dahuffman, array (as released)": (lambda: huffman.encode(array), lambda: huffman.decode(codes[2])),
        "dahuffman, list of int": (lambda: huffman.encode(array.tolist()), lambda: huffman.decode(codes[2])),
    }
    sizes = dict(zip(rows, [len(codes[index]) for index in (0, 3, 1, 2, 2)], strict=True))
    calls = {(name, way): call for name, pair in rows.items() for way, call in enumerate(pair)}
    rounds = take_turns(calls, repeats, seconds=0.02)
    times = {name: tuple(median(rounds[name, way]) * 1e3 for way in (0, 1)) for name in rows}
    base = times["static tables"]
    print(
        f"\n{'x'.join(map(str, shape))}, batch 1, microseconds; ratio = time of the coder / time of the static tables"
    )
    print(f"{'coder':>31} {'bytes':>6} {'encode':>9} {'ratio':>7} {'decode':>9} {'ratio':>7} {'both':>7}")
    for name, (encode, decode) in times.items():
        print(
            f"{name:>31} {sizes[name]:6d} {encode:9.1f} {encode / base[0]:7.1f} "
            f"{decode:9.1f} {decode / base[1]:7.1f} {(encode + decode) / sum(base):7.1f}"
        )


def main() -> None:
    """Prints all tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=30, help="timings behind each median")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(machine_line())
    print_overhead()
    for shape in SPEED_SHAPES:
        print_speed(shape, arguments.repeats)


if __name__ == "__main__":
    main()
