"""One byte of header on the link; files and untrusted links get a container that notices what happened to it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sc2_spic_plugin.coding import Payload, pack_payload, read_container, unpack_payload, write_container
from sc2_spic_plugin.errors import BitstreamError, ConfigError

SIDES = st.integers(1, 2000)
MORE = st.lists(st.integers(0, 1 << 16), max_size=14)
DIGEST = "ab" * 32


@given(st.integers(0, 63), SIDES, SIDES, MORE, st.binary(max_size=30))
def test_payloads_come_back(unit: int, height: int, width: int, more: list[int], code: bytes) -> None:
    payload = Payload(unit, (height, width, *more), code)
    assert unpack_payload(pack_payload(payload, (7, 7)), (7, 7)) == payload


def test_the_header_is_one_byte_where_everything_is_at_its_default() -> None:
    payload = Payload(63, (7, 7), b"code")
    assert pack_payload(payload, (7, 7)) == b"\x3fcode"
    assert pack_payload(Payload(0, (4, 4)), (4, 4)) == b"\x00"
    assert len(pack_payload(payload, (7, 8))) == 1 + 3 + 4


@given(st.binary(max_size=40))
@settings(max_examples=300)
def test_random_payloads_give_bounded_sizes_or_a_bitstream_error(data: bytes) -> None:
    try:
        payload = unpack_payload(data, (4, 4))
    except BitstreamError as error:
        assert "transmit" in str(error)
    else:
        assert 1 <= payload.sizes[0] * payload.sizes[1] <= 1 << 24
        assert 2 <= len(payload.sizes) <= 16 and max(payload.sizes) <= 1 << 16


@pytest.mark.parametrize(
    "payload",
    [
        Payload(64, (4, 4)),
        Payload(-1, (4, 4)),
        Payload(0, (0, 4)),
        Payload(0, (4,)),
        Payload(0, (1 << 17, 1)),
        Payload(0, (1 << 16, 1 << 16)),
        Payload(0, (4, 4, -1)),
        Payload(0, (4, 4) * 9),
    ],
)
def test_what_a_header_cannot_carry_is_refused(payload: Payload) -> None:
    with pytest.raises(ConfigError):
        pack_payload(payload, (4, 4))


@given(st.lists(st.binary(max_size=300), max_size=8))
def test_containers_come_back(payloads: list[bytes]) -> None:
    assert read_container(write_container(payloads, DIGEST), DIGEST) == payloads
    assert read_container(write_container(payloads, bytes.fromhex(DIGEST)[:16])) == payloads


def test_each_mishap_has_its_own_message() -> None:
    good = write_container([b"first payload", b"", b"third"], DIGEST)
    for data, message in [
        (b"\x89PNG" + good[4:], "not SPIC data"),
        (good[:4] + b"\x02" + good[5:], "install a newer"),
        (b"", "truncated"),
        (good[:20], "truncated"),
        (good[:-1], "truncated"),
        (good + b"x", "altered"),
        (good[:30] + b"!" + good[31:], "altered"),
    ]:
        with pytest.raises(BitstreamError, match=message):
            read_container(data, DIGEST)
    with pytest.raises(BitstreamError, match="another bank"):
        read_container(good, "cd" * 32)
    for digest in ("abcd", "no hex"):
        with pytest.raises(ConfigError, match="digest"):
            write_container([], digest)


def test_no_truncated_or_altered_container_is_read() -> None:
    good = write_container([b"first payload", b"second"], DIGEST)
    for end in range(len(good)):
        with pytest.raises(BitstreamError):
            read_container(good[:end], DIGEST)
    for bit in range(8 * len(good)):
        bad = bytearray(good)
        bad[bit // 8] ^= 1 << bit % 8
        with pytest.raises(BitstreamError):
            read_container(bytes(bad), DIGEST)


@given(st.binary(max_size=60))
@settings(max_examples=300)
def test_random_bytes_behind_a_container_head_are_refused(tail: bytes) -> None:
    with pytest.raises(BitstreamError):
        read_container(write_container([], DIGEST)[:21] + tail)
