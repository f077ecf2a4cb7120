"""How an app's components speak TLS over HTTP: as `[[client_tls]]` says, and as the system does for the rest.

open_client_tls(entries) ── ClientTlsSettings ── context_of(component)(host) ── SSLContext
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import certifi

from edged.errors import RuntimeConfigError
from edged.host.network.trust import ContextOf, system_roots_http
from edged.limits import CLIENT_TLS_FILE_BYTES_MAX
from edged.runtime_config.model import ClientTls


@dataclass(frozen=True, slots=True)
class ClientTlsSettings:
    """Of one app. Made by `open_client_tls`.

    Attributes:
        contexts: by component and host.
    """

    contexts: Mapping[str, Mapping[str, ssl.SSLContext]]

    def context_of(self, component: str) -> ContextOf:
        """The settings of a component, by host. Components of the same entry have the same object."""
        contexts = self.contexts.get(component)
        if contexts is None:
            return system_roots_http
        return lambda host: contexts.get(_key(host)) or system_roots_http(host)


def open_client_tls(entries: Iterable[ClientTls]) -> ClientTlsSettings:
    """Read the files of all entries. The first that names a component and a host counts, as in Spin. Blocks.

    Raises:
        RuntimeConfigError: a file cannot be read, or is not what it should be.
    """
    contexts: dict[str, dict[str, ssl.SSLContext]] = {}
    for entry in entries:
        context = _context(entry)
        for component in entry.component_ids:
            of_component = contexts.setdefault(component, {})
            for host in entry.hosts:
                of_component.setdefault(_key(host), context)
    return ClientTlsSettings(contexts)


def _key(host: str) -> str:
    return host.lower().removeprefix("[").removesuffix("]").removesuffix(".")


def _context(entry: ClientTls) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # verifies names and certificates, and trusts nobody yet
    context.set_alpn_protocols(["http/1.1"])
    if entry.ca_use_platform_roots:
        context.load_default_certs()
    if entry.ca_use_webpki_roots:
        context.load_verify_locations(certifi.where())
    if entry.ca_roots_file is not None:
        _check_readable("ca_roots_file", entry.ca_roots_file)
        try:
            context.load_verify_locations(entry.ca_roots_file)
        except ssl.SSLError:
            raise _failure("ca_roots_file", entry.ca_roots_file, "has no certificate in PEM form") from None
    if entry.client_cert_file is not None and entry.client_private_key_file is not None:
        _load_identity(context, entry.client_cert_file, entry.client_private_key_file)
    return context


def _load_identity(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    _check_readable("client_cert_file", certificate)
    _check_readable("client_private_key_file", key)
    try:
        # On a context of its own, which trusts nobody: what is wrong with the certificate is not blamed on the key.
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(certificate)
    except ssl.SSLError:
        raise _failure("client_cert_file", certificate, "has no certificate in PEM form") from None

    def refuse_password() -> str:
        # OpenSSL would ask on the terminal, where nobody may be.
        raise _failure("client_private_key_file", key, "is encrypted", "Decrypt it: openssl pkey -in KEY -out PLAIN.")

    try:
        context.load_cert_chain(certificate, key, password=refuse_password)
    except ssl.SSLError:
        what = f"is not a key in PEM form that belongs to the certificate in {certificate}"
        raise _failure("client_private_key_file", key, what) from None


def _check_readable(name: str, file: Path) -> None:
    """OpenSSL says neither which of its files is missing, nor when one is too large."""
    try:
        with file.open("rb") as stream:
            data = stream.read(CLIENT_TLS_FILE_BYTES_MAX + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise _failure(name, file, f"cannot be read: {reason}") from None
    if len(data) > CLIENT_TLS_FILE_BYTES_MAX:
        raise _failure(name, file, f"has more than {CLIENT_TLS_FILE_BYTES_MAX} bytes")


def _failure(name: str, file: Path, what: str, remedy: str | None = None) -> RuntimeConfigError:
    return RuntimeConfigError(
        f"`{name}` of [[client_tls]]: {file} {what}",
        remedy=remedy or f"Correct `{name}` in the runtime config, or the file.",
    )
