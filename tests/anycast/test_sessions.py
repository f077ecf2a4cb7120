"""Sessions out of a node.toml and a provider's description, and passwords out of their files."""

from __future__ import annotations

import os
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import pytest

from bgp.metadata.provider_sessions import ProviderSessions
from bgp.peer import Peer
from edged.anycast.config import BgpTable, MetadataTable, PeerTable
from edged.anycast.sessions import provider_sessions, read_password, static_sessions
from edged.errors import BgpPasswordUnusable, BgpSessionsInvalid

ROUTER, LOCAL = IPv4Address("192.0.2.1"), IPv4Address("192.0.2.2")
ROUTER6, LOCAL6 = IPv6Address("2001:db8::1"), IPv6Address("2001:db8::2")


def password_file(folder: Path, content: bytes, mode: int = 0o600) -> Path:
    file = folder / "password"
    file.write_bytes(content)
    file.chmod(mode)
    return file


@pytest.mark.parametrize("content", [b"s3cret", b"s3cret\n", b"s3cret\r\nmore\n", b" ", b"x" * 80])
def test_passwords(tmp_path: Path, content: bytes) -> None:
    assert read_password(password_file(tmp_path, content)) == content.split(b"\n")[0].rstrip(b"\r").decode()


@pytest.mark.parametrize("content", [b"", b"\n", b"x" * 81, b"a\tb", "ü".encode(), b"x\n" + b" " * 300, b"a\0b"])
def test_passwords_that_are_none(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(BgpPasswordUnusable) as caught:
        read_password(password_file(tmp_path, content))
    assert "xx" not in caught.value.message


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601])
def test_a_password_that_others_may_use(tmp_path: Path, mode: int) -> None:
    with pytest.raises(BgpPasswordUnusable, match="others") as caught:
        read_password(password_file(tmp_path, b"s3cret", mode))
    assert "chmod 600" in caught.value.remedy


def test_a_password_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BgpPasswordUnusable, match="No such file"):
        read_password(tmp_path / "password")


def test_peers_of_the_file(tmp_path: Path) -> None:
    one = PeerTable("r1", ROUTER, 65101, LOCAL, password_file=password_file(tmp_path, b"s3cret\n"), port=1790)
    other = PeerTable("r2", ROUTER6, 65102, LOCAL6, hold_s=30)
    config = static_sessions(BgpTable(asn=65200, peers=(other, one), hold_s=6, deadman_s=2.0))
    assert (config.asn, config.router_id, config.deadman_s) == (65200, LOCAL, 2.0)
    assert [(peer.name, peer.password, peer.hold_s, peer.port) for peer in config.peers] == [
        ("r2", "", 30, 179),
        ("r1", "s3cret", 6, 1790),
    ]
    assert "s3cret" not in repr(config)


def test_peers_of_a_provider() -> None:
    found = ProviderSessions(65300, (Peer("p", ROUTER, 65530, LOCAL, multihop=2),))
    table = BgpTable(metadata=MetadataTable("equinix"), hold_s=6)
    config = provider_sessions(table, found)
    assert (config.asn, config.router_id, config.peers[0].hold_s, config.peers[0].multihop) == (65300, LOCAL, 6, 2)
    assert provider_sessions(BgpTable(asn=65200, metadata=MetadataTable("equinix")), found).asn == 65200


def test_a_password_that_the_provider_does_not_say(tmp_path: Path) -> None:
    said = Peer("p", ROUTER, 65530, LOCAL, password="its own")
    found = ProviderSessions(65300, (said, Peer("q", ROUTER, 65530, LOCAL)))
    file = tmp_path / "password"
    table = BgpTable(metadata=MetadataTable("vultr", password_file=file))
    with pytest.raises(BgpPasswordUnusable):
        provider_sessions(table, found)
    file.touch(mode=0o600)
    file.write_text("s3cret\n")
    config = provider_sessions(table, found)
    assert [peer.password for peer in config.peers] == ["its own", "s3cret"]
    assert "s3cret" not in repr(config)


def test_a_router_id_is_an_ipv4_address_of_a_session_or_said() -> None:
    found = ProviderSessions(65300, (Peer("p", ROUTER6, 65530, LOCAL6),))
    with pytest.raises(BgpSessionsInvalid):
        provider_sessions(BgpTable(metadata=MetadataTable("equinix")), found)
    said = provider_sessions(BgpTable(metadata=MetadataTable("equinix"), router_id=LOCAL), found)
    assert said.router_id == LOCAL


def test_a_folder_is_no_password(tmp_path: Path) -> None:
    os.mkdir(tmp_path / "folder")
    with pytest.raises(BgpPasswordUnusable):
        read_password(tmp_path / "folder")
