"""A provider's metadata service on this machine, in Equinix's or Vultr's shape, that fails as it is told to.

    with serving(folder) as server:                                # here, on loopback
        server.say(equinix(...))
        server.fail("malformed")
    lab.start(place, command("169.254.169.254", 80, folder))      # at a place of a lab; `Controls(folder)` steers it

It reads the folder at each request, so that whoever has the folder steers it while it runs. Late is that it is not
started yet, refused that it has ended.
"""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

DOCUMENT, FAULT = "document", "fault"
VULTR_ADDRESS, VULTR_PATH = "169.254.169.254", "/v1.json"
EQUINIX_PATH = "/metadata"


class Controls:
    """What a server answers, from now on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def say(self, document: Mapping[str, Any]) -> None:
        """This, and nothing wrong with it."""
        self._write(DOCUMENT, json.dumps(document))
        self.fail("")

    def fail(self, fault: str) -> None:
        """
        Args:
            fault: of `FAULTS`; "" for none.
        """
        assert not fault or fault in FAULTS, fault
        self._write(FAULT, fault)

    def _write(self, name: str, text: str) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        new = self.folder / f".{name}"
        new.write_text(text)
        os.replace(new, self.folder / name)


class Server(Controls):
    """One in this process. Attributes: url: of its root."""

    def __init__(self, folder: Path, url: str) -> None:
        super().__init__(folder)
        self.url = url


@contextlib.contextmanager
def serving(folder: Path, host: str = "127.0.0.1", port: int = 0) -> Iterator[Server]:
    """Until the block ends; what it is at then is cut off."""
    with _Http((host, port), folder) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield Server(folder, f"http://{host}:{server.server_address[1]}")
        finally:
            server.ending.set()
            server.shutdown()
            thread.join()


def command(host: str, port: int, folder: Path) -> list[str]:
    """That runs one until it is ended."""
    here = Path(__file__).parents[1]
    return ["env", "-C", str(here), sys.executable, "-m", "tests.metadata_server", host, str(port), str(folder)]


# --- what providers say ---


def equinix(
    *,
    asn: int,
    peer_asn: int,
    routers: Mapping[int, Sequence[str]],
    local: Mapping[int, str],
    gateways: Mapping[int, str],
    password: str = "",
) -> dict[str, Any]:
    """As Equinix Metal's machines saw it, with much that no node reads.

    Args:
        routers, local, gateways: by family, 4 and 6; a family that `routers` does not have has no session.
    """
    addresses = [
        {
            "id": f"00000000-0000-4000-8000-00000000000{version}",
            "address_family": version,
            "netmask": "255.255.255.254" if version == 4 else "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe",
            "public": version == 6,
            "cidr": 31 if version == 4 else 127,
            "management": True,
            "enabled": True,
            "network": gateways[version],
            "address": local[version],
            "gateway": gateways[version],
        }
        for version in local
    ]
    # The public IPv4 address comes first, and is not the one that sessions are spoken from.
    public = {"address_family": 4, "netmask": "255.255.255.254", "public": True, "cidr": 31, "management": True}
    public |= {"enabled": True, "address": "198.51.100.3", "gateway": "198.51.100.2"}
    neighbors = [
        {
            "address_family": version,
            "customer_as": asn,
            "customer_ip": local[version],
            "md5_enabled": bool(password),
            "md5_password": password or None,
            "multihop": True,
            "peer_as": peer_asn,
            "peer_ips": list(peers),
            "routes_in": [{"route": "203.0.113.10/32", "exact": False}],
            "routes_out": [],
        }
        for version, peers in routers.items()
    ]
    return {
        "id": "2f8d5c5e-6f61-4b3c-9a0e-a4a7b8a8c0de",
        "hostname": "edge-1",
        "plan": "c3.small.x86",
        "facility": "am6",
        "metro": "am",
        "tags": [],
        "network": {"bonding": {"mode": 4}, "interfaces": [], "addresses": [public, *addresses]},
        "bgp_neighbors": neighbors,
        "api_url": "https://metadata.packet.net",
    }


def vultr(
    *,
    asn: int,
    peer_asn: int,
    routers: Mapping[int, str],
    local: Mapping[int, str],
    gateway: str,
) -> dict[str, Any]:
    """As a server at Vultr sees it: numbers are strings, and what is not there is empty.

    Args:
        routers, local: by family; one that `routers` does not have is not enabled.
        gateway: of IPv4. That of IPv6 is not in there.
    """
    sessions = {
        f"ipv{version}": {
            "my-address": local[version] if version in routers else "",
            "my-asn": str(asn) if version in routers else "",
            "peer-address": routers.get(version, ""),
            "peer-asn": str(peer_asn) if version in routers else "",
        }
        for version in (4, 6)
    }
    interface = {
        "ipv4": {"additional": [], "address": local[4], "gateway": gateway, "netmask": "255.255.254.0"},
        "ipv6": {"additional": [], "address": local.get(6, ""), "network": "", "prefix": "64" if 6 in local else ""},
        "mac": "56:00:00:1b:4e:ca",
        "network-type": "public",
    }
    return {
        "bgp": sessions,
        "hostname": "edge-1",
        "instance-v2-id": "36e9cf60-5d93-4e31-8ebf-613b3d2874fb",
        "instanceid": "42872224",
        "interfaces": [interface],
        "public-keys": [],
        "region": {"regioncode": "AMS"},
        "tags": [],
    }


# --- the server ---


class _Http(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True

    def __init__(self, address: tuple[str, int], folder: Path) -> None:
        self.folder = folder
        self.ending = threading.Event()
        super().__init__(address, _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Who hung up early is no news."""


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _Http

    def do_GET(self) -> None:
        fault = (self.server.folder / FAULT).read_text()
        document = (self.server.folder / DOCUMENT).read_bytes()
        if fault:
            FAULTS[fault](self, document)
        elif self.path in (VULTR_PATH, EQUINIX_PATH):
            self.answer(200, document)
        else:
            self.answer(404, b"")

    def answer(self, status: int, body: bytes, length: int | None = None) -> None:
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: Any) -> None:
        """Nothing: what a node says of it is what counts."""


