"""Every guest that a tool builds: its sources, its tools, what it does. Guests of WebAssembly text are in wat.py."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.guests.cache import REPOSITORY
from tests.guests.tools import NodeModules, Venv

EXAMPLES = REPOSITORY / "examples"
SOURCES = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Guest:
    """A component that `make` builds as `app.wasm`.

    Attributes:
        files: place in the build folder -> source. One of them is the Makefile.
        venv: the Python environment that the Makefile calls `VENV`.
        modules: what the Makefile finds in `node_modules`.
        handler: the interface that it exports for its trigger, with its version if it has one; a program: `_start`.
        is_module: it is a core module.
    """

    name: str
    does: str
    files: dict[str, Path]
    handler: str
    venv: Venv | None = None
    modules: NodeModules | None = None
    is_module: bool = False


PYTHON_SDK = Venv("tool-python-sdk", EXAMPLES / "hello-python" / "requirements.txt")
PYTHON_SDK_WASI3 = Venv("tool-python-sdk-wasi3", SOURCES / "python" / "requirements.txt")
ZIG = Venv("tool-zig", EXAMPLES / "streaming-c" / "requirements.txt")
NODE = Venv("tool-node", SOURCES / "js" / "requirements.txt")
JS_SDK = NodeModules("tool-js-sdk", SOURCES / "js", NODE)
"""Of all examples too: their package.json pin the same versions, which a test makes sure of."""
JS_WASI3 = NodeModules("tool-js-wasi3", SOURCES / "js" / "wasi3", NODE)


def _example(name: str, *files: str) -> dict[str, Path]:
    return {file: EXAMPLES / name / file for file in ("Makefile", *files)}


def _c(source: str) -> dict[str, Path]:
    """A program of one file."""
    return {"Makefile": SOURCES / "c" / "Makefile", "app.c": SOURCES / "c" / source}


def _embedded(example: str) -> dict[str, Path]:
    """What builds the core module of an example in C."""
    return {"Makefile": SOURCES / "c" / "embed.mk", "example.mk": EXAMPLES / example / "Makefile"}


def _js(source: str) -> dict[str, Path]:
    """An app of one file, built as the example is."""
    return {
        **_example("hello-js", "build.mjs"),
        "package.json": SOURCES / "js" / "package.json",
        "src/index.js": SOURCES / "js" / source,
    }


GUESTS = {
    guest.name: guest
    for guest in (
        Guest(
            "streaming-c",
            "C without an SDK: /shout, /echo and /splice stream the request body back",
            _example("streaming-c", "main.c", "wasi.h", "world.wit"),
            handler="wasi:http/incoming-handler@0.2.3",
            venv=ZIG,
            modules=JS_SDK,
        ),
        Guest(
            "wagi",
            "C for WASI preview 1, which speaks CGI: /, /args, /echo, /env, /list/DIR, /location, /log/TEXT, "
            "/read/FILE, /status, /time, /upload, /write/FILE",
            _c("wagi.c"),
            handler="_start",
            venv=ZIG,
        ),
        Guest(
            "wagi-component",
            "the same as a component that exports wasi:cli/run",
            _c("wagi.c"),
            handler="wasi:cli/run@0.2",
            venv=ZIG,
            modules=JS_SDK,
        ),
        Guest(
            "wagi-hostile",
            "C likewise, which misbehaves as its path says: tests/triggers/test_wagi_hostile.py has them all",
            _c("wagi-hostile.c"),
            handler="_start",
            venv=ZIG,
        ),
        Guest(
            "streaming-c-module",
            "C as streaming-c, left a core module with a component-type section: of it no component was made",
            {**_example("streaming-c", "main.c", "wasi.h", "world.wit"), **_embedded("streaming-c")},
            handler="wasi:http/incoming-handler@0.2.3",
            venv=ZIG,
            modules=JS_SDK,
            is_module=True,
        ),
        Guest(
            "wasip1-p2",
            "C for WASI preview 1 that imports WASI 0.2 and Spin 2: /env/NAME, /fetch/HOST, /file/PATH, /kv/STORE, "
            "/redis/ADDRESS, /sql/DATABASE, /var/NAME",
            {
                **{place: SOURCES / "c" / "wasip1-p2" / place for place in ("Makefile", "app.c")},
                "wasi.h": EXAMPLES / "streaming-c" / "wasi.h",
                "wit/world.wit": SOURCES / "c" / "wasip1-p2" / "world.wit",
                "spin/spin.wit": SOURCES / "c" / "wasip1-p2" / "spin.wit",
            },
            handler="wasi:http/incoming-handler@0.2.3",
            venv=ZIG,
            modules=JS_SDK,
            is_module=True,
        ),
        Guest(
            "spin1",
            "C in the shape of Spin 1: /config/NAME, /env/NAME, /fetch, /file/PATH, /header/SIZE, /headers, "
            "/kv/STORE[/KEY], /log/TEXT, /mysql, /pg, /redis, /sql/DATABASE, /stale, /status/N, /trap; "
            "keeps redis messages",
            {**_c("spin1.c"), "Makefile": SOURCES / "c" / "reactor.mk"},
            handler="fermyon:spin/inbound-http#handle-request",
            venv=ZIG,
            is_module=True,
        ),
        Guest(
            "spin02",
            "the same with the names of wit-bindgen 0.2",
            {**_c("spin02.c"), "Makefile": SOURCES / "c" / "reactor.mk", "spin1.c": SOURCES / "c" / "spin1.c"},
            handler="handle-http-request",
            venv=ZIG,
            is_module=True,
        ),
        Guest(
            "hello-js",
            "JavaScript SDK with itty-router: /, /hello/:name, /headers",
            _example("hello-js", "build.mjs", "package.json", "src/index.js"),
            handler="wasi:http/incoming-handler@0.2.3",
            modules=JS_SDK,
        ),
        Guest(
            "js-features",
            "JavaScript SDK: /, /echo, /capitals, /count, /headers, /log, /random, /throw, /time, /timer",
            _js("features.js"),
            handler="wasi:http/incoming-handler@0.2.3",
            modules=JS_SDK,
        ),
        Guest(
            "js-hono",
            "JavaScript SDK with hono: /, /hello/:name, /json, /stream",
            _js("hono.js"),
            handler="wasi:http/incoming-handler@0.2.3",
            modules=JS_SDK,
        ),
        Guest(
            "js-capabilities",
            "JavaScript SDK: key-value stores, SQLite, variables, Redis, fetch; see below",
            {
                **{place: SOURCES / "js" / "capabilities" / place for place in ("Makefile", "package.json")},
                "build.mjs": EXAMPLES / "hello-js" / "build.mjs",
                "sdk.mk": EXAMPLES / "hello-js" / "Makefile",
                "src/index.js": SOURCES / "js" / "capabilities" / "index.js",
                "wit/world.wit": SOURCES / "js" / "capabilities" / "world.wit",
            },
            handler="wasi:http/incoming-handler@0.2.3",
            venv=PYTHON_SDK,
            modules=JS_SDK,
        ),
        Guest(
            "js-wasi3",
            "JavaScript by componentize-qjs, which builds for WASI 0.3: /, /echo, /capitals, /drip/COUNT/MILLISECONDS",
            {file: SOURCES / "js" / "wasi3" / file for file in ("Makefile", "app.js", "world.wit")},
            handler="wasi:http/handler@0.3.0",
            venv=PYTHON_SDK_WASI3,
            modules=JS_WASI3,
        ),
        Guest(
            "hello-python",
            "Python SDK: / (HTML), /hello/:name (by the header of the manifest's route)",
            _example("hello-python", "app.py"),
            handler="wasi:http/incoming-handler@0.2.0",
            venv=PYTHON_SDK,
        ),
        Guest(
            "cron-python",
            'Python SDK, cron trigger: counts its calls in the store "default", and keeps when the last was due',
            _example("cron-python", "app.py", "cron.wit"),
            handler="handle-cron-event",
            venv=PYTHON_SDK,
        ),
        Guest(
            "python-features",
            "Python SDK: /, /argv, /capitals, /count, /echo, /env/NAME, /fail, /headers, /list/DIR, /log/TEXT, "
            "/random, /read/FILE, /size/FILE, /time, /write/FILE",
            {**_example("hello-python"), "app.py": SOURCES / "python" / "features" / "app.py"},
            handler="wasi:http/incoming-handler@0.2.0",
            venv=PYTHON_SDK,
        ),
        Guest(
            "python-capabilities",
            "Python SDK: every interface that Spin adds to WASI, and outbound HTTP; see below",
            {
                file: SOURCES / "python" / "capabilities" / file
                for file in ("Makefile", "app.py", "outbound.py", "stores.py", "values.py")
            },
            handler="wasi:http/incoming-handler@0.2.0",
            venv=PYTHON_SDK,
        ),
        Guest(
            "python-redis-trigger",
            'Python SDK: keeps a message in the store "default", publishes it again where ANSWER names a server; '
            "`fail`, `trap`",
            {file: SOURCES / "python" / "redis_trigger" / file for file in ("Makefile", "app.py")},
            handler="fermyon:spin/inbound-redis",
            venv=PYTHON_SDK,
        ),
        Guest(
            "python-plain",
            "componentize-py without an SDK, in the world wasi:http/proxy: says hello",
            {file: SOURCES / "python" / "plain" / file for file in ("Makefile", "app.py")},
            handler="wasi:http/incoming-handler@0.2.6",
            venv=PYTHON_SDK_WASI3,
        ),
        Guest(
            "hello-python5",
            "Python SDK 5, which builds for WASI 0.3: / (a greeting that counts), /countdown/:from (a line a second)",
            _example("hello-python5", "app.py"),
            handler="wasi:http/handler@0.3.0",
            venv=PYTHON_SDK_WASI3,
        ),
        Guest(
            "python5-capabilities",
            "Python SDK 5: streaming bodies, and every interface of Spin that has a WASI 0.3 form; see below",
            {
                **{
                    file: SOURCES / "python" / "wasi3_capabilities" / file
                    for file in ("Makefile", "app.py", "bodies.py", "outbound.py", "stores.py")
                },
                "values.py": SOURCES / "python" / "capabilities" / "values.py",
            },
            handler="wasi:http/handler@0.3.0",
            venv=PYTHON_SDK_WASI3,
        ),
        Guest(
            "python5-redis-trigger",
            'Python SDK 5: keeps a message in the store "default", publishes it again where ANSWER names a server; '
            "`fail`, `trap`",
            {file: SOURCES / "python" / "wasi3_redis_trigger" / file for file in ("Makefile", "app.py")},
            handler="spin:redis/inbound-redis@3.0.0",
            venv=PYTHON_SDK_WASI3,
        ),
    )
}
