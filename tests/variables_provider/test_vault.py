"""Variables from Vault, over real connections to a server that speaks its API."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator

import httpx
import pytest
import trio
from trio.testing import MockClock

from edged.errors import VariablesUnavailable
from edged.limits import VAULT_REQUEST_COUNT_MAX, VAULT_RESPONSE_BYTES_MAX, VAULT_TIMEOUT_S
from edged.runtime_config.model import VaultVariables
from edged.variables_provider.vault import VaultProvider
from tests.variables_provider.vault_server import TOKEN, VaultServer, vault_server

SECRET = "geheim-1234"


@pytest.fixture
async def server() -> AsyncIterator[VaultServer]:
    async with vault_server() as server:
        yield server


def provider(server: VaultServer, *, token: str = TOKEN, mount: str = "secret", prefix: str = "") -> VaultProvider:
    return VaultProvider(VaultVariables(server.url, token, mount, prefix))


async def failure(provider: VaultProvider, *names: str) -> str:
    """The message of its error, which holds no secret."""
    with pytest.raises(VariablesUnavailable) as caught:
        await provider.values(names)
    for text in (str(caught.value), repr(caught.value), caught.value.remedy, repr(provider)):
        assert TOKEN not in text
        assert SECRET not in text
    assert caught.value.__cause__ is None
    return caught.value.message


async def test_a_value(server: VaultServer) -> None:
    server.secrets["secret", "api_key"] = {"value": SECRET, "note": "x"}
    assert await provider(server).values(["api_key"]) == {"api_key": SECRET}
    assert server.paths == ["/v1/secret/data/api_key"]


async def test_mount_and_prefix(server: VaultServer) -> None:
    server.secrets["teams/a", "apps/mine/api_key"] = {"value": "ä"}
    assert await provider(server, mount="teams/a", prefix="apps/mine").values(["api_key"]) == {"api_key": "ä"}
    assert server.paths == ["/v1/teams/a/data/apps/mine/api_key"]


async def test_a_final_slash_of_the_address(server: VaultServer) -> None:
    server.secrets["secret", "a"] = {"value": "1"}
    server.url += "/"
    assert await provider(server).values(["a"]) == {"a": "1"}


async def test_what_it_does_not_have_is_left_to_others(server: VaultServer) -> None:
    server.secrets["secret", "a"] = {"value": "1"}
    server.secrets["secret", "deleted"] = None
    assert await provider(server).values(["a", "deleted", "never"]) == {"a": "1"}


async def test_many_at_once(server: VaultServer) -> None:
    names = [f"v{number}" for number in range(3 * VAULT_REQUEST_COUNT_MAX)]
    server.secrets |= {("secret", name): {"value": name.upper()} for name in names}
    assert await provider(server).values(names) == {name: name.upper() for name in names}


async def test_a_wrong_token(server: VaultServer) -> None:
    server.secrets["secret", "a"] = {"value": SECRET}
    message = await failure(provider(server, token="wrong"), "a")
    assert message == (
        f"the variables provider vault at {server.url.removeprefix('http://')}, mount `secret`, answered 403 for `a`: "
        "the token is wrong, has ended, or may not read it"
    )


@pytest.mark.parametrize("status", [307, 400, 429, 500, 503])
async def test_a_server_that_does_not_answer_with_a_secret(server: VaultServer, status: int) -> None:
    server.answer = (status, json.dumps({"errors": [SECRET]}).encode())
    # Both are under way at once: either may be the one that is told.
    assert re.search(f"answered {status} for `[ab]`", await failure(provider(server), "a", "b"))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "without a field `value`"),
        (b"[1]", "without a field `value`"),
        (b'{"data": null}', "without a field `value`"),
        (json.dumps({"data": {"value": SECRET}}).encode(), "without a field `value`"),
        (json.dumps({"data": {"data": {"password": SECRET}}}).encode(), "without a field `value`"),
        (json.dumps({"data": {"data": {"value": [SECRET]}}}).encode(), "that is not a string"),
        (b"[" * 100_000, "without a field `value`"),
        (b"\xff" + SECRET.encode(), "without a field `value`"),
    ],
)
async def test_an_answer_that_is_no_secret(server: VaultServer, body: bytes, reason: str) -> None:
    server.answer = (200, body)
    assert reason in await failure(provider(server), "a")


async def test_a_large_answer(server: VaultServer) -> None:
    empty = json.dumps({"data": {"data": {"value": ""}}}).encode()
    value = "x" * (VAULT_RESPONSE_BYTES_MAX - len(empty))
    server.answer = (200, empty.replace(b'""', b'"%s"' % value.encode()))
    assert await provider(server).values(["a"]) == {"a": value}
    server.answer = (200, server.answer[1] + b" ")
    assert f"more than {VAULT_RESPONSE_BYTES_MAX} bytes" in await failure(provider(server), "a")


async def test_nobody_there() -> None:
    async with vault_server() as server:
        pass
    assert "could not be asked: ConnectError" in await failure(provider(server), "a")


async def test_a_password_in_the_address_is_not_shown() -> None:
    config = VaultVariables(f"http://me:{SECRET}@127.0.0.1:1", TOKEN, "secret")
    assert "vault at 127.0.0.1:1, " in await failure(VaultProvider(config), "a")


async def test_a_redirect_does_not_get_the_token(server: VaultServer) -> None:
    seen: list[httpx.Request] = []

    def redirect(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        headers = {"location": "http://elsewhere.example/"}
        return httpx.Response(307, headers=headers, stream=httpx.ByteStream(b""))

    config = VaultVariables("http://vault.example", TOKEN, "secret")
    assert "answered 307" in await failure(VaultProvider(config, httpx.MockTransport(redirect)), "a")
    assert [request.url.host for request in seen] == ["vault.example"]


async def test_a_proxy_of_the_environment_is_not_used(server: VaultServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    server.secrets["secret", "a"] = {"value": "1"}
    assert await provider(server).values(["a"]) == {"a": "1"}


async def test_time_is_bounded_for_all_of_it(autojump_clock: MockClock) -> None:
    async def slow(request: httpx.Request) -> httpx.Response:
        await trio.sleep(VAULT_TIMEOUT_S / 2 - 0.1)
        return httpx.Response(404, stream=httpx.ByteStream(b""))

    config = VaultVariables("http://vault.example", TOKEN, "secret")
    slowly = VaultProvider(config, httpx.MockTransport(slow))
    names = [f"v{number}" for number in range(2 * VAULT_REQUEST_COUNT_MAX)]
    assert await slowly.values(names) == {}
    assert f"did not answer within {VAULT_TIMEOUT_S:g} s" in await failure(slowly, *names, "one_more")
