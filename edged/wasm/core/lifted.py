"""Functions that a core module exports in the terms of WIT, and the module as triggers look at it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from edged.errors import ComponentUnsupported
from edged.host.core_module import Signature
from edged.wasm.canonical_abi import PARAMS_FLAT_MAX
from edged.wasm.core.program import CoreExport, CoreProgram
from edged.wasm.core_value import KIND, VAL, VAL_WITH_KIND, array
from edged.wasm.linear.signature import Answer, Values, compile_answer, compile_values
from edged.wasm.types import ComponentType, Function

_POST_RETURN = "cabi_post_"


class LiftedExport(NamedTuple):
    """An exported function, for `CoreInstance.call`.

    Attributes:
        store: writes parameters as an array of `wasmtime_val_t`: (memory, address, kind, value, kind, value, ...).
        kinds: of the parameters.
        load: reads the result of one: (memory, address).
        post_return: called with what the function returned, once that is read.
    """

    core: CoreExport
    params: Values
    answer: Answer
    store: Callable[..., None]
    kinds: Sequence[int]
    load: Callable[[Any, int], tuple[Any, ...]]
    post_return: CoreExport | None


class WorldProgram:
    """A core module with a world, as triggers look at a component (`edged.triggers.exports.LinkedComponent`).

    Args:
        core: made with a world.
    """

    def __init__(self, core: CoreProgram) -> None:
        assert core.world is not None
        self.core = core
        self._world = core.world

    @property
    def type(self) -> ComponentType:
        return self._world.type

    @property
    def refusals(self) -> Sequence[str]:
        return self.core.refusals

    def export(self, interface_prefix: str, function: str) -> LiftedExport | None:
        """The function of the exported interface whose name starts with a prefix, or None.

        Args:
            interface_prefix: empty for a function that is in no interface.

        Raises:
            ComponentUnsupported: the module's own function of it has another signature than its world says.
        """
        if not interface_prefix:
            ty = self.type.functions.get(function)
            return None if ty is None else self._lift("", function, ty)
        for name, exported in self.type.exports.items():
            if name.startswith(interface_prefix) and function in exported.functions:
                return self._lift(name, function, exported.functions[function])
        return None

    def _lift(self, interface: str, function: str, ty: Function) -> LiftedExport:
        params, answer = compile_values(ty.params, PARAMS_FLAT_MAX), compile_answer(ty.result)
        # Where the result does not fit, the function returns the address of it.
        signature = Signature(params.letters, "i" if answer.by_pointer else answer.letters)
        name = self._world.exported(interface, function)
        core = self._core(name, signature)
        if core is None:
            raise ComponentUnsupported(f"the module exports no function {name}", remedy="Rebuild it with its SDK.")
        return LiftedExport(
            core,
            params,
            answer,
            array(VAL_WITH_KIND, params.letters).pack_into,
            [KIND[letter] for letter in params.letters],
            array(VAL, signature.result).unpack_from,
            self._core(_POST_RETURN + name, Signature(signature.result, "")),
        )

    def _core(self, name: str, signature: Signature) -> CoreExport | None:
        """
        Raises:
            ComponentUnsupported: it has another signature.
        """
        export = self.core.export(name)
        if export is not None and export.signature != signature:
            raise ComponentUnsupported(
                f"the module's {name} has another signature than its world says", remedy="Rebuild it with its SDK."
            )
        return export
