"""How an application is called, and by what it may be built: who shows it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from edged import manifest


class Way(NamedTuple):
    """A way to be called: what a manifest writes for it, and the tests of it where edged has it."""

    name: str
    trigger: str
    tests: tuple[str, ...] = ()


_SERVED = "tests/end_to_end/test_sdk_guests.py::test_it_answers_and_answers_again"
_MESSAGE = "tests/end_to_end/test_redis_trigger.py::test_a_message_reaches_the_guest_and_its_answer_the_server"
_TICK = "tests/end_to_end/test_cron_trigger.py::test_a_tick_reaches_a_guest_that_keeps_it"

WAYS = (
    Way("HTTP trigger", '[[trigger.http]]\nroute = "/..."\ncomponent = "guest"', (_SERVED,)),
    Way(
        "HTTP trigger with a static response",
        '[[trigger.http]]\nroute = "/..."\nstatic_response = { status_code = 200 }',
        ("tests/triggers/test_http.py::test_static_responses_need_no_guest",),
    ),
    Way(
        "HTTP trigger with the Wagi executor",
        '[[trigger.http]]\nroute = "/..."\ncomponent = "guest"\nexecutor = { type = "wagi" }',
        ("tests/triggers/test_wagi.py::test_it_answers",),
    ),
    Way(
        "Redis trigger",
        '[application.trigger.redis]\naddress = "redis://localhost"\n'
        '[[trigger.redis]]\nchannel = "c"\ncomponent = "guest"',
        (_MESSAGE,),
    ),
    Way("cron trigger", '[[trigger.cron]]\ncron_expression = "0 0 * * * *"\ncomponent = "guest"', (_TICK,)),
    Way("MQTT trigger", '[[trigger.mqtt]]\ntopic = "t"\nqos = "1"\ncomponent = "guest"'),
    Way("SQS trigger", '[[trigger.sqs]]\nqueue_url = "q"\ncomponent = "guest"'),
    Way("command trigger", '[[trigger.command]]\ncomponent = "guest"'),
)

_MANIFEST = """spin_manifest_version = 2
[application]
name = "app"
{}
[component.guest]
source = "guest.wasm"
"""


def refusal(way: Way) -> str | None:
    """What edged says of an app that is called this way; None if it runs."""
    said = manifest.unsupported(manifest.parse(_MANIFEST.format(way.trigger).encode(), Path("spin.toml")))
    return said[0].partition("` ")[2] if said else None


class Kind(NamedTuple):
    """A kind of guest.

    Attributes:
        exports: what a trigger calls.
        guests: of tests/guests.
        tests: that those run.
        missing: what is not shown, and why.
    """

    made_by: str
    exports: str
    guests: tuple[str, ...]
    tests: tuple[str, ...]
    missing: str = ""


_COMPONENT = "component, `wasi:http/incoming-handler@0.2.x`"
_ASYNC = "component, `wasi:http/handler@0.3.x`"
_RECORD = "tests/triggers/test_record.py"
_MODULE = "tests/triggers/test_module.py"
_WASI3 = "tests/end_to_end/test_wasi3_guests.py"
_ASYNC_HTTP = "tests/triggers/test_async_http.py"

KINDS = (
    Kind(
        "Python SDK 2 and 3 (2023 to 2025)",
        _COMPONENT,
        ("hello-python", "python-features", "python-capabilities"),
        (_SERVED, "tests/end_to_end/test_stores.py::test_statements"),
    ),
    Kind(
        "JavaScript SDK 2 and later",
        _COMPONENT,
        ("hello-js", "js-features", "js-hono", "js-capabilities"),
        (_SERVED, "tests/end_to_end/test_stores.py::test_statements"),
    ),
    Kind("componentize-py without an SDK", _COMPONENT, ("python-plain",), (_SERVED,)),
    Kind(
        "C without an SDK, by zig",
        _COMPONENT,
        ("streaming-c",),
        ("tests/end_to_end/test_streaming.py::test_64_mib_pass_through_with_flat_memory",),
    ),
    Kind(
        "Rust SDK 2 to 5 for wasm32-wasip2",
        _COMPONENT,
        (),
        (),
        "a guest that shows it: no package registry has a rustc for WebAssembly. The C guest has the same form",
    ),
    Kind(
        "Python SDK 2 and 3 for the Redis trigger",
        "component, `fermyon:spin/inbound-redis`",
        ("python-redis-trigger",),
        (_MESSAGE,),
    ),
    Kind(
        "Python SDK 2 and 3 with the world of Spin's cron plugin",
        "component, `handle-cron-event`",
        ("cron-python",),
        (_TICK,),
    ),
    Kind(
        "any language, for Wagi",
        "core module, `_start`",
        ("wagi", "wagi-hostile"),
        ("tests/triggers/test_wagi.py::test_it_answers", "tests/test_app.py::test_a_program_loads_and_answers"),
    ),
    Kind(
        "any language, for Wagi",
        "component, `wasi:cli/run@0.2.x`",
        ("wagi-component",),
        ("tests/triggers/test_wagi.py::test_it_answers", "tests/test_app.py::test_a_program_loads_and_answers"),
    ),
    Kind(
        "Rust SDK 0.x, TinyGo SDK 1 and 2, C by wit-bindgen 0.2; SDKs made with those (js2wasm, py2wasm, .NET)",
        "core module, `handle-http-request`, `handle-redis-message`",
        ("spin02",),
        (f"{_RECORD}::test_a_body_comes_back", f"{_RECORD}::test_key_value", f"{_RECORD}::test_a_message"),
        "a guest of those SDKs themselves: theirs is the same interface in C",
    ),
    Kind(
        "Rust SDK 1 and others of Spin 1",
        "core module, `fermyon:spin/inbound-http`, `fermyon:spin/inbound-redis`",
        ("spin1",),
        (f"{_RECORD}::test_a_body_comes_back", f"{_RECORD}::test_key_value", f"{_RECORD}::test_a_message"),
        "a guest of the SDK itself: no package registry has a rustc for WebAssembly",
    ),
    Kind(
        "Rust SDK 2 to 5 for wasm32-wasip1 (Spin's templates to 3.x), C and Zig",
        "core module with imports of WASI 0.2 and a component-type section",
        ("streaming-c-module", "wasip1-p2"),
        (f"{_MODULE}::test_bodies_both_ways", f"{_MODULE}::test_key_value", f"{_MODULE}::test_outbound_http"),
    ),
    Kind(
        "Python SDK 4 and 5",
        _ASYNC,
        ("hello-python5", "python5-capabilities"),
        (f"{_WASI3}::test_it_answers_and_answers_again", f"{_WASI3}::test_bodies_stream_both_ways"),
    ),
    Kind(
        "Python SDK 4 and 5 for the Redis trigger",
        "component, `spin:redis/inbound-redis@3`",
        ("python5-redis-trigger",),
        (f"{_WASI3}::test_messages_reach_the_guest_and_its_answers_the_server",),
    ),
    Kind(
        "JavaScript by componentize-qjs",
        _ASYNC,
        ("js-wasi3",),
        (f"{_WASI3}::test_it_answers_and_answers_again", f"{_WASI3}::test_a_body_streams_through_javascript"),
    ),
    Kind(
        "Rust SDK 6, Go SDK 3",
        _ASYNC,
        (),
        (f"{_ASYNC_HTTP}::test_a_guest_answers", f"{_ASYNC_HTTP}::test_a_body_is_echoed_while_it_comes"),
        "a guest that shows it: no package registry has their compilers. Guests of text with the same interfaces run",
    ),
)

MISSING = (
    ("`thread.*` built-ins but `thread.yield`", "the specification still changes them, and no toolchain uses them"),
    ("error-context", "likewise"),
    ("lists of fixed length", "read and laid out, but not validated"),
    ("values as imports and exports", "no toolchain uses them"),
    ("memories of 64 bits, or shared between threads", "the canonical ABI here has addresses of 32 bits"),
    ("imports of components, of core modules, or of an interface inside of an interface", "a host has none to give"),
    ("an export that is only an import passed on", "nothing of the component would run"),
    ("resources that are other than 32 bits", "no toolchain uses them"),
    (
        "garbage collection and exceptions in core modules of such a component",
        "wasmtime's collector does not see what a guest that waits still uses; components of WASI 0.2 may have both",
    ),
)
"""Of the component model: what, and why not."""
