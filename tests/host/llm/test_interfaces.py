"""fermyon:spin/llm: who may ask, and what reaches the service."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from edged.host.interface import Err
from edged.host.llm.compute import (
    ComputeFailed,
    EmbeddingsResult,
    EmbeddingsUsage,
    InferencingParams,
    InferencingResult,
    InferencingUsage,
    LlmCompute,
)
from edged.host.llm.interfaces import Llm
from edged.limits import LLM_PROMPT_BYTES_MAX
from tests.host.fakes import err, invocation


class Counting:
    """Computes how long things are."""

    params: InferencingParams | None = None

    async def infer(self, model: str, prompt: str, params: InferencingParams) -> InferencingResult:
        self.params = params
        return InferencingResult(f"{model}: {len(prompt)}", InferencingUsage(len(prompt), 1))

    async def embed(self, model: str, texts: Sequence[str]) -> EmbeddingsResult:
        return EmbeddingsResult([[float(len(text))] for text in texts], EmbeddingsUsage(len(texts)))

    def close(self) -> None:
        pass


class Broken(Counting):
    async def infer(self, model: str, prompt: str, params: InferencingParams) -> InferencingResult:
        raise ComputeFailed("the LLM service answered 500")

    async def embed(self, model: str, texts: Sequence[str]) -> EmbeddingsResult:
        raise ComputeFailed("the LLM service answered 500")


def llm(compute: LlmCompute | None, *models: str) -> Llm:
    return Llm(frozenset(models), compute)


def failed(kind: str, text: str):
    return pytest.raises(Err, check=lambda e: e.value[0] == kind and text in e.value[1])


async def test_granted() -> None:
    interface = llm(Counting(), "llama2-chat", "all-minilm-l6-v2")
    assert await interface.infer(invocation(), "llama2-chat", "abc", None) == ("llama2-chat: 3", (3, 1))
    assert await interface.generate_embeddings(invocation(), "all-minilm-l6-v2", ["a", "bc"]) == ([[1.0], [2.0]], (2,))


@pytest.mark.parametrize("models", [(), ("llama2-chat",)])
@pytest.mark.parametrize("compute", [Counting(), None])
async def test_denied(models, compute) -> None:
    interface = llm(compute, *models)
    with failed("invalid-input", "ai_models"):
        await interface.infer(invocation(), "codellama-instruct", "abc", None)
    with failed("invalid-input", "`codellama-instruct`"):
        await interface.generate_embeddings(invocation(), "codellama-instruct", [])


async def test_nothing_computes() -> None:
    interface = llm(None, "m")
    with failed("runtime-error", "[llm_compute]"):
        await interface.infer(invocation(), "m", "abc", None)
    with failed("runtime-error", "runtime-config.toml"):
        await interface.generate_embeddings(invocation(), "m", ["abc"])


async def test_parameters() -> None:
    compute = Counting()
    await llm(compute, "m").infer(invocation(), "m", "", None)
    assert compute.params == (100, 1.1, 64, 0.8, 40, 0.9)
    await llm(compute, "m").infer(invocation(), "m", "", (1, 2.0, 3, 4.0, 5, 6.0))
    assert compute.params == InferencingParams(1, 2.0, 3, 4.0, 5, 6.0)
    for number in (float("nan"), float("inf")):
        with failed("invalid-input", "finite"):
            await llm(compute, "m").infer(invocation(), "m", "", (1, 2.0, 3, number, 5, 6.0))


async def test_what_the_service_says() -> None:
    said = ("runtime-error", "the LLM service answered 500")
    with err(said):
        await llm(Broken(), "m").infer(invocation(), "m", "", None)
    with err(said):
        await llm(Broken(), "m").generate_embeddings(invocation(), "m", [])


async def test_text_at_the_limit_and_over() -> None:
    interface = llm(Counting(), "m")
    longest = "é" * (LLM_PROMPT_BYTES_MAX // 2)
    await interface.infer(invocation(), "m", longest, None)
    await interface.generate_embeddings(invocation(), "m", [longest, ""])
    with failed("invalid-input", "bytes"):
        await interface.infer(invocation(), "m", longest + "x", None)
    with failed("invalid-input", "bytes"):
        await interface.generate_embeddings(invocation(), "m", [longest, "x"])
