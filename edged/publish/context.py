"""Which fleets this user may talk to: one file a fleet, and which of them is meant when none is named.

    ~/.config/edged/current            the name of the fleet that is meant
    ~/.config/edged/fleets/NAME.toml   nodes, key, certificate, root keys
    ~/.config/edged/fleets/NAME.roster the newest roster seen: signed, checked again whenever it is read

`edged login` writes them. The key itself stays where it was made: a context names its file.
"""

from __future__ import annotations

import os
import re
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path

import tomli_w

from edged.errors import ContextInvalid, NotLoggedIn
from edged.limits import CONTEXT_BYTES_MAX, CONTEXT_NODES_MAX, ROSTER_BYTES_MAX
from edged.publish.files import replace_file

_FLEET_NAME = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,61}[a-z0-9])?").fullmatch
_KEY_ID = re.compile(r"[0-9a-f]{64}").fullmatch
_KEYS = {"fleet", "nodes", "key", "certificate", "root_keys"}


@dataclass(frozen=True, slots=True)
class Context:
    """One fleet, and who this user is in it.

    Attributes:
        fleet: its name.
        nodes: addresses as "host:port", tried in this order.
        key: PEM file of this user's private key; signs and speaks TLS.
        certificate: PEM file of this user's certificate.
        root_keys: raw Ed25519 public keys in hex; one of them has signed the roster that is kept.
        roster: the signed roster, as it came.
    """

    fleet: str
    nodes: tuple[str, ...]
    key: Path
    certificate: Path
    root_keys: tuple[str, ...]
    roster: bytes = b""


