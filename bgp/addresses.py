"""Anycast addresses on this machine: whether they are there, and putting them on `lo`.

A prefix that is announced by a machine without its address is a black hole, so the node asks before every probe. An
address stays when the node ends, unless we put it there and are told to take it away: others may use it.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterable

from bgp.errors import NetworkSettingFailed
from bgp.ip import ip, ip_json
from bgp.prefix import Address

_DISCARD_PORT = 9
_ABSENT = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL, errno.EACCES, errno.EINVAL})
"""What connect(2) answers for an address that is not ours and that no route leads to, or one that forbids it."""


def is_present(address: Address) -> bool:
    """Whether this machine has an address, on whatever interface. Takes microseconds, and sends nothing.

    The kernel is asked from where it would talk to the address: only if it is ours, the answer is the address itself.
    bind(2) would say the same, but succeeds with every address where `net.ipv4.ip_nonlocal_bind` is on.

    Raises:
        NetworkSettingFailed: the kernel would not tell, for want of file descriptors or of the family.
    """
    try:
        with socket.socket(socket.AF_INET if address.version == 4 else socket.AF_INET6, socket.SOCK_DGRAM) as sock:
            try:
                if address.is_loopback:  # which the kernel talks to from 127.0.0.1, whichever of them it is
                    sock.bind((str(address), 0))
                    return True
                sock.connect((str(address), _DISCARD_PORT))
            except OSError as error:
                if error.errno in _ABSENT:
                    return False
                raise
            return str(sock.getsockname()[0]) == str(address)
    except OSError as error:
        raise NetworkSettingFailed(
            f"whether {address} is on this machine cannot be told: {os.strerror(error.errno or 0)}"
        ) from error


def absent(addresses: Iterable[Address]) -> tuple[Address, ...]:
    """Those that this machine does not have.

    Raises:
        NetworkSettingFailed
    """
    return tuple(address for address in addresses if not is_present(address))


class OwnedAddresses:
    """Addresses that we put on `lo`."""

    def __init__(self) -> None:
        self._added: list[Address] = []

    async def own(self, addresses: Iterable[Address]) -> tuple[Address, ...]:
        """Put those that are missing on `lo`, each with the whole length of its family.

        May be called as often as one likes: what is there is left alone, even on another interface.

        Returns:
            Those that were put there. One that is on `lo` already is never ours, even where it looks absent: the
            kernel takes a moment with one of IPv6, and rules for routing may hide any.

        Raises:
            NetworkSettingForbidden: this takes CAP_NET_ADMIN.
            NetworkSettingFailed
        """
        missing = absent(addresses)
        there = await _on_lo() if missing else frozenset()
        added = tuple(address for address in missing if str(address) not in there)
        for address in added:
            # Else the kernel looks first whether others have it, and says for a moment that it is not ours.
            at_once = ("nodad",) if address.version == 6 else ()
            await ip("address", "add", _whole(address), "dev", "lo", *at_once)
            if address not in self._added:
                self._added.append(address)
        return added

    async def release(self) -> tuple[Address, ...]:
        """Take away what `own` put there, and nothing else. Only once no prefix with them is announced any more.

        Returns:
            What was taken away.

        Raises:
            NetworkSettingForbidden
            NetworkSettingFailed: those that are left are tried again by the next call.
        """
        released = []
        while self._added:
            address = self._added[-1]
            if is_present(address):
                await ip("address", "del", _whole(address), "dev", "lo")
            released.append(self._added.pop())
        return tuple(released)


async def _on_lo() -> frozenset[str]:
    shown = await ip_json("address", "show", "dev", "lo")
    return frozenset(str(each.get("local")) for entry in shown for each in entry.get("addr_info", ()))


def _whole(address: Address) -> str:
    return f"{address}/{address.max_prefixlen}"
