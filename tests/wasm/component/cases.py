"""What each guest of WASI 0.2 is asked on both paths (`tests.wasm.component.paths`).

tests/guests/README.md says what the guests do."""

from __future__ import annotations

from collections.abc import Sequence

from edged.errors import (
    GuestBudgetExhausted,
    GuestCpuExhausted,
    GuestErrorResponse,
    GuestExit,
    GuestNoResponse,
    GuestRefused,
    GuestResponseInvalid,
    GuestReturnedError,
    GuestStackExhausted,
    GuestTimeout,
    GuestTrap,
)
from edged.http.exchange import BodyError, ClientGone
from edged.limits import KiB, MiB
from tests.wasm.component.paths import Ask, Case

TEXT = bytes(range(32, 127)) * 300
PIECES = tuple(TEXT[start : start + 5000] for start in range(0, len(TEXT), 5000))
GONE = Ask("/100000", leaves=True, expects=ClientGone)
CUT = BodyError(413, "long")
TRAILERS = ((b"x-sum", b"1"), (b"x-more", b"two"))
MANY = tuple((b"x-%d" % number, b"v" * number) for number in range(60))

SMALL: Sequence[Case] = (
    Case("calls", [Ask("/0"), Ask("/1000"), Ask("/", expects=GuestBudgetExhausted)], limits={"host_calls_max": 1100}),
    Case("counter", [Ask(), Ask()]),
    Case(
        "cron",
        [Ask("2", expects=None), Ask("3", expects=GuestReturnedError), Ask("0", expects=GuestTrap)],
        trigger="cron",
    ),
    Case(
        "echo",
        [
            Ask(),
            Ask(body=b"x"),
            Ask(body=TEXT, method="POST"),
            Ask(body=TEXT, method="HEAD"),
            Ask(pieces=PIECES),
            Ask(pieces=PIECES, leaves=True, expects=ClientGone),
            Ask(pieces=PIECES, cut=ClientGone(), expects=ClientGone),
            Ask(pieces=PIECES, cut=CUT, expects=GuestTrap),
        ],
    ),
    Case("error", [Ask(expects=GuestErrorResponse)]),
    Case("exit", [Ask(f"/{status}", expects=GuestExit) for status in ("", "0", "1", "7")]),
    Case(
        "fetch",
        [
            Ask("/upstream.test/x?y=z", expects=201),
            Ask("/upstream.test/redirect", expects=302),
            *(
                Ask(f"/{place}", expects=502)
                for place in ("upstream.test/down", "other.test/", "guest.spin.internal/", "x:0/")
            ),
        ],
    ),
    Case("fetch", [Ask("/upstream.test/", expects=502), Ask("//", expects=502)], "refused", granted=False),
    Case("handles", [Ask("/99"), Ask("/", expects=GuestBudgetExhausted)], limits={"handles_max": 1000}),
    Case("hello", [Ask(), Ask("/a/b?c", b"unread", "DELETE"), Ask(leaves=True, expects=ClientGone)]),
    Case(
        "inspect",
        [
            Ask("/a%20b?c=d"),
            Ask("/", headers=()),
            Ask("/", headers=MANY),
            Ask("/hello/w%C3%B6rld"),
            Ask("/", headers=((b"host", b"a"), (b"x-bytes", b"\xe9\xff"), (b"x-bytes", b""))),
            *(Ask(method=method) for method in ("HEAD", "OPTIONS", "PATCH", "TRACE", "ODD")),
        ],
    ),
    Case("key-value", [Ask()]),
    Case("key-value", [Ask()], "refused", granted=False),
    Case("key-value", [Ask(expects=GuestRefused)], "absent", has_spin=False),
    Case("length", [Ask("/10"), Ask("/9", expects=GuestResponseInvalid), Ask("/11", expects=GuestResponseInvalid)]),
    Case("length", [Ask("/10", method="HEAD")], "head"),
    Case("loop", [Ask(expects=GuestCpuExhausted)], limits={"cpu_s_max": 0.02}, ticks=True),
    Case("loop-late", [Ask(expects=GuestCpuExhausted)], limits={"cpu_s_max": 0.02}, ticks=True),
    Case("memory", [Ask("/0"), Ask("/10"), Ask("/60"), Ask("/61"), Ask("/")], limits={"memory_bytes_max": 4 * MiB}),
    Case("memory-trap", [Ask(expects=GuestTrap)], limits={"memory_bytes_max": 4 * MiB}),
    Case(
        "output",
        [Ask("/0"), Ask("/4096"), Ask("/4097"), Ask("/100000"), Ask("/100000", leaves=True, expects=ClientGone)],
    ),
    Case(
        "output",
        [Ask("/20000"), Ask("/40000", expects=GuestTrap)],
        "over",
        limits={"response_body_bytes_max": 32 * KiB},
    ),
    Case(
        "output-unflushed", [Ask("/1"), Ask("/100000"), Ask("/300000"), Ask("/100000", leaves=True, expects=ClientGone)]
    ),
    Case("poll", [Ask("/1"), Ask("/0"), Ask("/1500")], sleeps=True),
    Case("recursion", [Ask("/0"), Ask("/1000"), Ask("/", expects=GuestStackExhausted)]),
    Case("region", [Ask()]),
    Case("region", [Ask(expects=GuestTrap)], "undefined", granted=False),
    Case("silent", [Ask(expects=GuestNoResponse)]),
    Case(
        "sleep",
        [Ask("/0"), Ask("/1"), Ask("/1900"), Ask("/2100", expects=GuestTimeout)],
        sleeps=True,
        limits={"wall_s_max": 2.0},
    ),
    Case("status", [Ask(f"/{status}", expects=status) for status in (200, 204, 304, 404, 599, 999)]),
    Case("status", [Ask(f"/{status}", expects=GuestTrap) for status in (0, 1000, 65536)], "none"),
    Case("status", [Ask("/103", expects=GuestResponseInvalid)], "not-final"),
    Case("stderr", [Ask("/0"), Ask("/3"), Ask("/500")]),
    Case("table", [Ask("/0"), Ask("/10"), Ask("/100"), Ask("/101"), Ask("/")], limits={"table_elements_max": 100}),
    Case("trailers", [Ask(), Ask(body=b"x", trailers=TRAILERS), Ask(pieces=PIECES, trailers=TRAILERS)]),
    Case("trap", [Ask(expects=GuestTrap)]),
    Case("trap-late", [Ask(expects=GuestTrap)]),
    Case("unread", [Ask(), Ask(body=TEXT)]),
    Case(
        "upload",
        [Ask(), Ask(body=TEXT), Ask(pieces=PIECES), Ask(pieces=PIECES, cut=CUT, expects=GuestTrap)],
    ),
)
"""Guests of WebAssembly text."""
