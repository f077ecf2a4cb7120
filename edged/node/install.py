"""The node's own one file, for machines that are to become nodes: `GET /edged/SHA256`, by plain HTTP/1.1.

    child.one_file ── OneFile.open: hashed, in a thread
                         │
    edged.http.Listener ── its one path? ── room for a download? ── pieces, at a rate ──> client

What is given is public, and whoever fetches it checks its digest, so nothing here is secret or trusted. A connection
carries one request. Clients that are slow lose theirs: they hold room that others wait for.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import structlog
import trio

from edged.errors import InstallBusy, InstallUnavailable, InstallUnknown
from edged.http.bind import bind
from edged.http.exchange import Exchange
from edged.http.listener import Listener, ListenOptions
from edged.http.response import error_response
from edged.limits import (
    INSTALL_BURST_BYTES,
    INSTALL_CONNECTION_COUNT_MAX,
    INSTALL_CONNECTION_PER_ADDRESS_MAX,
    INSTALL_DOWNLOAD_COUNT_MAX,
    INSTALL_DOWNLOAD_S_MAX,
    INSTALL_PIECE_S_MAX,
    INSTALL_RATE_BYTES_S,
    INSTALL_RETRY_AFTER_S,
    INSTALL_THREAD_COUNT_MAX,
)
from edged.node.config import Listen
from edged.node.install_file import OneFile
from registry.rate import TokenBucket

log = structlog.get_logger()


class Install:
    """See the module.

    Args:
        path: of the one file; None where this edged was started from none (`edged.child.one_file`).

    Attributes:
        downloads: under way.
        alarm: why nothing is given: a sentence with its code; "" if that is not so.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._bucket = TokenBucket(INSTALL_RATE_BYTES_S, INSTALL_BURST_BYTES, trio.current_time())
        self._limiter = trio.CapacityLimiter(INSTALL_THREAD_COUNT_MAX)
        self._turn = trio.Lock()
        self.downloads = 0
        self.alarm = ""

    async def run(
        self, where: Listen, *, task_status: trio.TaskStatus[list[tuple[str, int]]] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Give the file until cancelled. Started with what is bound; whoever asks while the file is still hashed waits.

        Where there is no file to give, this returns: the node serves on.

        Raises:
            ListenError
        """
        sockets = await trio.to_thread.run_sync(bind, where.host, where.port)
        with ExitStack() as opened:
            for sock in sockets:
                opened.callback(sock.close)
            task_status.started([sock.getsockname()[:2] for sock in sockets])
            try:
                file = await self._open()
            except InstallUnavailable as error:
                self._cannot(error)
                return
            opened.callback(file.close)
            options = ListenOptions(
                sockets=sockets,
                connection_count_max=INSTALL_CONNECTION_COUNT_MAX,
                connection_per_address_max=INSTALL_CONNECTION_PER_ADDRESS_MAX,
            )
            listener = Listener(lambda exchange: self._answer(file, exchange), options)
            listener.set_closing(True)  # who has not asked yet, or has its answer, makes room for others
            log.info("node.install-ready", listen=listener.urls, sha256=file.sha256, size=file.size)
            await listener.run()

    async def _open(self) -> OneFile:
        if self._path is None:
            raise InstallUnavailable("this edged was not started from one file that could be given")
        return await trio.to_thread.run_sync(OneFile.open, self._path, limiter=self._limiter)

    async def _answer(self, file: OneFile, exchange: Exchange) -> None:
        """
        Raises:
            InstallUnknown, InstallUnavailable, ClientGone: answered by the listener.
        """
        request = exchange.request
        if request.target != f"/edged/{file.sha256}" or request.method not in ("GET", "HEAD"):
            raise InstallUnknown("there is nothing but the one file, for GET and HEAD")
        try:
            await trio.to_thread.run_sync(file.check, limiter=self._limiter)
            if request.method == "GET" and self.downloads >= INSTALL_DOWNLOAD_COUNT_MAX:
                await _turn_away(exchange)
                return
            exchange.respond(
                200,
                [
                    (b"content-type", b"application/octet-stream"),
                    (b"content-length", b"%d" % file.size),
                    (b"etag", b'"%b"' % file.sha256.encode()),
                    (b"accept-ranges", b"none"),
                ],
            )
            if request.method == "GET":
                await self._give(file, exchange)
            else:
                await exchange.finish()
        except InstallUnavailable as error:
            self._cannot(error)
            raise

    async def _give(self, file: OneFile, exchange: Exchange) -> None:
        self.downloads += 1
        given, client = 0, exchange.request.client[0]
        try:
            with trio.move_on_after(INSTALL_DOWNLOAD_S_MAX):
                while given < file.size:
                    piece = await trio.to_thread.run_sync(file.read, given, limiter=self._limiter)
                    await self._wait_turn(len(piece))
                    exchange.write(piece)
                    with trio.move_on_after(INSTALL_PIECE_S_MAX) as slow:
                        await exchange.flush()
                    if slow.cancelled_caught:
                        break
                    given += len(piece)
                else:
                    await exchange.finish()
                    log.info("node.install-given", client=client)
                    return
            log.warning("node.install-cut", client=client, given=given)
            exchange.abort()
        finally:
            self.downloads -= 1

    async def _wait_turn(self, count: int) -> None:
        """Until so many bytes may go, of all that downloads share; who came first goes first."""
        async with self._turn:
            await trio.sleep(self._bucket.wait_s(count, trio.current_time()))
            self._bucket.take(count, trio.current_time())

    def _cannot(self, error: InstallUnavailable) -> None:
        alarm = f"install: {error.message} [{error.code}]"
        if alarm != self.alarm:
            log.error("node.install-unavailable", code=error.code, message=error.message, remedy=error.remedy)
        self.alarm = alarm


async def _turn_away(exchange: Exchange) -> None:
    status, headers, body = error_response(InstallBusy("as many machines as may at once fetch the file now"))
    exchange.respond(status, [*headers, (b"retry-after", b"%d" % INSTALL_RETRY_AFTER_S)])
    exchange.write(body)
    await exchange.finish()
