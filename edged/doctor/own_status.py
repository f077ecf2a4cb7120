"""What the node on this machine says of itself: `GET /v1/status` of its admin API, over its socket."""

from __future__ import annotations

import json

import h11
import trio

from edged.errors import EdgedError, UsageError
from edged.http.bind import parse_address
from edged.limits import DOCTOR_COMMAND_S_MAX, DOCTOR_STATUS_BYTES_MAX
from edged.status.parse import parse_status
from edged.status.view import StatusView

_PIECE_BYTES = 65_536
_OK = 200


class Unanswered(Exception):
    """It did not answer, or something else did. The text says why.

    Attributes:
        is_forbidden: it may well be there: this user may not ask it.
    """

    def __init__(self, why: str, *, is_forbidden: bool = False) -> None:
        super().__init__(why)
        self.is_forbidden = is_forbidden


async def own_status(admin: str) -> StatusView:
    """Ask.

    Args:
        admin: as `NodeConfig.admin` has it: path of a unix socket, or `host:port`.

    Raises:
        Unanswered
    """
    try:
        with trio.fail_after(DOCTOR_COMMAND_S_MAX):
            stream = await _open(admin)
            async with stream:
                body = await _get(stream, b"/v1/status")
    except trio.TooSlowError:
        raise Unanswered(f"nothing answers at {admin} in {DOCTOR_COMMAND_S_MAX:g} s") from None
    except PermissionError:
        raise Unanswered(f"this user may not use {admin}", is_forbidden=True) from None
    except FileNotFoundError:
        raise Unanswered(f"there is no {admin}") from None
    except (OSError, trio.BrokenResourceError) as error:
        raise Unanswered(f"nothing listens on {admin}: {getattr(error, 'strerror', None) or error}") from None
    except (h11.RemoteProtocolError, UsageError):
        raise Unanswered(f"what answers at {admin} is no node") from None
    try:
        return await trio.to_thread.run_sync(lambda: parse_status(json.loads(body)))
    except (ValueError, RecursionError, EdgedError) as error:
        why = error.message if isinstance(error, EdgedError) else "it is no JSON"
        raise Unanswered(f"the answer at {admin} is of another edged: {why}") from None


async def _open(admin: str) -> trio.abc.Stream:
    if "/" in admin:
        return await trio.open_unix_socket(admin)
    return await trio.open_tcp_stream(*parse_address(admin))


async def _get(stream: trio.abc.Stream, path: bytes) -> bytes:
    """
    Raises:
        Unanswered: another status than 200, or more bytes than a status has.
        h11.RemoteProtocolError, OSError, trio.BrokenResourceError
    """
    connection = h11.Connection(h11.CLIENT)
    headers = [(b"host", b"localhost"), (b"connection", b"close")]
    request = connection.send(h11.Request(method="GET", target=path, headers=headers))
    end = connection.send(h11.EndOfMessage())
    await stream.send_all((request or b"") + (end or b""))
    body = bytearray()
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(bytes(await stream.receive_some(_PIECE_BYTES)))
        elif isinstance(event, h11.Response):
            if event.status_code != _OK:
                raise Unanswered(f"the node answers with the status {event.status_code}")
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > DOCTOR_STATUS_BYTES_MAX:
                raise Unanswered(f"the node's answer has more than {DOCTOR_STATUS_BYTES_MAX} bytes")
        elif isinstance(event, h11.EndOfMessage):
            return bytes(body)
        elif isinstance(event, h11.ConnectionClosed):
            raise h11.RemoteProtocolError("it ended before its end")
