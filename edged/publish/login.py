"""How this user comes to know a fleet: from the folder it was made in, or from a node and the id of a root key."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import trio

from edged.errors import LinkError, LoginRefused, UsageError
from edged.fleet.certificate import Identity, load_identity
from edged.fleet.client import connect
from edged.fleet.peer import Anchors
from edged.fleet.roster import Roster
from edged.fleet.session import Hello
from edged.fleet.tls import ALPN
from edged.limits import LINK_HANDSHAKE_TIMEOUT_S, RECORD_BYTES_MAX
from edged.publish.admitted import admitted
from edged.publish.context import Context
from edged.publish.fleet import admissions, rosters
from edged.publish.link import Client
from edged.version import VERSION
from registry.keys import PublicKey

ROSTER_FILE = "roster.bin"
OPERATOR_KEY = "operator.key"


def from_folder(folder: Path, key: Path | None = None) -> Context:
    """The context of a fleet whose folder (`edged fleet init`) is on this machine. Blocking.

    The folder is believed: whoever can write there can sign for the fleet.

    Args:
        key: in place of the operator's, which lies there.

    Raises:
        UsageError: it is no such folder, or the roster has no node yet.
        EdgedError: the roster or the key cannot be used.
    """
    file = folder / ROSTER_FILE
    try:
        with file.open("rb") as stream:
            envelope = stream.read(RECORD_BYTES_MAX + 1)
    except OSError as error:
        raise UsageError(
            f"{file} cannot be read: {error.strerror}",
            remedy="Name a folder made by `edged fleet init`, after `edged fleet sign`, or a node's HOST:PORT.",
        ) from None
    roster = Roster.open(envelope)
    if not roster.nodes:
        raise UsageError(
            f"the fleet {roster.fleet} has no node yet", remedy="Add one with `edged fleet add-node`, then sign."
        )
    key = (folder / OPERATOR_KEY if key is None else key).absolute()
    _check_known(roster, load_identity(key, certificate_beside(key)))
    return _context(roster, envelope, tuple(node.address for node in roster.nodes), key)


async def from_node(addresses: Sequence[str], fleet: str, key: Path, root_key: str) -> Context:
    """The context of a fleet that is known by the id of a root key and by the address of a node.

    The node is not believed until it shows a roster that this root key has signed, and in which it is itself.

    Args:
        addresses: tried in this order; all are kept.
        key: PEM file, absolute; its certificate lies beside it as `.crt`, and the roster has it.
        root_key: id of the root key: sha256 of the raw public key, 64 hex digits.

    Raises:
        LoginRefused: the node is of another fleet, or does not know us.
        LinkError: none can be reached.
        EdgedError: the key cannot be used.
    """
    identity = await trio.to_thread.run_sync(load_identity, key, certificate_beside(key))
    reasons = []
    for address in addresses:
        try:
            certificate = await fetch_certificate(address)
            async with _connect(address, certificate, identity, fleet) as client:
                answer = await client.call("roster")
        except LinkError as error:
            reasons.append(f"{address}: {error.message}")
            continue
        envelope = rosters(answer)[-1]
        roster = _believed(envelope, fleet, root_key)
        nodes = (*roster.nodes, *await trio.to_thread.run_sync(admitted, roster, admissions(answer)))
        if all(node.certificate != certificate for node in nodes):
            raise LoginRefused("the node is not in the roster that it shows", remedy="Name another node of the fleet.")
        _check_known(roster, identity)
        every = dict.fromkeys([*addresses, *(node.address for node in nodes)])
        return _context(roster, envelope, tuple(every), key)
    raise LinkError(
        "\n".join(["no node answers as one of this fleet", *reasons]),
        remedy="Check the addresses and the name of the fleet, and that the roster has your certificate.",
    )


def certificate_beside(key: Path) -> Path:
    """Where the certificate of a key lies: `operator.key` has `operator.crt`."""
    return key.with_suffix(".crt")


async def fetch_certificate(address: str) -> bytes:
    """The certificate that a node shows, DER. Nothing is said about who it is.

    Raises:
        LinkError: nobody answers there, or not with TLS 1.3.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # looked at, not believed: see `_believed`
    context.set_alpn_protocols([ALPN])
    host, _, port = address.rpartition(":")
    try:
        with trio.fail_after(LINK_HANDSHAKE_TIMEOUT_S):
            tcp = await trio.open_tcp_stream(host.strip("[]"), int(port))
            async with tcp:
                stream = trio.SSLStream(tcp, context, https_compatible=True)
                await stream.do_handshake()
                certificate = stream.getpeercert(binary_form=True)
    except (OSError, trio.TooSlowError, trio.BrokenResourceError) as error:
        raise LinkError(f"nobody answers as a node does ({type(error).__name__})") from None
    if not certificate:
        raise LinkError("it shows no certificate")
    return bytes(certificate)


def _connect(address: str, certificate: bytes, identity: Identity, fleet: str) -> AbstractAsyncContextManager[Client]:
    anchors = Anchors.of_nodes([(address, certificate)])
    hello = Hello(fleet=fleet, name=identity.name, edged=VERSION)
    return connect(address, identity, anchors, hello=hello)


def _believed(envelope: bytes, fleet: str, root_key: str) -> Roster:
    roster = Roster.open(envelope)
    root = next((raw for raw in roster.root_keys if PublicKey(raw).id == root_key), None)
    if root is None or roster.fleet != fleet:
        raise LoginRefused(
            f"the node's fleet is {roster.fleet}, and not the one of root key {root_key[:16]}",
            remedy="Compare the root key's id with the operator, on another way than this network.",
        )
    return Roster.open(envelope, [root])


def _check_known(roster: Roster, identity: Identity) -> None:
    if all(key.certificate != identity.certificate for key in roster.keys):
        raise LoginRefused(
            f"the fleet {roster.fleet} does not know the certificate of {identity.name}",
            remedy="Have the operator add it with `edged fleet add-key` and sign the roster.",
        )


def _context(roster: Roster, envelope: bytes, nodes: tuple[str, ...], key: Path) -> Context:
    roots = tuple(raw.hex() for raw in roster.root_keys)
    return Context(roster.fleet, nodes, key, certificate_beside(key), roots, envelope)
