"""What is said of a component that exports nothing its trigger could call; the rest is tested with each trigger."""

from __future__ import annotations

import pytest

from edged.errors import ComponentUnsupported
from edged.triggers.exports import check_handler
from edged.wasm.types import ComponentType, Function, InstanceType, Primitive


def exporting(*names: str) -> ComponentType:
    interface = InstanceType(functions={"handle": Function((Primitive("U32"),), None)})
    return ComponentType({}, dict.fromkeys(names, interface), ())


def refusal(trigger: str, found: ComponentType) -> ComponentUnsupported:
    with pytest.raises(ComponentUnsupported) as caught:
        check_handler(trigger, found)
    return caught.value


def test_what_it_exports_is_named() -> None:
    error = refusal("cron", exporting("wasi:http/handler@0.3.0", "acme:thing/x"))
    assert error.message == (
        "the component exports no handle-cron-event; it exports wasi:http/handler@0.3.0, acme:thing/x"
    )
    assert refusal("cron", exporting()).message == "the component exports no handle-cron-event"


def test_another_release_candidate_is_another_interface() -> None:
    error = refusal("http", exporting("wasi:http/handler@0.3.0-rc-2025-09-16"))
    assert "release candidate" in error.remedy
    assert "release candidate" not in refusal("redis", exporting("wasi:http/handler@0.3.0-rc-2025-09-16")).remedy


@pytest.mark.parametrize("version", ["0.3.0", "0.3.0-rc-2026-03-15"])
def test_another_signature(version: str) -> None:
    name = f"wasi:http/handler@{version}"
    message = refusal("http", exporting(name)).message
    assert message.startswith(f"the component's {name}#handle is func(u32) and should be async func(")
