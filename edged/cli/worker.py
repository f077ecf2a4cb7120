"""`edged worker`: a worker process of `edged node` (`edged.worker.child`). Not for typing."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable

import click
import trio

from bgp.privileges import give_up_capabilities
from edged.logging import configure
from edged.worker.child import Inherited, run


@click.command(hidden=True)
@click.option("--control-fd", type=int, required=True, help="The connection to the supervisor.")
@click.option("--listen-fd", "listen_fds", type=int, multiple=True, help="A bound socket for HTTP.")
@click.option("--tls-fd", "tls_fds", type=int, multiple=True, help="A bound socket for HTTPS.")
@click.option("--udp-fd", "udp_fds", type=int, multiple=True, help="A bound socket for HTTP/3.")
def worker(*, control_fd: int, listen_fds: tuple[int, ...], tls_fds: tuple[int, ...], udp_fds: tuple[int, ...]) -> None:
    """Serve what the supervisor says, on sockets that it has bound."""
    # Whatever a guest may make of this process, the machine's addresses, routes and packet filter are not within reach,
    # nor is the supervisor's memory, which has what a node needs for them. Root, as in a trial, reads files of others.
    if os.geteuid() != 0:
        give_up_capabilities()
    configure(as_json=True)
    (control,) = _sockets([control_fd])
    inherited = Inherited(control, _sockets(listen_fds), _sockets(tls_fds), _sockets(udp_fds))
    trio.run(run, inherited, restrict_keyboard_interrupt_to_checkpoints=True)


def _sockets(descriptors: Iterable[int]) -> list[socket.socket]:
    sockets = [socket.socket(fileno=descriptor) for descriptor in descriptors]
    for sock in sockets:
        sock.set_inheritable(False)  # compile children have no use for them
    return sockets
