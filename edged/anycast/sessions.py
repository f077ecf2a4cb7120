"""What a node.toml and a provider say of sessions -> `bgp.peer.SpeakerConfig`, with passwords out of their files."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

from bgp.limits import PASSWORD_CHARS_MAX
from bgp.metadata.provider_sessions import ProviderSessions
from bgp.peer import Peer, SpeakerConfig
from edged.anycast.config import BgpTable, PeerTable
from edged.errors import BgpPasswordUnusable, BgpSessionsInvalid
from edged.limits import PASSWORD_FILE_BYTES_MAX


def static_sessions(table: BgpTable) -> SpeakerConfig:
    """The peers that the file names. Blocks: reads their passwords.

    Raises:
        BgpPasswordUnusable
        BgpSessionsInvalid
    """
    assert table.asn is not None, "the grammar demands it where there are peers"
    return _config(table, table.asn, (_peer(each, table.hold_s) for each in table.peers))


def provider_sessions(table: BgpTable, found: ProviderSessions) -> SpeakerConfig:
    """The peers that the provider describes, with what the file says of all sessions. Blocks where it names a password,
    which is for sessions of which the provider says none.

    Raises:
        BgpPasswordUnusable
        BgpSessionsInvalid
    """
    file = None if table.metadata is None else table.metadata.password_file
    password = "" if file is None else read_password(file)
    peers = (replace(peer, hold_s=table.hold_s, password=peer.password or password) for peer in found.peers)
    return _config(table, found.asn if table.asn is None else table.asn, peers)


def read_password(file: Path) -> str:
    """The first line of a file that only its owner may read. Blocks.

    Raises:
        BgpPasswordUnusable: it cannot be read, others may read it, or its first line is no password.
    """
    try:
        with file.open("rb") as stream:
            mode = os.fstat(stream.fileno()).st_mode
            data = stream.read(PASSWORD_FILE_BYTES_MAX + 1)
    except OSError as error:
        raise BgpPasswordUnusable(f"{file} cannot be read: {error.strerror}") from error
    if stat.S_ISREG(mode) and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise BgpPasswordUnusable(f"others than its owner may use {file}", remedy=f"Run: chmod 600 {file}")
    password = data.split(b"\n")[0].rstrip(b"\r")
    if len(data) > PASSWORD_FILE_BYTES_MAX or not 0 < len(password) <= PASSWORD_CHARS_MAX:
        raise BgpPasswordUnusable(f"the first line of {file} has not 1 to {PASSWORD_CHARS_MAX} characters")
    if not all(0x20 <= byte < 0x7F for byte in password):
        raise BgpPasswordUnusable(f"the password in {file} has characters other than printable ASCII")
    return password.decode()


def _peer(table: PeerTable, hold_s: int) -> Peer:
    return Peer(
        name=table.name,
        address=table.address,
        asn=table.asn,
        local_address=table.local_address,
        next_hops=table.next_hops,
        port=table.port,
        password="" if table.password_file is None else read_password(table.password_file),
        ttl_security=table.ttl_security,
        multihop=table.multihop,
        interface=table.interface,
        hold_s=hold_s if table.hold_s is None else table.hold_s,
        bfd=table.bfd,
    )


def _config(table: BgpTable, asn: int, peers: Iterable[Peer]) -> SpeakerConfig:
    known = tuple(peers)
    router_id = table.router_id
    if router_id is None:
        local = (peer.local_address for peer in known)
        router_id = next((address for address in local if isinstance(address, IPv4Address)), None)
    if router_id is None:
        raise BgpSessionsInvalid("no session has a local IPv4 address that could be the router id")
    return SpeakerConfig(asn, router_id, known, table.deadman_s)
