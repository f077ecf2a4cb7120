"""The same as `cases` for guests that the SDKs build."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from edged.errors import GuestBudgetExhausted, GuestMemoryExhausted, GuestRefused, GuestReturnedError, GuestTrap
from edged.http.exchange import ClientGone
from edged.limits import MiB
from tests.wasm.component.cases import CUT, PIECES, TEXT, TRAILERS
from tests.wasm.component.paths import Ask, Case, Expected, post

STREAM = [
    Ask(),
    Ask(body=TEXT, method="POST"),
    Ask(pieces=PIECES, trailers=TRAILERS, method="POST"),
]
STATEMENTS = [
    ["CREATE TABLE t (n INTEGER PRIMARY KEY, r REAL, s TEXT)"],
    ["INSERT INTO t (r, s) VALUES (?, ?)", 1.5, "é"],
    ["INSERT INTO t (r, s) VALUES (?, ?)", None, "x" * 5000],
    [
        "SELECT * FROM t",
    ],
    ["SELECT x'00ff', ?", 2**53],
]
WRONG_SQL = [["SELECT nothing"]]
STORES = [
    post("/set/default/k", "vé".encode()),
    post("/set/default/empty", b""),
    post("/set/default/bytes", TEXT),
    *(
        post(f"/{path}", b"")
        for path in ("get/default/k", "get/default/empty", "get/default/bytes", "get/default/none")
    ),
    post("/exists/default/k", b""),
    post("/keys/default", b""),
    post("/delete/default/k", b""),
    post("/exists/default/k", b""),
]
BUCKET = [
    ["set", "a", "1"],
    ["set-many", [["b", "two"], ["c", "three"]]],
    ["get-many", ["a", "b", "none"]],
    ["increment", "a", 41],
    ["swap", "b", "swapped", None],
    ["list-keys"],
    ["exists", "c"],
    ["delete-many", ["a", "c"]],
    ["get", "none"],
    ["list-keys"],
]

REFUSED = [
    ("/get/default/k", b""),
    ("/bucket/default", BUCKET),
    ("/sql/default", STATEMENTS),
    ("/sql3/default", STATEMENTS),
    ("/variable/region", b""),
    ("/send", ["GET", "http://upstream.test/", ""]),
    ("/infer", ["a-model", "a prompt"]),
    ("/redis", ["redis://127.0.0.1:1", []]),
    *((f"/postgres{version}", ["postgres://a@127.0.0.1:1/b", []]) for version in ("", "3", "4")),
    ("/mysql", ["mysql://a@127.0.0.1:1/b", []]),
    ("/mqtt", ["mqtt://127.0.0.1:1?client_id=c", "", "", 30, "a", "b", "AT_MOST_ONCE"]),
]


def asks(*targets: str, expects: Expected = 200) -> list[Ask]:
    return [Ask(target, expects=expects) for target in targets]


BUILT: Sequence[Case] = (
    Case(
        "streaming-c",
        [
            *(replace(ask, target=f"/{way}") for way in ("shout", "echo", "splice") for ask in STREAM),
            *(Ask(f"/{way}", pieces=PIECES, leaves=True, expects=ClientGone) for way in ("shout", "echo", "splice")),
            *(Ask(f"/{way}", pieces=PIECES, cut=CUT, expects=GuestTrap) for way in ("shout", "echo")),
            Ask("/splice", pieces=PIECES, cut=CUT),  # to which any failure is the end
        ],
    ),
    Case(
        "wagi-component",
        [
            *asks("/", "/args?a+b%20c", "/env?q=1", "/list/assets", "/log/text", "/read/assets/note.txt"),
            *asks("/write/assets/note.txt"),
            *asks("/location", expects=302),
            *asks("/status", expects=418),
            *asks("/read/none", expects=403),
            Ask("/echo", TEXT, "POST"),
            Ask("/echo", method="POST", pieces=PIECES),
            Ask("/upload", TEXT, "POST"),
        ],
        trigger="wagi",
    ),
    Case("wagi-component", asks("/time"), "clock", trigger="wagi", sleeps=True),
    Case("hello-js", [*asks("/", "/hello/w%C3%B6rld", "/headers"), *asks("/none", expects=404)]),
    Case(
        "js-features",
        [
            *asks("/", "/count", "/count", "/headers", "/log", "/random", "/time"),
            *asks("/throw", expects=500),
            *asks("/none", expects=404),
            Ask("/echo", TEXT, "POST"),
            Ask("/echo", method="POST", pieces=PIECES),
            Ask("/capitals", TEXT, "POST"),
        ],
    ),
    Case("js-features", asks("/timer"), "clock", sleeps=True),
    Case(
        "js-hono",
        [*asks("/", "/hello/w%C3%B6rld", "/stream"), *asks("/none", expects=404), post("/json", {"a": [1, None, "é"]})],
    ),
    Case(
        "js-capabilities",
        [
            *asks("/", "/variable/region"),
            *asks("/variable/none", expects=403),
            *asks("/none", expects=500),
            *STORES,
            post("/get/unbacked/k", b"", 403),
            post("/sql/default", STATEMENTS),
            post("/sql/default", WRONG_SQL, 403),
            post("/send", ["POST", "http://upstream.test/x?y", "a body"]),
            post("/send", ["GET", "http://upstream.test/down", ""], 403),
            post("/follow", "http://upstream.test/redirect"),
        ],
    ),
    Case(
        "js-capabilities",
        [
            post("/variable/region", b"", 403),
            post("/get/default/k", b"", 403),
            post("/sql/default", STATEMENTS, 403),
            post("/send", ["GET", "http://upstream.test/", ""], 403),
            post("/redis", ["redis://127.0.0.1:1", []], 403),
        ],
        "refused",
        granted=False,
    ),
    Case("hello-python", asks("/", "/hello/w%C3%B6rld")),
    Case("cron-python", [Ask("1795231500", expects=None), Ask("1795231560", expects=None)], trigger="cron"),
    Case("cron-python", [Ask("0", expects=GuestTrap)], "refused", trigger="cron", granted=False),
    Case(
        "python-features",
        [
            *asks(
                "/", "/argv", "/count", "/count", "/env/GREETING", "/headers", "/list/assets", "/log/text", "/random"
            ),
            *asks("/read/assets/note.txt", "/size/assets/note.txt", "/time"),
            *asks("/env/NONE", expects=404),
            *asks("/fail/x", expects=500),
            *asks("/read/none", "/write/assets/note.txt", expects=403),
            Ask("/echo", TEXT, "POST"),
            Ask("/capitals", TEXT, "POST"),
            Ask("/capitals", method="POST", pieces=PIECES),
        ],
    ),
    Case(
        "python-capabilities",
        [
            *STORES,
            post("/get/unbacked/k", b"", 403),
            post("/bucket/default", BUCKET),
            post("/bucket/default", [["swap", "b", "x", "meanwhile"]], 403),
            post("/sql/default", STATEMENTS),
            post("/sql3/default", STATEMENTS[1:]),
            post("/sql/default", WRONG_SQL, 403),
            *asks("/variable/region", "/config/region", "/config/none", "/config-all"),
            *asks("/variable/none", "/variable/A", expects=403),
            post("/send", ["POST", "http://upstream.test/x?y", "a body"]),
            post("/send", ["GET", "http://upstream.test/down", ""], 403),
            post("/follow", "http://upstream.test/redirect"),
            post("/infer", ["a-model", "a prompt"]),
            post("/embeddings", ["a-model", ["a text", ""]]),
        ],
    ),
    Case(
        "python-capabilities",
        [
            *(post(target, value, 403) for target, value in REFUSED),
        ],
        "refused",
        granted=False,
    ),
    Case(
        "python-redis-trigger",
        [
            Ask(body=b"a message", expects=None),
            Ask(body=bytes(range(256)) * 100, expects=None),
            Ask(body=b"fail", expects=GuestReturnedError),
            Ask(body=b"trap", expects=GuestTrap),
        ],
        trigger="redis",
    ),
    Case("python-capabilities", [post("/get/default/k", b"", GuestRefused)], "absent", has_spin=False),
    Case("python-features", asks("/", expects=GuestBudgetExhausted), "calls", limits={"host_calls_max": 5}),
    Case("python-features", asks("/headers", expects=GuestBudgetExhausted), "handles", limits={"handles_max": 3}),
    Case("js-features", asks("/headers", expects=GuestBudgetExhausted), "calls", limits={"host_calls_max": 20}),
    Case("python-plain", asks("/", expects=GuestMemoryExhausted), "memory", limits={"memory_bytes_max": 1 * MiB}),
    Case("python-plain", [Ask(), Ask(method="HEAD"), Ask(body=TEXT, method="POST")]),
)

REDIS_CALLS = [
    ["execute", "FLUSHDB"],
    ["set", "k", "v"],
    ["get", "k"],
    ["get", "none"],
    ["incr", "n"],
    ["sadd", "s", ["a"]],
    ["srem", "s", ["a"]],
    ["smembers", "s"],
    ["publish", "nobody", "x"],
    ["execute", "SET", ["binary", "k"], ["int64", 5]],
    ["execute", "GET", ["binary", "k"]],
    ["execute", "GET", ["binary", "none"]],
]


def on_redis(port: int) -> Mapping[str, Case]:
    """Of guests that use a Redis server, by their names."""
    address = f"redis://127.0.0.1:{port}/3"
    calls = [
        post("/redis", [address, REDIS_CALLS]),
        post("/redis", [address, [["set", "text", "v"], ["smembers", "text"]]], 403),
        post("/redis", ["redis://127.0.0.1:1", []], 403),
    ]
    cases = (
        Case("js-capabilities", calls),
        Case("python-capabilities", calls),
        Case(
            "python-redis-trigger",
            [Ask(body=b"published", expects=None)],
            trigger="redis",
            environment={"ANSWER": address},
        ),
    )
    return {case.guest: case for case in cases}
