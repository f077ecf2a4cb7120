"""The speaker's child: one process that speaks BGP for a node and is told what by the node's daemon.

    python -m bgp.child --fd N --allow 203.0.113.0/24 --allow 2001:db8::/48

runs it by hand, or under a test. A node runs it with the allow-list of its signed roster instead.
"""

from __future__ import annotations

import argparse
import os
import socket
import sys
import time

from bgp.channel import Channel
from bgp.deadman import Deadman
from bgp.errors import BgpError, WireInvalid
from bgp.limits import FIRST_LINE_TIMEOUT_S, GOODBYE_TIMEOUT_S
from bgp.lines import printable
from bgp.prefix import AllowList, parse_prefix
from bgp.privileges import give_up
from bgp.sessions import Sessions
from bgp.wire import Configure, Log

_ENVIRONMENT = {
    "EXABGP_ENVFILE": os.devnull,
    "exabgp_api_cli": "false",
    "exabgp_daemon_daemonize": "false",
    "exabgp_log_destination": "stderr",
    "exabgp_log_level": "WARNING",
    # Every file of the loop is in its poll(2), so a slow tick delays nothing but timers, which count seconds.
    "exabgp_reactor_speed": "10",
}


def _prepare_environment() -> None:
    """ExaBGP reads the environment when it is imported: what is in ours by chance must not configure it."""
    for name in [name for name in os.environ if name.lower().startswith("exabgp")]:
        del os.environ[name]
    os.environ.update(_ENVIRONMENT)


def serve(sock: socket.socket, allowed: AllowList) -> None:
    """Speak BGP on this process's main thread until told to end, or the other side of `sock` is gone or silent.

    The process is ExaBGP's from now on: its working directory, umask, signal handlers and environment change, and root
    is given up. Every way out ends all sessions with a Cease (Administrative Shutdown), but SIGKILL.

    Args:
        sock: our end of a socketpair; see `bgp.wire`.
        allowed: what may be announced, whatever the other side says. Exactly these prefixes.

    Raises:
        WireInvalid: the other side said what cannot be understood.
        PeerInvalid: in its configuration.
        SpeakerFailed: ExaBGP did not begin, or failed; or the daemon was silent for too long.
    """
    channel = Channel(sock)
    try:
        first = channel.first(FIRST_LINE_TIMEOUT_S)
        if not isinstance(first, Configure):
            raise WireInvalid("the first line is not the configuration")
        _prepare_environment()
        # After the environment, and before root is given up: nobody may not be able to read our files.
        from bgp import exabgp_reactor  # noqa: PLC0415

        give_up()
        config = first.config
        exabgp_reactor.run(
            channel,
            Sessions(config, allowed, channel.say),
            config,
            Deadman(config.deadman_s, time.monotonic),
        )
    except BgpError as error:
        channel.say(Log("error", printable(error.message)))
        raise
    finally:
        channel.close(GOODBYE_TIMEOUT_S)


def main() -> int:
    """Returns the exit status: 0, or that of the error."""
    parser = argparse.ArgumentParser(prog="python -m bgp.child", description="Speak BGP as told on a socket.")
    parser.add_argument("--fd", type=int, required=True, help="the inherited end of a socketpair")
    parser.add_argument("--allow", action="append", default=[], help="a prefix that may be announced")
    arguments = parser.parse_args()
    try:
        allowed = AllowList(parse_prefix(each) for each in arguments.allow)
        serve(socket.socket(fileno=arguments.fd), allowed)
    except BgpError as error:
        sys.stderr.write(f"{error.code}: {error.message}\n")
        return error.exit_status
    return 0


if __name__ == "__main__":
    sys.exit(main())