class ContextStore:
    """The contexts of this user, in a folder. Blocking; every call reads or writes a file or two.

    Raises (all methods):
        ContextInvalid: a file that is there and cannot be used.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def names(self) -> tuple[str, ...]:
        """Of all fleets, sorted."""
        try:
            files = sorted(self._fleets.glob("*.toml"))
        except OSError as error:
            raise ContextInvalid(f"{self._fleets} cannot be read: {error.strerror}") from None
        return tuple(file.stem for file in files if _FLEET_NAME(file.stem))

    def current(self) -> str | None:
        """The fleet that is meant when none is named: the one marked, or the only one there is."""
        name = _read(self._folder / "current", 256).decode("ascii", "replace").strip()
        names = self.names()
        if name in names:
            return name
        return names[0] if len(names) == 1 else None

    def load(self, fleet: str | None = None) -> Context:
        """The context of a fleet, or the current one.

        Raises:
            NotLoggedIn: there is none of that name, or none is current.
            ContextInvalid
        """
        name = self.current() if fleet is None else fleet
        names = self.names()
        if name is None:
            if names:
                raise NotLoggedIn(
                    f"none of the fleets {', '.join(names)} is the current one",
                    remedy="Name one with --fleet, or mark one with `edged login --use FLEET`.",
                )
            raise NotLoggedIn("you are not logged in to any fleet")
        if name not in names:
            raise NotLoggedIn(f"you are not logged in to a fleet `{name}`", remedy=_known(names))
        data = _read(self._file(name), CONTEXT_BYTES_MAX)
        return replace(_parse(self._file(name), data), roster=_read(self._roster(name), ROSTER_BYTES_MAX))

    def save(self, context: Context, *, current: bool = False) -> None:
        """Write a context, over one of the same fleet.

        Args:
            current: mark it as the one that is meant when none is named.
        """
        if not _FLEET_NAME(context.fleet):
            raise ContextInvalid(f"`{context.fleet}` is no name of a fleet")
        shape = {
            "fleet": context.fleet,
            "nodes": list(context.nodes),
            "key": str(context.key),
            "certificate": str(context.certificate),
            "root_keys": list(context.root_keys),
        }
        self.save_roster(context.fleet, context.roster)
        _write(self._file(context.fleet), tomli_w.dumps(shape).encode())
        if current:
            self.use(context.fleet)

    def save_roster(self, fleet: str, roster: bytes) -> None:
        """Keep a newer roster, which the caller has checked."""
        _write(self._roster(fleet), roster)

    def use(self, fleet: str) -> None:
        """Mark a fleet as the current one.

        Raises:
            NotLoggedIn: there is no context of that name.
            ContextInvalid
        """
        names = self.names()
        if fleet not in names:
            raise NotLoggedIn(f"you are not logged in to a fleet `{fleet}`", remedy=_known(names))
        _write(self._folder / "current", fleet.encode())

    @property
    def _fleets(self) -> Path:
        return self._folder / "fleets"

    def _file(self, fleet: str) -> Path:
        return self._fleets / f"{fleet}.toml"

    def _roster(self, fleet: str) -> Path:
        return self._fleets / f"{fleet}.roster"


def default_config_folder() -> Path:
    """`$XDG_CONFIG_HOME/edged`, or `~/.config/edged` (XDG Base Directory Specification).

    Raises:
        ContextInvalid: this user has no home.
    """
    base = os.environ.get("XDG_CONFIG_HOME", "")
    if os.path.isabs(base):  # the specification says to ignore a relative one
        return Path(base) / "edged"
    try:
        return Path.home() / ".config" / "edged"
    except RuntimeError:
        raise ContextInvalid(
            "there is no home folder to look for a fleet in", remedy="Name a folder in XDG_CONFIG_HOME."
        ) from None


def check_address(text: str) -> str:
    """`host:port`, where a node listens for the fleet.

    Raises:
        ValueError: it is not one; the message goes on after the text.
    """
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isascii() or not port.isdigit() or not 0 < int(port[:6]) < 65536:
        raise ValueError("is no HOST:PORT")
    if ":" in host and not (host.startswith("[") and host.endswith("]")):
        raise ValueError("is no HOST:PORT; an IPv6 address stands in brackets")
    return text


def _parse(file: Path, data: bytes) -> Context:
    try:
        values = tomllib.loads(data.decode())
    except (ValueError, RecursionError) as error:
        raise ContextInvalid(f"{file} cannot be read: {error}") from None
    if set(values) != _KEYS:
        wrong = sorted(set(values) ^ _KEYS)[0]
        raise ContextInvalid(f"{file}: `{wrong}` is {'unknown' if wrong in values else 'missing'}")
    fleet, nodes, root_keys = values["fleet"], values["nodes"], values["root_keys"]
    if fleet != file.stem:
        raise ContextInvalid(f"{file} is about the fleet {fleet!r}")
    if not _texts(nodes) or not 1 <= len(nodes) <= CONTEXT_NODES_MAX:
        raise ContextInvalid(f"{file}: `nodes` must be one to {CONTEXT_NODES_MAX} addresses")
    for address in nodes:
        try:
            check_address(address)
        except ValueError as error:
            raise ContextInvalid(f"{file}: `nodes`: {address!r} {error}") from None
    if not _texts(root_keys) or not root_keys or not all(map(_KEY_ID, root_keys)):
        raise ContextInvalid(f"{file}: `root_keys` must be keys of 64 hex digits")
    if not _texts([values["key"], values["certificate"]]):
        raise ContextInvalid(f"{file}: `key` and `certificate` must be paths")
    return Context(fleet, tuple(nodes), Path(values["key"]), Path(values["certificate"]), tuple(root_keys))


def _texts(values: object) -> bool:
    return isinstance(values, list) and all(isinstance(value, str) for value in values)


def _known(names: tuple[str, ...]) -> str:
    return f"Name one of: {', '.join(names)}, or run `edged login`." if names else NotLoggedIn.default_remedy


def _read(file: Path, bytes_max: int) -> bytes:
    """What a file holds, b"" if it is not there."""
    try:
        with file.open("rb") as stream:
            data = stream.read(bytes_max + 1)
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise ContextInvalid(f"{file} cannot be read: {error.strerror}") from None
    if len(data) > bytes_max:
        raise ContextInvalid(f"{file} has more than {bytes_max} bytes")
    return data


def _write(file: Path, data: bytes) -> None:
    try:
        replace_file(file, data)
    except OSError as error:
        raise ContextInvalid(
            f"{file} cannot be written: {error.strerror}", remedy="Make the folder writable, or set XDG_CONFIG_HOME."
        ) from None
