"""fleet.toml: what people write, and the next roster is made of."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import tomli_w

from edged.errors import EdgedError, FleetFileInvalid
from edged.fleet.certificate import read_certificate
from edged.fleet.files import read_file
from edged.fleet.record import Version
from edged.fleet.roster import Key, Node, Region, Roster
from edged.limits import FLEET_TOML_BYTES_MAX

_MACHINES = {"provision", "machine"}
"""What machines are made of: not the roster's, and read by `edged provision`."""

_TOP = _MACHINES | {
    "fleet", "epoch", "domain", "regions", "prefixes", "allow_removal", "waves", "soak_s", "revoked", "root", "floors",
    "node", "key",
}  # fmt: skip
_ROOT = {"keys", "threshold"}
_NODE = {"name", "region", "address", "url", "certificate"}
_KEY = {"name", "roles", "apps", "regions", "certificate"}

Table = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Source:
    """A fleet.toml."""

    path: Path
    text: str

    def roster(self, version: int, previous: str) -> Roster:
        """The roster that it stands for, with these two added.

        Raises:
            FleetFileInvalid: a key that is unknown, missing or of another type. Values are checked by `Roster.seal`.
            FleetFileMissing, IdentityInvalid: a certificate that it names.
        """
        return _Reading(self.path).roster(self._document(), version, previous)

    def _document(self) -> Table:
        try:
            return tomllib.loads(self.text)
        except (ValueError, RecursionError) as error:  # ValueError: also a number of 5000 digits
            raise FleetFileInvalid(f"{self.path}: {error}") from error

    def with_table(self, name: str, table: Mapping[str, object]) -> Source:
        """With one more `[[node]]` or `[[key]]` at its end; everything else stays as people wrote it.

        Raises:
            FleetFileInvalid: what comes out of it could not be read.
        """
        added = Source(self.path, f"{self.text.rstrip()}\n\n[[{name}]]\n{tomli_w.dumps(table)}")
        added._document()
        return added


def read_source(path: Path) -> Source:
    """Raises: FleetFileMissing, FleetFileError, FleetFileInvalid."""
    try:
        return Source(path, read_file(path, FLEET_TOML_BYTES_MAX).decode())
    except UnicodeDecodeError as error:
        raise FleetFileInvalid(f"{path} is not UTF-8") from error


class _Reading:
    """Takes a document apart; messages name the file and the key."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def roster(self, top: Table, version: int, previous: str) -> Roster:
        self._known(top, _TOP, "")
        root = self._table(top, "root")
        self._known(root, _ROOT, "root.")
        return Roster(
            fleet=self._text(top, "fleet"),
            epoch=self._integer(top, "epoch", 1),
            version=version,
            previous=previous,
            domain=self._text(top, "domain", ""),
            regions=tuple(map(Region, self._texts(top, "regions"))),
            nodes=tuple(self._node(table) for table in self._tables(top, "node")),
            keys=tuple(self._key(table) for table in self._tables(top, "key")),
            root_keys=tuple(self._hex(text) for text in self._texts(root, "keys")),
            threshold=self._integer(root, "threshold", 1),
            revoked=frozenset(self._texts(top, "revoked", ())),
            floors=self._floors(top),
            prefixes=tuple(self._texts(top, "prefixes", ())),
            allow_removal=self._integer(top, "allow_removal", 0),
            waves=self._waves(top),
            soak_s=self._integer(top, "soak_s") if "soak_s" in top else None,
        )

    def _node(self, table: Table) -> Node:
        self._known(table, _NODE, "node.")
        return Node(
            self._text(table, "name"),
            self._text(table, "region"),
            self._text(table, "address"),
            self._certificate(table),
            self._text(table, "url", ""),
        )

    def _key(self, table: Table) -> Key:
        self._known(table, _KEY, "key.")
        return Key(
            self._text(table, "name"),
            self._certificate(table),
            frozenset(self._texts(table, "roles")),
            tuple(self._texts(table, "apps", ())),
            tuple(self._texts(table, "regions", ())),
        )

    def _certificate(self, table: Table) -> bytes:
        return read_certificate(self._path.parent / self._text(table, "certificate"))

    def _floors(self, top: Table) -> dict[str, Version]:
        floors = {}
        for app, value in self._table(top, "floors", {}).items():
            match value:
                case [int(epoch), int(sequence)]:
                    floors[app] = Version(epoch, sequence)
                case _:
                    raise self._wrong(f"floors.{app}", "is not [EPOCH, SEQUENCE]")
        return floors

    def _waves(self, top: Table) -> tuple[tuple[str, ...], ...]:
        rows = self._take(top, "waves", [])
        if not isinstance(rows, list):
            raise self._wrong("waves", "is not an array of arrays of regions")
        return tuple(tuple(self._texts({"waves": row}, "waves")) for row in rows)

    def _hex(self, text: str) -> bytes:
        try:
            return bytes.fromhex(text)
        except ValueError:
            raise self._wrong("root.keys", "has something that is not a public key in hexadecimal digits") from None

    def _known(self, table: Table, known: set[str], prefix: str) -> None:
        for name in table:
            if name not in known:
                near = get_close_matches(name, sorted(known), 1)
                raise self._wrong(prefix + name, "is not known" + (f"; is {near[0]!r} meant?" if near else ""))

    def _take(self, table: Table, name: str, usual: object) -> object:
        value = table.get(name, usual)
        if value is None:
            raise self._wrong(name, "is missing")
        return value

    def _text(self, table: Table, name: str, usual: str | None = None) -> str:
        value = self._take(table, name, usual)
        if not isinstance(value, str):
            raise self._wrong(name, "is not text")
        return value

    def _integer(self, table: Table, name: str, usual: int | None = None) -> int:
        value = self._take(table, name, usual)
        if not isinstance(value, int) or isinstance(value, bool):
            raise self._wrong(name, "is not a whole number")
        return value

    def _texts(self, table: Table, name: str, usual: Sequence[str] | None = None) -> list[str]:
        value = self._take(table, name, usual)
        if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
            raise self._wrong(name, "is not an array of texts")
        return [str(item) for item in value]

    def _table(self, table: Table, name: str, usual: Table | None = None) -> Table:
        value = self._take(table, name, usual)
        if not isinstance(value, Mapping):
            raise self._wrong(name, "is not a table")
        return value

    def _tables(self, table: Table, name: str) -> list[Table]:
        value = self._take(table, name, [])
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise self._wrong(name, f"is not written as [[{name}]]")
        return value

    def _wrong(self, name: str, why: str) -> EdgedError:
        return FleetFileInvalid(f"{self._path}: `{name}` {why}", remedy="Correct it; docs/fleet.md lists all keys.")
