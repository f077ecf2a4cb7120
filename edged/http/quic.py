"""UDP sockets for HTTP/3: each datagram to its QUIC connection, and new connections for clients that are who they say.

A client proves its address with a Retry token before anything is kept for it (RFC 9000 section 8.1), so that nobody can
fill the listener, or aim it at others, with forged addresses.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from typing import Any

import trio
from aioquic._buffer import Buffer  # aioquic.buffer does not export it to type checkers
from aioquic.h3.connection import H3_ALPN
from aioquic.quic.configuration import SMALLEST_MAX_DATAGRAM_SIZE, QuicConfiguration
from aioquic.quic.packet import (
    QuicHeader,
    QuicPacketType,
    encode_quic_retry,
    encode_quic_version_negotiation,
    pull_quic_header,
)
from aioquic.quic.retry import QuicRetryTokenHandler

from edged.http.admission import Admission, client_address
from edged.http.connection_set import ConnectionSet
from edged.http.http3 import Http3Connection, Quic
from edged.http.tls import Certificates, TlsFiles
from edged.limits import HTTP3_PACKETS_PER_TURN, IDLE_TIMEOUT_S, READ_CHUNK_BYTES

_DATAGRAM_BYTES_MAX = 65536
_CONNECTION_ID_BYTES = 8


class QuicEndpoint:
    """One UDP socket and the connections on it.

    Args:
        certificates: already known to be good.
    """

    def __init__(
        self, connections: ConnectionSet, admission: Admission, bound: socket.socket, certificates: Certificates
    ) -> None:
        self._connections = connections
        self._admission = admission
        self._socket = bound
        self._configuration = QuicConfiguration(
            alpn_protocols=H3_ALPN,
            connection_id_length=_CONNECTION_ID_BYTES,
            idle_timeout=IDLE_TIMEOUT_S,
            is_client=False,
            max_stream_data=READ_CHUNK_BYTES,
        )
        self._certificates = certificates
        self._certificates_version = certificates.version
        self._loaded: dict[TlsFiles, QuicConfiguration] = {}
        self._load(certificates.files_for(None), self._configuration)
        self._tokens = QuicRetryTokenHandler()
        self._by_id: dict[bytes, Http3Connection] = {}

    async def run(self, serving: trio.Nursery) -> None:
        """Receive until cancelled; connections are tasks of `serving`."""
        while True:
            await trio.lowlevel.wait_readable(self._socket)
            for _ in range(HTTP3_PACKETS_PER_TURN):
                try:
                    datagram, address = self._socket.recvfrom(_DATAGRAM_BYTES_MAX)
                except BlockingIOError:
                    break
                except OSError:
                    continue  # an ICMP error about some client, told to whoever reads next
                self._take(datagram, address, serving)

    def close(self) -> None:
        self._socket.close()

    def _send(self, datagram: bytes, address: Any) -> None:
        with suppress(OSError):  # as if lost on the way, which QUIC mends
            self._socket.sendto(datagram, address)

    def _take(self, datagram: bytes, address: Any, serving: trio.Nursery) -> None:
        try:
            header = pull_quic_header(Buffer(data=datagram), host_cid_length=_CONNECTION_ID_BYTES)
        except ValueError:
            return
        connection = self._by_id.get(header.destination_cid)
        if connection is not None:
            connection.receive(datagram, address)
        elif len(datagram) < SMALLEST_MAX_DATAGRAM_SIZE or header.packet_type == QuicPacketType.VERSION_NEGOTIATION:
            return  # an answer would be larger than the question, or an answer to an answer
        elif header.version is not None and header.version not in self._configuration.supported_versions:
            self._send(
                encode_quic_version_negotiation(
                    source_cid=header.destination_cid,
                    destination_cid=header.source_cid,
                    supported_versions=self._configuration.supported_versions,
                ),
                address,
            )
        elif header.packet_type == QuicPacketType.INITIAL and not self._connections.stopping:
            if header.token:
                self._accept(header, datagram, address, serving)
            else:
                self._retry(header, address)

    def _certificate_for(self, name: str | None) -> QuicConfiguration:
        """Of the files that TLS has, as they were when a client first asked for them since they were set."""
        if self._certificates_version != self._certificates.version:
            self._certificates_version = self._certificates.version
            self._loaded.clear()
        files = self._certificates.files_for(name)
        if files not in self._loaded:
            self._load(files, QuicConfiguration(is_client=False))
        return self._loaded[files]

    def _load(self, files: TlsFiles, configuration: QuicConfiguration) -> None:
        try:
            configuration.load_cert_chain(files.certificate, files.key)
        except (OSError, ValueError, IndexError):
            # Replaced at this very moment. What there is of the others will do until they are set again.
            configuration = self._configuration
        self._loaded[files] = configuration

    def _retry(self, header: QuicHeader, address: Any) -> None:
        assert header.version is not None
        source_id = os.urandom(_CONNECTION_ID_BYTES)
        token = self._tokens.create_token(
            address=address,
            original_destination_connection_id=header.destination_cid,
            retry_source_connection_id=source_id,
            now=trio.current_time(),
        )
        self._send(
            encode_quic_retry(
                version=header.version,
                source_cid=source_id,
                destination_cid=header.source_cid,
                original_destination_cid=header.destination_cid,
                retry_token=token,
            ),
            address,
        )

    def _accept(self, header: QuicHeader, datagram: bytes, address: Any, serving: trio.Nursery) -> None:
        try:
            original_id = self._tokens.validate_token(
                address=address, destination_cid=header.destination_cid, token=header.token, now=trio.current_time()
            )
        except ValueError:
            return  # forged, or older than the client's patience
        client = client_address(address)
        if not self._admission.enter(client[0]):
            return
        quic = Quic(
            configuration=self._configuration,
            original_destination_connection_id=original_id,
            retry_source_connection_id=header.destination_cid,
        )
        quic.certificate_for = self._certificate_for
        ids: set[bytes] = set()

        def route(connection_id: bytes, ours: bool) -> None:
            if ours:
                ids.add(connection_id)
                self._by_id[connection_id] = connection
            else:
                ids.discard(connection_id)
                self._by_id.pop(connection_id, None)

        connection = Http3Connection(self._connections, quic, client, self._send, route)
        route(header.destination_cid, True)
        route(quic.host_cid, True)
        connection.receive(datagram, address)
        serving.start_soon(self._serve, connection, client[0], ids)

    async def _serve(self, connection: Http3Connection, host: str, ids: set[bytes]) -> None:
        try:
            await connection.run()
        finally:
            self._admission.leave(host)
            for connection_id in ids:
                self._by_id.pop(connection_id, None)
