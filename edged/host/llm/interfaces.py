"""`fermyon:spin/llm` of one component: which models it may use, and what computes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

from edged.host.interface import Err, Interface, Invocation
from edged.host.llm.compute import ComputeFailed, EmbeddingsResult, InferencingParams, InferencingResult, LlmCompute
from edged.limits import LLM_PROMPT_BYTES_MAX

_NO_COMPUTE = (
    "nothing computes for models here: name a service in runtime-config.toml, "
    'under [llm_compute] with type = "remote_http"'
)


class Llm(Interface):
    """`fermyon:spin/llm@2.0.0`.

    Args:
        models: `ai_models` of the manifest.
        compute: None where the operator has configured none.
    """

    wit: ClassVar[str] = "fermyon:spin/llm"
    versions: ClassVar[tuple[str, ...]] = ("2.0.0",)

    def __init__(self, models: frozenset[str], compute: LlmCompute | None) -> None:
        self._models = models
        self._compute = compute

    async def infer(
        self, _invocation: Invocation, model: str, prompt: str, params: tuple[int, float, int, float, int, float] | None
    ) -> InferencingResult:
        """Errors: `invalid-input` for a model that the manifest does not name, as in Spin, and for what is too long;
        `runtime-error` for what the service says.
        """
        compute = self._granted(model)
        _check([prompt])
        asked = InferencingParams() if params is None else InferencingParams(*params)
        if not all(map(math.isfinite, asked)):
            raise Err(("invalid-input", "a parameter is not a finite number"))
        try:
            return await compute.infer(model, prompt, asked)
        except ComputeFailed as failed:
            raise Err(("runtime-error", str(failed))) from None

    async def generate_embeddings(self, _invocation: Invocation, model: str, text: list[str]) -> EmbeddingsResult:
        """Errors: as `infer`."""
        compute = self._granted(model)
        _check(text)
        try:
            return await compute.embed(model, text)
        except ComputeFailed as failed:
            raise Err(("runtime-error", str(failed))) from None

    def _granted(self, model: str) -> LlmCompute:
        if model not in self._models:
            raise Err(
                ("invalid-input", f"the component may not use `{model}`: ai_models in the manifest does not name it")
            )
        if self._compute is None:
            raise Err(("runtime-error", _NO_COMPUTE))
        return self._compute


def _check(texts: Sequence[str]) -> None:
    if sum(len(text.encode()) for text in texts) > LLM_PROMPT_BYTES_MAX:
        raise Err(("invalid-input", f"the text has more than {LLM_PROMPT_BYTES_MAX} bytes"))
