"""The name of an image in a registry: `localhost:5000/shop/cart:1.2`, `registry.example.com/hello@sha256:...`."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from registry.digest import Digest, parse_digest
from registry.errors import DigestInvalid, OciReferenceInvalid

_PORT_MAX = 65_535
_NAME_CHARS_MAX = 255  # of host and repository together, as in Docker

# distribution-spec 1.1, "Pulling manifests"
_repository = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*").fullmatch
_tag = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}").fullmatch
_host = re.compile(r"(?:[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*|\[[0-9A-Fa-f:]+\])(?::[0-9]{1,5})?").fullmatch
_label = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?").fullmatch
_number = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*").fullmatch  # what a resolver may take for a part of an IPv4 address


@dataclass(frozen=True, slots=True)
class Reference:
    """An image in a registry.

    Attributes:
        host: of the registry, with its port if it has one.
        repository: a path below it.
        tag: `latest` if the reference has neither tag nor digest; empty if it has a digest only.
        digest: of the manifest or index; None to take what the tag says.
    """

    host: str
    repository: str
    tag: str
    digest: Digest | None = None

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return f"{self.host}/{self.repository}{tag}{'' if self.digest is None else f'@{self.digest}'}"


def parse_reference(text: str) -> Reference:
    """Read a reference. Its host must be there: no registry is the usual one.

    Raises:
        OciReferenceInvalid: it is none.
    """
    rest, at, digest_text = text.partition("@")
    host, slash, path = rest.partition("/")
    # A first part without dot or colon would be a folder of somebody's usual registry.
    if not slash or not _is_host(host) or not (host == "localhost" or "." in host or ":" in host):
        raise OciReferenceInvalid(f"{text[:200]!r} does not begin with the host of a registry")
    repository, colon, tag = path.partition(":")
    if not _repository(repository) or len(host) + len(repository) + 1 > _NAME_CHARS_MAX:
        raise OciReferenceInvalid(f"{repository[:200]!r} is not the name of an image")
    if colon and not _tag(tag):
        raise OciReferenceInvalid(f"{tag[:200]!r} is not a tag")
    try:
        digest = parse_digest(digest_text) if at else None
    except DigestInvalid as error:
        raise OciReferenceInvalid(error.message) from None
    return Reference(host, repository, tag or ("" if at else "latest"), digest)


def _is_host(text: str) -> bool:
    """A name (RFC 1123 2.1) or an address, with or without a port."""
    if not _host(text):
        return False
    name, colon, port = text.rpartition(":") if not text.endswith("]") and ":" in text else (text, "", "")
    if colon and not 1 <= int(port) <= _PORT_MAX:
        return False
    labels = name.split(".")
    if not name.startswith("[") and not _number(labels[-1]):
        return all(map(_label, labels))
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True
