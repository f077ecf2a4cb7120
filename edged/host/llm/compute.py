"""What computes for `fermyon:spin/llm`: the records of the interface, and a service that is asked over HTTP.

Llm ── LlmCompute: infer, embed
         └── RemoteLlm ── Shape (what is asked, how the answer reads) ── JsonService
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

from edged.host.json_service import Answer, JsonService, ServiceFailed
from edged.limits import (
    LLM_ANSWER_BYTES_MAX,
    LLM_CONCURRENT_MAX,
    LLM_EMBEDDING_VALUE_COUNT_MAX,
    LLM_REASON_CHARS_MAX,
    LLM_TIMEOUT_S,
)

R = TypeVar("R")

_U32_MAX = 2**32 - 1
_F32_MAX = 3.4028234663852886e38


class ComputeFailed(Exception):
    """No result. The message is for the guest."""


class InferencingParams(NamedTuple):
    """`record inferencing-params`; the defaults are Spin's."""

    max_tokens: int = 100
    repeat_penalty: float = 1.1
    repeat_penalty_last_n_token_count: int = 64
    temperature: float = 0.8
    top_k: int = 40
    top_p: float = 0.9


class InferencingUsage(NamedTuple):
    """`record inferencing-usage`"""

    prompt_token_count: int
    generated_token_count: int


class InferencingResult(NamedTuple):
    """`record inferencing-result`"""

    text: str
    usage: InferencingUsage


class EmbeddingsUsage(NamedTuple):
    """`record embeddings-usage`"""

    prompt_token_count: int


class EmbeddingsResult(NamedTuple):
    """`record embeddings-result`"""

    embeddings: Sequence[Sequence[float]]
    usage: EmbeddingsUsage


class LlmCompute(Protocol):
    """Runs models. Every method may be called by many tasks at once; all raise `ComputeFailed`."""

    async def infer(self, model: str, prompt: str, params: InferencingParams) -> InferencingResult: ...

    async def embed(self, model: str, texts: Sequence[str]) -> EmbeddingsResult: ...

    def close(self) -> None:
        """Call it when nobody waits for a result any more."""


class Shape(NamedTuple):
    """What a kind of service is asked, and how its answers read. The readers may raise LookupError and ValueError."""

    infer_path: str
    infer_body: Callable[[str, str, InferencingParams], object]
    infer_result: Callable[[Any], InferencingResult]
    embed_path: str
    embed_body: Callable[[str, Sequence[str]], object]
    embed_result: Callable[[Any], EmbeddingsResult]


class RemoteLlm:
    """`[llm_compute] type = "remote_http"`.

    Args:
        url: of the service; only its scheme, host and port count, as in Spin.
        api_type: a key of `SHAPES`.
        tls: as for `JsonService`.

    Raises:
        ValueError: as `JsonService`.
    """

    def __init__(self, url: str, auth_token: str, api_type: str = "default", tls: ssl.SSLContext | None = None) -> None:
        self._shape = SHAPES[api_type]
        self._token = auth_token
        self._service = JsonService(
            url,
            auth_token,
            connections_max=LLM_CONCURRENT_MAX,
            answer_bytes_max=LLM_ANSWER_BYTES_MAX,
            timeout_s=LLM_TIMEOUT_S,
            tls=tls,
        )

    def close(self) -> None:
        self._service.close()

    async def infer(self, model: str, prompt: str, params: InferencingParams) -> InferencingResult:
        shape = self._shape
        answer = await self._ask(shape.infer_path, shape.infer_body(model, prompt, params))
        return _read(shape.infer_result, answer)

    async def embed(self, model: str, texts: Sequence[str]) -> EmbeddingsResult:
        shape = self._shape
        answer = await self._ask(shape.embed_path, shape.embed_body(model, texts))
        result = _read(shape.embed_result, answer)
        if sum(len(vector) + 1 for vector in result.embeddings) > LLM_EMBEDDING_VALUE_COUNT_MAX:
            raise ComputeFailed(f"the embeddings have more than {LLM_EMBEDDING_VALUE_COUNT_MAX} numbers")
        return result

    async def _ask(self, path: str, body: object) -> Any:
        try:
            answer = await self._service.post(path, body)
        except ServiceFailed as failed:
            raise ComputeFailed(f"the LLM service {failed}") from None
        if answer.status in (401, 403):
            # Its own words may quote the token.
            raise ComputeFailed("the LLM service did not take the auth_token of the runtime config")
        if answer.status != 200:
            raise ComputeFailed(f"the LLM service answered {answer.status}{self._reason(answer)}")
        return answer.body

    def _reason(self, answer: Answer) -> str:
        """What it says of its failure, in the shape that OpenAI gave to that."""
        try:
            reason = answer.body["error"]["message"]
        except (LookupError, TypeError):
            return ""
        if not isinstance(reason, str) or (self._token and self._token in reason):
            return ""
        return f": {reason[:LLM_REASON_CHARS_MAX]}"


