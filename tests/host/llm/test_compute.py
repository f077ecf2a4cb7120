"""A service that computes, in both shapes, against a real HTTP server."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio

from edged.host.llm.compute import ComputeFailed, InferencingParams, RemoteLlm
from edged.limits import (
    LLM_ANSWER_BYTES_MAX,
    LLM_CONCURRENT_MAX,
    LLM_EMBEDDING_VALUE_COUNT_MAX,
    LLM_REASON_CHARS_MAX,
    LLM_TIMEOUT_S,
)
from tests.host.json_server import JsonServer, always, json_server

TLS = ssl.create_default_context()
BOTH = pytest.mark.parametrize("api_type", ["default", "open_ai"])
INFERRED = {
    "default": {"text": "four", "usage": {"promptTokenCount": 7, "generatedTokenCount": 1}},
    "open_ai": {
        "choices": [{"message": {"role": "assistant", "content": "four"}}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 1},
    },
}


def embedded(api_type: str, *vectors: object, count: object = 3) -> dict[str, Any]:
    if api_type == "default":
        return {"embeddings": list(vectors), "usage": {"promptTokenCount": count}}
    return {"data": [{"embedding": vector} for vector in vectors], "usage": {"prompt_tokens": count}}


@asynccontextmanager
async def answering(api_type: str, status: int, body: Any) -> AsyncIterator[tuple[RemoteLlm, JsonServer]]:
    async with json_server(always(status, body)) as server:
        compute = RemoteLlm(f"{server.url}/elsewhere", "token-1", api_type, TLS)
        yield compute, server
        compute.close()


async def test_inferring_as_spin_asks() -> None:
    params = InferencingParams(1, 0.5, 2, 0.25, 3, 0.125)
    async with answering("default", 200, INFERRED["default"]) as (compute, server):
        assert await compute.infer("m", "2+2?", params) == ("four", (7, 1))
    (asked,) = server.asked
    assert (asked.method, asked.path, asked.headers["authorization"]) == ("POST", "/infer", "Bearer token-1")
    assert asked.body == {
        "model": "m",
        "prompt": "2+2?",
        "options": {
            "maxTokens": 1,
            "repeatPenalty": 0.5,
            "repeatPenaltyLastNTokenCount": 2,
            "temperature": 0.25,
            "topK": 3,
            "topP": 0.125,
        },
    }


async def test_inferring_as_open_ai_is_asked() -> None:
    async with answering("open_ai", 200, INFERRED["open_ai"]) as (compute, server):
        assert await compute.infer("m", "2+2?", InferencingParams(max_tokens=9, repeat_penalty=0.5)) == ("four", (7, 1))
    (asked,) = server.asked
    assert (asked.method, asked.path, asked.headers["authorization"]) == (
        "POST",
        "/v1/chat/completions",
        "Bearer token-1",
    )
    assert asked.body == {
        "model": "m",
        "messages": [{"role": "user", "content": "2+2?"}],
        "max_completion_tokens": 9,
        "frequency_penalty": 0.5,
    }


@pytest.mark.parametrize("choices", [[], [{"message": {"content": None}}], [{"message": {"content": ""}}]])
async def test_an_open_ai_answer_without_text(choices) -> None:
    async with answering("open_ai", 200, INFERRED["open_ai"] | {"choices": choices}) as (compute, _):
        assert (await compute.infer("m", "", InferencingParams())).text == ""


@pytest.mark.parametrize(("api_type", "path"), [("default", "/embed"), ("open_ai", "/v1/embeddings")])
async def test_embedding(api_type, path) -> None:
    async with answering(api_type, 200, embedded(api_type, [0.5, -1], [])) as (compute, server):
        assert await compute.embed("m", ["a", "b"]) == ([[0.5, -1.0], []], (3,))
    (asked,) = server.asked
    assert (asked.path, asked.body) == (path, {"model": "m", "input": ["a", "b"]})


# --- what a service may get wrong ---


@pytest.mark.parametrize(
    "change",
    [
        b"<html>",
        [],
        "text",
        {"text": 1, "choices": 1},
        {"text": None, "choices": [{"message": {"content": 1}}]},
        {"choices": [{}], "usage": {}},
        {"usage": None},
        {"usage": {"promptTokenCount": -1, "generatedTokenCount": 1, "prompt_tokens": -1, "completion_tokens": 1}},
        {
            "usage": {
                "promptTokenCount": 2**32,
                "generatedTokenCount": 1,
                "prompt_tokens": 1,
                "completion_tokens": 2**32,
            }
        },
        {"usage": {"promptTokenCount": True, "generatedTokenCount": 1, "prompt_tokens": 1.5, "completion_tokens": 1}},
    ],
)
@BOTH
async def test_no_result(api_type, change) -> None:
    body = INFERRED[api_type] | change if isinstance(change, dict) else change
    async with answering(api_type, 200, body) as (compute, _):
        with pytest.raises(ComputeFailed, match="something else"):
            await compute.infer("m", "", InferencingParams())


@pytest.mark.parametrize("vector", [None, 1, "12", {"1": 1}, ["1"], [None], [True], [1e39], [-(10**400)]])
@BOTH
async def test_no_vectors(api_type, vector) -> None:
    async with answering(api_type, 200, embedded(api_type, [1], vector)) as (compute, _):
        with pytest.raises(ComputeFailed, match="something else"):
            await compute.embed("m", [""])


@pytest.mark.parametrize("status", [400, 404, 429, 500, 302])
@BOTH
async def test_a_service_that_fails(api_type, status) -> None:
    async with answering(api_type, status, b"Traceback of the service's own") as (compute, server):
        with pytest.raises(ComputeFailed, match=f"^the LLM service answered {status}$"):
            await compute.infer("m", "", InferencingParams())
        server.answer = always(status, {"error": {"message": "because"}})
        with pytest.raises(ComputeFailed, match=f"answered {status}: because$"):
            await compute.embed("m", [])


@pytest.mark.parametrize("status", [401, 403])
async def test_a_token_that_is_not_taken(status) -> None:
    async with answering("open_ai", status, {"error": {"message": "wrong key: token-1"}}) as (compute, _):
        with pytest.raises(ComputeFailed) as caught:
            await compute.infer("m", "", InferencingParams())
        assert "auth_token" in str(caught.value)
        assert "token-1" not in str(caught.value) + repr(compute)


async def test_what_a_service_says_of_the_token_is_not_handed_on() -> None:
    async with answering("open_ai", 500, {"error": {"message": "no place for token-1"}}) as (compute, _):
        with pytest.raises(ComputeFailed, match=r"^the LLM service answered 500$"):
            await compute.infer("m", "", InferencingParams())


async def test_its_words_at_the_limit_and_over() -> None:
    async with answering("open_ai", 400, {"error": {"message": "x" * (LLM_REASON_CHARS_MAX + 1)}}) as (compute, _):
        with pytest.raises(ComputeFailed, match=f": x{{{LLM_REASON_CHARS_MAX}}}$"):
            await compute.infer("m", "", InferencingParams())


# --- limits ---


@BOTH
async def test_numbers_at_the_limit_and_over(api_type) -> None:
    half = [0] * (LLM_EMBEDDING_VALUE_COUNT_MAX // 2 - 1)
    async with answering(api_type, 200, embedded(api_type, half, half)) as (compute, server):
        assert len((await compute.embed("m", [])).embeddings) == 2
        server.answer = always(200, embedded(api_type, half, half, []))
        with pytest.raises(ComputeFailed, match="numbers"):
            await compute.embed("m", [])


async def test_bytes_over_the_limit() -> None:
    async with answering("default", 200, b" " * (LLM_ANSWER_BYTES_MAX + 1)) as (compute, _):
        with pytest.raises(ComputeFailed, match="the LLM service answered with more than"):
            await compute.infer("m", "", InferencingParams())


async def test_time_over_the_limit(autojump_clock) -> None:
    async def never(_asked: object) -> Any:
        await trio.sleep_forever()

    async with json_server(never) as server:
        compute = RemoteLlm(server.url, "", tls=TLS)
        with pytest.raises(ComputeFailed, match="the LLM service did not answer within"):
            await compute.infer("m", "", InferencingParams())
        assert trio.current_time() >= LLM_TIMEOUT_S
        compute.close()


async def test_calls_past_the_limit_wait(autojump_clock) -> None:
    go = trio.Event()

    async def when_told(_asked: object) -> Any:
        await go.wait()
        return 200, INFERRED["default"]

    async with json_server(when_told) as server:
        compute = RemoteLlm(server.url, "", tls=TLS)
        async with trio.open_nursery() as nursery:
            for _ in range(LLM_CONCURRENT_MAX + 1):
                nursery.start_soon(compute.infer, "m", "", InferencingParams())
            await trio.sleep(1)
            assert len(server.asked) == LLM_CONCURRENT_MAX
            go.set()
        assert len(server.asked) == LLM_CONCURRENT_MAX + 1
        compute.close()


def test_no_url() -> None:
    with pytest.raises(ValueError, match="URL"):
        RemoteLlm("gpu.example", "")
