"""Payloads for files and untrusted links: what they are, for which bank, how long, and whether they arrived whole."""

import zlib
from collections.abc import Sequence

from ..errors import BitstreamError, ConfigError
from .varint import read_varint, write_varints

__all__ = ["DIGEST_BYTES", "MAGIC", "VERSION", "read_container", "write_container"]

MAGIC = b"SPIC"
VERSION = 1
DIGEST_BYTES = 16
"""Bytes of a bank's SHA-256 that a container carries."""

_MAX_PAYLOADS = 1 << 24
_MAX_LENGTH = 1 << 30
_CHECKSUM_BYTES = 4


def _short_digest(digest: str | bytes) -> bytes:
    """Takes a digest as hex or bytes, whole or already cut."""
    try:
        raw = bytes.fromhex(digest) if isinstance(digest, str) else bytes(digest)
    except ValueError as error:
        raise ConfigError(f"`{digest!r}` is no digest: give the hex digits of the bank's SHA-256") from error
    if len(raw) < DIGEST_BYTES:
        raise ConfigError(f"a bank digest has {DIGEST_BYTES} bytes or more, this one {len(raw)}")
    return raw[:DIGEST_BYTES]


def write_container(payloads: Sequence[bytes], digest: str | bytes) -> bytes:
    """Returns one byte string that holds the payloads.

        "SPIC" | version | bank digest | number, lengths | payloads | CRC-32
         4       1         16            varints                      4 bytes, big-endian

    Args:
        payloads: byte strings, any number of them.
        digest: SHA-256 of the bank that decodes them, hex or bytes; 16 bytes of it are kept.

    Raises:
        ConfigError: the digest is too short or no hex.
    """
    head = MAGIC + bytes([VERSION]) + _short_digest(digest)
    body = head + write_varints([len(payloads), *map(len, payloads)]) + b"".join(payloads)
    return body + zlib.crc32(body).to_bytes(_CHECKSUM_BYTES, "big")


def read_container(data: bytes, expected_digest: str | bytes | None = None) -> list[bytes]:
    """Returns the payloads of a container, checked.

    Args:
        data: the whole container.
        expected_digest: SHA-256 of the bank at hand, or None to take payloads of any bank.

    Raises:
        BitstreamError: foreign, newer, truncated, altered, or of another bank; the message says which and what to do.
    """
    data = bytes(data)
    if data[: len(MAGIC)] != MAGIC[: len(data)]:
        raise BitstreamError("these are not SPIC data, they do not begin with `SPIC`: check which file was given")
    start = len(MAGIC) + 1 + DIGEST_BYTES
    if len(data) > len(MAGIC) and data[len(MAGIC)] > VERSION:
        raise BitstreamError(
            f"these data have format version {data[len(MAGIC)]}, this program knows up to {VERSION}: "
            "install a newer sc2-spic-plugin"
        )
    if len(data) < start + 1 + _CHECKSUM_BYTES:
        raise BitstreamError(f"the data are truncated, {len(data)} bytes are too few: transmit or copy them again")
    count, offset = read_varint(data, start, _MAX_PAYLOADS)
    if count > len(data):
        raise BitstreamError(
            f"{count} payloads in {len(data)} bytes: the data are truncated or altered; get them again"
        )
    lengths = []
    for _ in range(count):
        length, offset = read_varint(data, offset, _MAX_LENGTH)
        lengths.append(length)
    expected = offset + sum(lengths) + _CHECKSUM_BYTES
    if len(data) < expected:
        raise BitstreamError(f"the data are truncated, {len(data)} of {expected} bytes: transmit or copy them again")
    if len(data) > expected or zlib.crc32(data[:-_CHECKSUM_BYTES]) != int.from_bytes(data[-_CHECKSUM_BYTES:], "big"):
        raise BitstreamError("the data were altered, their checksum does not fit: transmit or copy them again")
    if expected_digest is not None and data[start - DIGEST_BYTES : start] != _short_digest(expected_digest):
        raise BitstreamError(
            f"the data were coded with another bank ({data[start - DIGEST_BYTES : start].hex()}): "
            "load the checkpoint that they were made with"
        )
    payloads = []
    for length in lengths:
        payloads.append(data[offset : offset + length])
        offset += length
    return payloads
