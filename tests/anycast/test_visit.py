"""One request to a canary, where not even a connection can be had."""

from __future__ import annotations

import os
import resource
import ssl
from ipaddress import ip_address

import pytest

from edged.anycast.probe import Target
from edged.anycast.visit import Refused, visit


async def test_no_descriptor_left_is_an_answer_that_is_missing_and_ends_no_node() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(0)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, limits[1]))
    try:
        with pytest.raises(Refused, match="too many open files"):
            await visit(Target(ip_address("127.0.0.1"), 1), 0, 0, context)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
