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
        tests: that those run, or that they are refused.
        missing: why they are refused, or are not shown; nothing if they run.
    """

    made_by: str
    exports: str
    guests: tuple[str, ...]
    tests: tuple[str, ...]
    missing: str = ""


_COMPONENT = "component, `wasi:http/incoming-handler@0.2.x`"
_REFUSED_CORE = "tests/cli/test_up.py::test_a_component_made_for_something_else"

KINDS = (
    Kind(
        "Python SDK 2 and 3",
        _COMPONENT,
        ("hello-python", "python-features", "python-capabilities"),
        (_SERVED, "tests/end_to_end/test_stores.py::test_statements"),
    ),
    Kind(
        "JavaScript SDK",
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
        "templates of Rust for wasm32-wasip1, of C and of Zig",
        "core module with imports of WASI 0.2",
        ("core-module",),
        (_REFUSED_CORE,),
        "core modules are bound to the host in another way than components",
    ),
    Kind(
        "Rust SDK 1, TinyGo SDK 1 and 2",
        "core module, `fermyon:spin/inbound-http` or `handle-http-request`",
        ("core-module",),
        (_REFUSED_CORE,),
        "likewise",
    ),
    Kind(
        "Python SDK 4 and later, Rust SDK 6, Go SDK 3",
        "component, `wasi:http/handler@0.3.x`",
        ("python-wasi3",),
        ("tests/cli/test_up.py::test_a_wasi_0_3_component",),
        "WASI 0.3 has asynchronous functions and streams of its own; build for 0.2",
    ),
)
