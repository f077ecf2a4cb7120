"""The control packet of RFC 5880 4.1, without authentication. Pure."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

from bgp.errors import BfdPacketInvalid

_FORMAT = struct.Struct("!BBBBIIIII")
_VERSION = 1
_POLL, _FINAL, _AUTHENTICATED, _DEMAND, _MULTIPOINT = 0x20, 0x10, 0x04, 0x02, 0x01
DIAGNOSTIC_HIGHEST = 31  # five bits


class State(IntEnum):
    """RFC 5880 6.2, with the numbers of 4.1."""

    ADMIN_DOWN = 0
    DOWN = 1
    INIT = 2
    UP = 3


class Diagnostic(IntEnum):
    """Those of RFC 5880 4.1 that we say ourselves: why our side changed its state last."""

    NONE = 0
    TIME_EXPIRED = 1
    NEIGHBOUR_SAID_DOWN = 3
    ADMINISTRATIVELY_DOWN = 7


@dataclass(frozen=True, slots=True)
class Packet:
    """Intervals are in microseconds.

    Attributes:
        your_discriminator: the `my_discriminator` of the other side; 0 while that is not known.
        demand: the sender wants no packets while both sides are up (6.6).
    """

    state: State
    my_discriminator: int
    your_discriminator: int
    multiplier: int
    desired_min_tx_us: int
    required_min_rx_us: int
    diagnostic: int = Diagnostic.NONE
    poll: bool = False
    final: bool = False
    demand: bool = False

    def encode(self) -> bytes:
        """24 bytes. We never echo, and so ask for no echo packets (Required Min Echo RX Interval 0)."""
        flags = self.state << 6 | _POLL * self.poll | _FINAL * self.final | _DEMAND * self.demand
        return _FORMAT.pack(
            _VERSION << 5 | self.diagnostic,
            flags,
            self.multiplier,
            _FORMAT.size,
            self.my_discriminator,
            self.your_discriminator,
            self.desired_min_tx_us,
            self.required_min_rx_us,
            0,
        )

    @classmethod
    def decode(cls, data: bytes) -> Packet:
        """The checks of RFC 5880 6.8.6 for which no session is needed. What follows the packet's length is ignored.

        Raises:
            BfdPacketInvalid: also for an authenticated packet, since we agreed on no authentication with anybody.
        """
        if len(data) < _FORMAT.size:
            raise BfdPacketInvalid(f"a BFD packet of {len(data)} bytes")
        first, flags, multiplier, length, mine, yours, desired_tx, required_rx, _ = _FORMAT.unpack_from(data)
        if first >> 5 != _VERSION:
            raise BfdPacketInvalid(f"a BFD packet of version {first >> 5}")
        if not _FORMAT.size <= length <= len(data):
            raise BfdPacketInvalid(f"a BFD packet of {len(data)} bytes that says it has {length}")
        if flags & (_AUTHENTICATED | _MULTIPOINT):
            raise BfdPacketInvalid("a BFD packet with authentication, or for more than one receiver")
        state = State(flags >> 6)
        if not multiplier or not mine:
            raise BfdPacketInvalid("a BFD packet whose multiplier or discriminator is 0")
        if not yours and state not in (State.DOWN, State.ADMIN_DOWN):
            raise BfdPacketInvalid(f"a BFD packet of a session in {state.name} that is nobody's")
        return cls(
            state,
            mine,
            yours,
            multiplier,
            desired_tx,
            required_rx,
            diagnostic=first & DIAGNOSTIC_HIGHEST,
            poll=bool(flags & _POLL),
            final=bool(flags & _FINAL),
            demand=bool(flags & _DEMAND),
        )
