"""The nodes of a demo fleet as children of this process: started together, and stopped together.

edged node ──sd_notify: READY=1──> DemoRun ──> ready(node), ended(node, reason)
"""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
from collections.abc import Callable, Sequence

import trio

from edged.child import command
from edged.errors import DemoFailed
from edged.limits import CHILD_STOP_S_MAX
from edged.nursery import plain_errors
from edged.publish.demo import DemoNode, last_lines

_NOTICE_BYTES = 4096  # as systemd reads them


class DemoRun:
    """Nodes at work.

    Args:
        ready: told of each node that takes connections, with how many there are still to come.
        ended: told of each node that ended unasked after that, with the reason.
    """

    def __init__(
        self,
        nodes: Sequence[DemoNode],
        *,
        ready: Callable[[DemoNode, int], None],
        ended: Callable[[DemoNode, str], None],
    ) -> None:
        self._nodes = nodes
        self._ready = ready
        self._ended = ended
        self._stopping = trio.Event()
        self._to_come = set(nodes)

    async def run(self) -> None:
        """Until `stop`, or until all have ended.

        Raises:
            DemoFailed: a node ended before it was ready; the others are stopped.
        """
        with plain_errors():
            async with trio.open_nursery() as nursery:
                for node in self._nodes:
                    nursery.start_soon(self._run_one, node)

    def stop(self) -> None:
        """Let all of them end what they began."""
        self._stopping.set()

    async def _run_one(self, node: DemoNode) -> None:
        # A name of Linux's abstract namespace: no file to clean up, and no limit of 108 bytes for the path before it.
        name = f"edged-demo-{secrets.token_hex(8)}"
        with trio.socket.socket(trio.socket.AF_UNIX, trio.socket.SOCK_DGRAM) as notices, node.log.open("ab") as log:
            await notices.bind(f"\0{name}")
            process = await trio.lowlevel.open_process(
                command("node", "--config", str(node.config)),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "NOTIFY_SOCKET": f"@{name}"},
                start_new_session=True,  # Ctrl-C is for us to act on
            )
            try:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._listen, node, notices)
                    nursery.start_soon(self._end_when_asked, process)
                    await process.wait()
                    nursery.cancel_scope.cancel()
            finally:
                with trio.CancelScope(shield=True):
                    await _end(process)
        if self._stopping.is_set():
            return
        reason = f"{node.name} ended with status {process.returncode}"
        if node in self._to_come:
            said = await trio.to_thread.run_sync(last_lines, node.log)
            raise DemoFailed("\n".join([reason, *said]), remedy=f"The whole of it is in {node.log}.")
        self._ended(node, reason)

    async def _listen(self, node: DemoNode, notices: trio.socket.SocketType) -> None:
        while True:
            notice = await notices.recv(_NOTICE_BYTES)
            if b"READY=1" in notice.split(b"\n") and node in self._to_come:
                self._to_come.discard(node)
                self._ready(node, len(self._to_come))

    async def _end_when_asked(self, process: trio.Process) -> None:
        await self._stopping.wait()
        process.terminate()
        await trio.sleep(2 * CHILD_STOP_S_MAX)  # its workers have as long each, and it tells them at once
        process.kill()


async def _end(process: trio.Process) -> None:
    """Whatever went wrong here, no node is left behind."""
    if process.returncode is None:
        process.send_signal(signal.SIGTERM)
        with trio.move_on_after(2 * CHILD_STOP_S_MAX):
            await process.wait()
        process.kill()
    await process.wait()
