"""What the node on this machine says of itself: its admin API, asked as `docs/status.md` has it."""

from __future__ import annotations

import json

import httpx
import trio

from edged.errors import ProtocolError, UpgradeSourceUnavailable
from edged.limits import UPGRADE_LOOK_S_MAX, UPGRADE_STATUS_BYTES_MAX
from edged.status.parse import parse_status
from edged.upgrade.download import download
from edged.upgrade.serving import Serving, serving


class Admin:
    """
    Args:
        bind: path of its unix socket, with a slash in it; or `host:port`.
    """

    def __init__(self, bind: str) -> None:
        self._bind = bind

    async def look(self) -> Serving | str:
        """What it serves; or why that is not known: a sentence without its end."""
        try:
            return await trio.to_thread.run_sync(_parse, await self._get("/v1/status"))
        except UpgradeSourceUnavailable as error:
            return f"the node does not answer: {error.message}"
        except ProtocolError as error:
            return error.message

    async def _get(self, path: str) -> bytes:
        said = bytearray()

        async def take(piece: bytes, _total: int | None) -> None:
            said.extend(piece)

        is_socket = "/" in self._bind
        await download(
            f"http://{'localhost' if is_socket else self._bind}{path}",
            take,
            bytes_max=UPGRADE_STATUS_BYTES_MAX,
            timeout_s=UPGRADE_LOOK_S_MAX,
            transport=httpx.AsyncHTTPTransport(uds=self._bind) if is_socket else None,
            proxies=False,
        )
        return bytes(said)


def _parse(data: bytes) -> Serving:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        raise ProtocolError("the node's status is no JSON") from None
    return serving(parse_status(value))
