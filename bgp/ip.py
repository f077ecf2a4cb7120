"""ip(8) of iproute2: the one place where it is run. What it says is JSON, what it refuses becomes an error of ours."""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

import trio

from bgp.errors import NetworkSettingFailed, NetworkSettingForbidden
from bgp.limits import IP_OUTPUT_BYTES_MAX, IP_TIMEOUT_S

_SHOWN_CHARS_MAX = 200
_FORBIDDEN = "Operation not permitted"


async def ip(*arguments: str) -> bytes:
    """What a command prints.

    Raises:
        NetworkSettingForbidden: it takes CAP_NET_ADMIN, which this process has not.
        NetworkSettingFailed: ip(8) is not there, refused, or did not end.
    """
    try:
        with trio.fail_after(IP_TIMEOUT_S):
            # The locale decides about what it says, which we look at.
            done = await trio.run_process(
                ["ip", *arguments],
                capture_stdout=True,
                capture_stderr=True,
                check=False,
                env={**os.environ, "LC_ALL": "C"},
            )
    except FileNotFoundError:
        raise NetworkSettingFailed("there is no ip(8) on this machine", remedy="Install iproute2.") from None
    except OSError as error:
        raise NetworkSettingFailed(f"ip(8) cannot be started: {error.strerror}") from error
    except trio.TooSlowError:
        raise NetworkSettingFailed(f"`ip {' '.join(arguments)}` did not end in {IP_TIMEOUT_S:g} s") from None
    if done.returncode:
        _refuse(arguments, done)
    if len(done.stdout) > IP_OUTPUT_BYTES_MAX:
        raise NetworkSettingFailed(f"`ip {' '.join(arguments)}` said more than {IP_OUTPUT_BYTES_MAX} bytes")
    return done.stdout


async def ip_json(*arguments: str) -> list[dict[str, Any]]:
    """What `ip -json` shows: its objects.

    Raises:
        NetworkSettingFailed: also of an answer that is none.
        NetworkSettingForbidden
    """
    answer = await ip("-json", *arguments)
    try:
        # Nothing at all, where there is nothing to show.
        shown = json.loads(answer) if answer.strip() else []
    except (ValueError, RecursionError):
        shown = None
    if not isinstance(shown, list) or not all(isinstance(each, dict) for each in shown):
        raise NetworkSettingFailed(f"`ip -json {' '.join(arguments)}` did not answer with JSON objects")
    return shown


def _refuse(arguments: tuple[str, ...], done: subprocess.CompletedProcess[bytes]) -> None:
    said = done.stderr.decode(errors="replace").strip()[:_SHOWN_CHARS_MAX]
    error = NetworkSettingForbidden if _FORBIDDEN in said else NetworkSettingFailed
    raise error(f"`ip {' '.join(arguments)}`: {said or f'ended with {done.returncode}'}")
