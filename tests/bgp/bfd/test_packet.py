"""The control packet: bytes as RFC 5880 4.1 draws them, and whatever else arrives."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgp.bfd.packet import Diagnostic, Packet, State
from bgp.errors import BfdPacketInvalid

PACKET = Packet(
    State.UP, 0x01020304, 0x0A0B0C0D, 3, 100_000, 50_000, diagnostic=Diagnostic.NEIGHBOUR_SAID_DOWN, poll=True
)
BYTES = bytes.fromhex("23 e0 03 18 01020304 0a0b0c0d 000186a0 0000c350 00000000")


def changed(index: int, value: int) -> bytes:
    return BYTES[:index] + bytes([value]) + BYTES[index + 1 :]


def test_bytes() -> None:
    assert PACKET.encode() == BYTES
    assert Packet.decode(BYTES) == PACKET
    # The independence of control planes is of no matter to us.
    assert Packet.decode(changed(1, 0xE8)) == PACKET


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (changed(0, 0x43), "version 2"),
        (changed(0, 0x03), "version 0"),
        (changed(1, 0xE4), "authentication"),
        (changed(1, 0xE1), "more than one receiver"),
        (changed(2, 0), "multiplier or discriminator is 0"),
        (changed(3, 23), "says it has 23"),
        (changed(3, 25), "says it has 25"),
        (BYTES[:4] + bytes(4) + BYTES[8:], "multiplier or discriminator is 0"),
        (BYTES[:8] + bytes(4) + BYTES[12:], "nobody's"),
    ],
)
def test_what_is_discarded(data: bytes, message: str) -> None:
    with pytest.raises(BfdPacketInvalid, match=message):
        Packet.decode(data)


@pytest.mark.parametrize("state", State)
def test_a_stranger_may_only_be_down(state: State) -> None:
    data = Packet(state, 1, 0, 3, 1_000_000, 50_000).encode()
    if state in (State.DOWN, State.ADMIN_DOWN):
        assert Packet.decode(data).state == state
    else:
        with pytest.raises(BfdPacketInvalid):
            Packet.decode(data)


def test_byte_by_byte() -> None:
    for length in range(len(BYTES)):
        with pytest.raises(BfdPacketInvalid, match=f"of {length} bytes"):
            Packet.decode(BYTES[:length])
    assert Packet.decode(BYTES + b"what follows") == PACKET


U32 = st.integers(0, 2**32 - 1)


@given(
    st.builds(
        Packet,
        st.sampled_from([State.DOWN, State.INIT, State.UP, State.ADMIN_DOWN]),
        st.integers(1, 2**32 - 1),
        st.integers(1, 2**32 - 1),
        st.integers(1, 255),
        U32,
        U32,
        diagnostic=st.integers(0, 31),
        poll=st.booleans(),
        final=st.booleans(),
        demand=st.booleans(),
    )
)
def test_there_and_back(packet: Packet) -> None:
    assert Packet.decode(packet.encode()) == packet


@given(st.one_of(st.binary(max_size=60), st.binary(min_size=22, max_size=22).map(lambda data: b"\x20\xc0" + data)))
def test_any_bytes(data: bytes) -> None:
    with suppress(BfdPacketInvalid):
        packet = Packet.decode(data)
        # What was taken is said again with the same meaning; only what we do not speak (echo) is lost.
        assert Packet.decode(packet.encode()) == packet
