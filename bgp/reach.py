"""Why a session does not come up: evidence is gathered, then judged by a table.

    Peer, SessionFacts ── gather ──> Facts ── explain ──> Finding(error, remedy)
                         tries TCP           pure: bgp.reach_rules

A router drops what does not fit its TCP-MD5 key or its TTL without a word, and neither side logs it. So it is tried as
the session does it, and then with one thing changed at a time: what works then is what differs.
"""

from __future__ import annotations

import trio

from bgp.attempt import TTL_HIGHEST, Outcome, Variant, attempt, is_answering
from bgp.greeting import Greeting
from bgp.peer import Peer
from bgp.reach_rules import ANY_TTL, AS_CONFIGURED, WITH_TTL, WITHOUT_KEY, Facts, Finding, SessionFacts, explain

_SWALLOWED: tuple[Outcome, ...] = ("timeout", "unreachable", "deaf")


async def investigate(peer: Peer, session: SessionFacts) -> Finding:
    """Find out. Only for a session that has been down for a while, and not often: the router sees a connection that is
    closed again, and turns away one that comes at the same moment.

    Takes twice REACH_CONNECT_S_MAX and four times REACH_GREETING_S_MAX at the most, needs no privilege, raises nothing.
    """
    return explain(await gather(peer, session))


async def gather(peer: Peer, session: SessionFacts) -> Facts:
    """The evidence. What is configured is tried first: if that works, nothing else disturbs the router."""
    configured, *changed = variants(peer).items()
    attempts: dict[str, Outcome] = {}
    greeting, alive = Greeting("silent"), False

    async def configured_attempt() -> None:
        nonlocal greeting
        attempts[configured[0]], greeting = await attempt(peer, configured[1])

    async def changed_attempt(name: str, variant: Variant) -> None:
        attempts[name], _ = await attempt(peer, variant)

    async def liveness() -> None:
        nonlocal alive
        alive = await is_answering(peer)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(configured_attempt)
        nursery.start_soon(liveness)
    if attempts[AS_CONFIGURED] in _SWALLOWED:
        async with trio.open_nursery() as nursery:
            for name, variant in changed:
                nursery.start_soon(changed_attempt, name, variant)
    return Facts(peer, session, attempts, greeting, alive)


def variants(peer: Peer) -> dict[str, Variant]:
    """How to try, as the session does it first, then what is nearest to that."""
    key, demands = bool(peer.password), peer.ttl_security
    ttl = TTL_HIGHEST if demands else peer.multihop if peer.multihop > 1 else 0
    found = {AS_CONFIGURED: Variant(key, ttl, demands)}
    if key:
        found[WITHOUT_KEY] = Variant(False, ttl, demands)
    other, variant = (ANY_TTL, Variant(key, ttl, False)) if demands else (WITH_TTL, Variant(key, TTL_HIGHEST, False))
    found[other] = variant
    if key:
        found[f"{WITHOUT_KEY} and {other}"] = Variant(False, variant.ttl, False)
    return found