def _default_infer_body(model: str, prompt: str, params: InferencingParams) -> object:
    options = {
        "maxTokens": params.max_tokens,
        "repeatPenalty": params.repeat_penalty,
        "repeatPenaltyLastNTokenCount": params.repeat_penalty_last_n_token_count,
        "temperature": params.temperature,
        "topK": params.top_k,
        "topP": params.top_p,
    }
    return {"model": model, "prompt": prompt, "options": options}


def _default_infer_result(body: Any) -> InferencingResult:
    usage = body["usage"]
    return InferencingResult(
        _text(body["text"]),
        InferencingUsage(_count(usage["promptTokenCount"]), _count(usage["generatedTokenCount"])),
    )


def _default_embed_result(body: Any) -> EmbeddingsResult:
    vectors = [_vector(vector) for vector in body["embeddings"]]
    return EmbeddingsResult(vectors, EmbeddingsUsage(_count(body["usage"]["promptTokenCount"])))


def _open_ai_infer_body(model: str, prompt: str, params: InferencingParams) -> object:
    """As Spin asks: temperature, top-p and top-k are not in it, since there are models that refuse them."""
    return {
        "model": model,
        "messages": [{"role": "user", "content": prompt}],
        "max_completion_tokens": params.max_tokens,
        "frequency_penalty": params.repeat_penalty,
    }


def _open_ai_infer_result(body: Any) -> InferencingResult:
    choices, usage = body["choices"], body["usage"]
    return InferencingResult(
        _text(choices[0]["message"]["content"] or "") if choices else "",
        InferencingUsage(_count(usage["prompt_tokens"]), _count(usage["completion_tokens"])),
    )


def _open_ai_embed_result(body: Any) -> EmbeddingsResult:
    vectors = [_vector(entry["embedding"]) for entry in body["data"]]
    return EmbeddingsResult(vectors, EmbeddingsUsage(_count(body["usage"]["prompt_tokens"])))


SHAPES = {
    "default": Shape(
        "/infer",
        _default_infer_body,
        _default_infer_result,
        "/embed",
        lambda model, texts: {"model": model, "input": list(texts)},
        _default_embed_result,
    ),
    "open_ai": Shape(
        "/v1/chat/completions",
        _open_ai_infer_body,
        _open_ai_infer_result,
        "/v1/embeddings",
        lambda model, texts: {"model": model, "input": list(texts)},
        _open_ai_embed_result,
    ),
}
"""`api_type` -> what is asked. `default` is Spin's own, of its cloud-gpu plugin."""


def _read(read: Callable[[Any], R], body: Any) -> R:
    try:
        return read(body)
    except (LookupError, TypeError, ValueError):
        raise ComputeFailed("the LLM service answered with something else than its api_type says") from None


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError
    return value


def _count(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= _U32_MAX:
        raise ValueError
    return value


def _vector(values: Any) -> Sequence[float]:
    if not all(type(value) in (int, float) and abs(value) <= _F32_MAX for value in values):
        raise ValueError
    return list(map(float, values))
