"""A process with BFD and nothing else: `python -m tests.bgp.bfd.daemon LOCAL PEER INTERVAL_MS MULTIPLIER HOPS`.

Writes a line of JSON for each change of state. SIGTERM: it leaves as a daemon does. The last line has the CPU it took.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from ipaddress import ip_address

import trio

from bgp.bfd.service import Bfd
from bgp.peer import BfdTimes, Peer


async def main(local: str, remotes: str, interval_ms: str, multiplier: str, hops: str) -> None:
    peers = [
        Peer(
            name=remote,
            address=ip_address(remote),
            asn=64500,
            local_address=ip_address(local),
            multihop=int(hops),
            bfd=BfdTimes(int(interval_ms), int(multiplier)),
        )
        for remote in remotes.split(",")
    ]

    def say(**what: object) -> None:
        sys.stdout.write(json.dumps({"time": time.monotonic(), **what}) + "\n")
        sys.stdout.flush()

    bfd = Bfd(peers, changed=lambda name, state: say(peer=name, state=state))
    with trio.open_signal_receiver(signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            await nursery.start(bfd.run)
            say(state="running")
            async for _ in signals:
                break
            await bfd.leave()
            nursery.cancel_scope.cancel()
    say(state="left", cpu_s=time.process_time(), dropped=bfd.dropped, alarms=bfd.alarms())


if __name__ == "__main__":
    trio.run(main, *sys.argv[1:])
