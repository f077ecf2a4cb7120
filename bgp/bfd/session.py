"""One session of RFC 5880 in asynchronous mode: what to send and when, and whether the other side is alive. Sans-IO.

    Session(times, discriminator, rng, now)
    receive(packet, now)  ─┐                     ┌─ take() -> packets to send now
    advance(now)          ─┴─ state variables ───┴─ deadline() -> when to call advance

We take the active role, never echo, and do not ask for demand mode; a peer that asks for it gets it. Authentication is
not part: GTSM (RFC 5881 5) keeps strangers away from direct neighbours. Names in comments are those of the RFC.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping

from bgp.bfd.packet import Diagnostic, Packet, State
from bgp.limits import BFD_SLOW_TX_S
from bgp.peer import BfdTimes

_US = 1_000_000
_SLOW_TX_US = int(BFD_SLOW_TX_S * _US)

# RFC 5880 6.8.6 and 6.2: (ours, the other's) -> what follows. What is not here changes nothing.
_TRANSITIONS: Mapping[tuple[State, State], State] = {
    (State.DOWN, State.DOWN): State.INIT,
    (State.DOWN, State.INIT): State.UP,
    (State.INIT, State.ADMIN_DOWN): State.DOWN,
    (State.INIT, State.INIT): State.UP,
    (State.INIT, State.UP): State.UP,
    (State.UP, State.ADMIN_DOWN): State.DOWN,
    (State.UP, State.DOWN): State.DOWN,
}


class Session:
    """See the module. Times are seconds of a clock that never goes back.

    Args:
        discriminator: ours; unique on this machine and hard to guess.
        rng: of the jitter.

    Attributes:
        state: SessionState.
        remote_state: RemoteSessionState: what the other side said last.
        diagnostic: LocalDiag: why ours changed last.
        remote_diagnostic: what the other side said of that.
    """

    def __init__(self, times: BfdTimes, discriminator: int, rng: random.Random, now: float) -> None:
        self._interval_us = times.interval_ms * 1000
        self._multiplier = times.multiplier
        self.discriminator = discriminator
        self._rng = rng
        self.state = self.remote_state = State.DOWN
        self.diagnostic: int = Diagnostic.NONE
        self.remote_diagnostic: int = Diagnostic.NONE
        self._remote_discriminator = 0
        self._remote_min_rx_us = 1
        self._remote_min_tx_us = 0
        self._remote_multiplier = 0
        self._remote_demands = False
        self._polling = False  # a Poll Sequence (6.5) is under way
        self._heard: float | None = None  # when the last valid packet came; None: none within a detection time
        self._sent = now
        self._next_tx = now
        self._send_due = self._final_due = False

    @property
    def desired_min_tx_us(self) -> int:
        """DesiredMinTxInterval: at least a second while not up (6.8.3)."""
        return self._interval_us if self.state == State.UP else max(_SLOW_TX_US, self._interval_us)

    @property
    def detection_s(self) -> float:
        """Detection Time (6.8.4), in seconds; 0 before anything was heard."""
        return self._remote_multiplier * max(self._interval_us, self._remote_min_tx_us) / _US

    def receive(self, packet: Packet, now: float) -> bool:
        """Reception of RFC 5880 6.8.6, after the checks of `Packet.decode`. Whether the packet was this session's."""
        if packet.your_discriminator not in (0, self.discriminator):
            return False
        self._heard = now
        self._remote_discriminator = packet.my_discriminator
        self.remote_state, self.remote_diagnostic = packet.state, packet.diagnostic
        self._remote_demands = packet.demand
        interval_before = self._tx_interval_us()
        self._remote_min_rx_us = packet.required_min_rx_us
        self._remote_min_tx_us = packet.desired_min_tx_us
        self._remote_multiplier = packet.multiplier
        if packet.final:
            self._polling = False
        if self.state == State.ADMIN_DOWN:
            return True
        following = _TRANSITIONS.get((self.state, packet.state))
        if following is not None:
            why = Diagnostic.NEIGHBOUR_SAID_DOWN if following == State.DOWN else Diagnostic.NONE
            self._change(following, why, now)
        elif self._tx_interval_us() != interval_before:
            self._schedule()  # 6.8.7: a new interval counts from the last packet on, at once
        if packet.poll:
            self._final_due = True  # 6.8.7: without respect to the timer
        return True

    def advance(self, now: float) -> None:
        """Do what is due."""
        if self._heard is not None and now >= self._heard + self.detection_s:
            # 6.8.1: who is silent for so long may come back as another session; 6.8.4.
            self._heard, self._remote_discriminator, self._remote_min_rx_us = None, 0, 1
            self.remote_state, self._remote_demands = State.DOWN, False
            if self.state in (State.INIT, State.UP):
                self._change(State.DOWN, Diagnostic.TIME_EXPIRED, now)
        if now >= self._next_transmission():
            self._transmit(now)

    def deadline(self) -> float:
        """When to call `advance` at the latest; infinity for not before something else happens."""
        silent = math.inf if self._heard is None else self._heard + self.detection_s
        return min(silent, self._next_transmission())

    def take(self) -> list[Packet]:
        """What is to be sent now, each packet once: at most two, whatever came meanwhile."""
        outgoing = [
            self._packet(final=final) for final in (False, True) if (self._final_due if final else self._send_due)
        ]
        self._send_due = self._final_due = False
        return outgoing

    def leave(self, now: float) -> None:
        """To AdminDown (6.8.16): the other side is told at once that we went by intention.

        BIRD 2 ends its BGP session on that as it does on silence: withdraw first.
        """
        if self.state != State.ADMIN_DOWN:
            self._change(State.ADMIN_DOWN, Diagnostic.ADMINISTRATIVELY_DOWN, now)

    def _change(self, state: State, diagnostic: Diagnostic, now: float) -> None:
        desired_before = self.desired_min_tx_us
        self.state, self.diagnostic = state, diagnostic
        # 6.8.3: a changed interval is agreed on by a Poll Sequence.
        self._polling = self._polling or self.desired_min_tx_us != desired_before
        # 6.8.7: news are sent at once. On coming up they must be: the other side expects the short interval now.
        self._transmit(now)

    def _transmit(self, now: float) -> None:
        self._send_due = True
        self._sent = now
        self._schedule()

    def _schedule(self) -> None:
        # 6.8.7: up to a quarter less, and with a multiplier of one never the whole interval: routers in step would
        # otherwise send all at one moment.
        most = 0.9 if self._multiplier == 1 else 1.0
        self._next_tx = self._sent + self._tx_interval_us() / _US * self._rng.uniform(0.75, most)

    def _tx_interval_us(self) -> int:
        return max(self.desired_min_tx_us, self._remote_min_rx_us)

    def _next_transmission(self) -> float:
        """6.8.7: not to who takes no packets, nor to who asked for none while both are up and nothing is polled."""
        demanded = self._remote_demands and self.state == self.remote_state == State.UP and not self._polling
        return math.inf if demanded or not self._remote_min_rx_us else self._next_tx

    def _packet(self, *, final: bool = False) -> Packet:
        return Packet(
            self.state,
            self.discriminator,
            self._remote_discriminator,
            self._multiplier,
            self.desired_min_tx_us,
            self._interval_us,
            diagnostic=self.diagnostic,
            poll=self._polling and not final,
            final=final,
        )
