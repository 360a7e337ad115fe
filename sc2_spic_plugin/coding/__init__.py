"""Entropy coding for deployment: integer tables, codes, payloads, containers; needs neither host framework."""

from .container import read_container, write_container
from .huffman import HuffmanCoder
from .mode_coder import ModeCoder
from .modes import MAX_MODES, fit_modes
from .payload import Payload, pack_payload, unpack_payload
from .published_table import PublishedTable
from .static_coder import StaticCoder
from .symbol_coder import SymbolCoder
from .symbol_tables import SymbolTables
from .tables import Tables, build_tables, count_symbols

__all__ = [
    "MAX_MODES",
    "HuffmanCoder",
    "ModeCoder",
    "Payload",
    "PublishedTable",
    "StaticCoder",
    "SymbolCoder",
    "SymbolTables",
    "Tables",
    "build_tables",
    "count_symbols",
    "fit_modes",
    "pack_payload",
    "read_container",
    "unpack_payload",
    "write_container",
]