def _slow(handler: _Handler, document: bytes) -> None:
    """A byte now and then: whoever waits for the whole waits for minutes."""
    handler.answer(200, b"", len(document))
    for byte in document:
        handler.wfile.write(bytes([byte]))
        handler.wfile.flush()
        if handler.server.ending.wait(1.0):
            return


def _endless(handler: _Handler, _document: bytes) -> None:
    handler.send_response(200)
    handler.end_headers()
    while not handler.server.ending.is_set():
        handler.wfile.write(b" " * 65536)


def _reset(handler: _Handler, _document: bytes) -> None:
    linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"  # on, for 0 s: close(2) sends a reset
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    handler.close_connection = True


FAULTS: Mapping[str, Callable[[_Handler, bytes], None]] = {
    "missing": lambda handler, _document: handler.answer(404, b"no such thing"),
    "error": lambda handler, _document: handler.answer(500, b"{}"),
    "malformed": lambda handler, document: handler.answer(200, document[: len(document) // 2]),
    "not-json": lambda handler, _document: handler.answer(200, b"<html>It works!</html>"),
    "short": lambda handler, document: handler.answer(200, document[:10], len(document)),
    "elsewhere": lambda handler, _document: handler.answer(302, b""),
    "slow": _slow,
    "silent": lambda handler, _document: handler.server.ending.wait() and None,
    "endless": _endless,
    "reset": _reset,
}


if __name__ == "__main__":
    with _Http((sys.argv[1], int(sys.argv[2])), Path(sys.argv[3])) as _server:
        _server.serve_forever()
