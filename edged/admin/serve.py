"""The admin API on a socket, served by hypercorn."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, cast

import trio
from hypercorn.config import Config
from hypercorn.trio import serve

from edged.admin.api import Source, application
from edged.errors import ListenError
from edged.http.bind import bind as bind_tcp
from edged.http.bind import parse_address
from edged.limits import ADMIN_GRACE_S

_SOCKET_MODE = 0o660  # its group may read; threats.md 38: nobody else on the machine


@asynccontextmanager
async def open_admin(source: Source, bind: str) -> AsyncIterator[None]:
    """Serve while the block runs.

    Args:
        bind: path of a unix socket, with a slash in it; or `host:port`.

    Raises:
        ListenError, UsageError
    """
    path = Path(bind) if "/" in bind else None
    sockets = bind_tcp(*parse_address(bind)) if path is None else [_listen_unix(path)]
    config = Config()
    # Without a log of its own: it would write to stderr beside ours, in another form.
    config.accesslog = config.errorlog = None
    config.graceful_timeout = ADMIN_GRACE_S
    config.include_server_header = False
    config.bind = [f"fd://{sock.detach()}" for sock in sockets]
    stop = trio.Event()
    async with trio.open_nursery() as nursery:
        run = partial(serve, cast(Any, application(source)), config, shutdown_trigger=stop.wait, mode="asgi")
        await nursery.start(run)
        try:
            yield
        finally:
            stop.set()
            if path is not None:
                with contextlib.suppress(OSError):
                    path.unlink()


def _listen_unix(path: Path) -> socket.socket:
    """A listening socket that was never open to more than owner and group: it gets its mode before it gets its name.

    Raises:
        ListenError: another process listens there, or something else than a socket is in the way.
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        if path.exists():
            if not stat.S_ISSOCK(path.stat().st_mode):
                raise ListenError(f"{path} is in the way of the admin API's socket", remedy="Remove it.")
            _refuse_if_alive(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        sock.bind(os.fspath(beside))
        os.chmod(beside, _SOCKET_MODE)
        sock.listen()
        os.replace(beside, path)
    except OSError as error:
        sock.close()
        raise ListenError(
            f"the admin API cannot listen on {path}: {error.strerror or error}", remedy=_remedy(error)
        ) from None
    except ListenError:
        sock.close()
        raise
    sock.setblocking(False)
    return sock


def _remedy(error: OSError) -> str:
    if error.errno is None:  # a path of more than 107 bytes, of which Python does not ask the kernel
        return "Choose a shorter state folder."
    return "See who owns its folder, and whether it is full."


def _refuse_if_alive(path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        if probe.connect_ex(os.fspath(path)) == 0:
            raise ListenError(f"another node listens on {path}", remedy="End it, or choose another admin socket.")
