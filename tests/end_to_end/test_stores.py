"""What Spin adds to WASI, as an application built by the official SDK meets it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import httpx
import pytest

from tests.conftest import GuestPath
from tests.end_to_end.conftest import CACHE
from tests.end_to_end.server import edged_up

MANIFEST = """
spin_manifest_version = 2
[application]
name = "stores"
[variables]
token = { required = true, secret = true }
host = { default = "example.com" }
user = { default = "nobody" }
[[trigger.http]]
route = "/..."
component = "guest"
[component.guest]
source = "guest.wasm"
variables = { token = "{{ token }}", url = "https://{{ user }}@{{ host }}/" }
"""


@pytest.fixture(scope="module")
def url(guest_path: GuestPath, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("stores")
    shutil.copy(guest_path("python-stores"), folder / "guest.wasm")
    (folder / "spin.toml").write_text(MANIFEST)
    options = ("--cache-dir", str(CACHE), "--limit", "cpu_s_max=120", "--variable", "user=ada")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SPIN_VARIABLE_TOKEN", "geheim")
        environment.setenv("SPIN_VARIABLE_USER", "not-this-one")
        environment.setenv("SPIN_VARIABLE_OF_ANOTHER_APP", "x")
        with edged_up(folder, *options) as server:
            yield server.url


def ask(url: str, body: bytes = b"") -> tuple[int, str]:
    answer = httpx.post(url, content=body, timeout=30)
    return answer.status_code, answer.text


def test_variables(url: str) -> None:
    assert ask(f"{url}/variable/token") == (200, "geheim")
    assert ask(f"{url}/variable/url") == (200, "https://ada@example.com/")


def test_a_variable_of_the_application_is_not_the_components(url: str) -> None:
    status, text = ask(f"{url}/variable/host")
    assert (status, text.partition("(")[0]) == (403, "Error_Undefined")
    status, text = ask(f"{url}/variable/HOST")
    assert (status, text.partition("(")[0]) == (403, "Error_InvalidName")
