"""A lifted function, compiled: what a call of it needs and is the same for every instance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from edged.wasm.canonical_abi import PARAMS_FLAT_MAX
from edged.wasm.component.fiber import Number, Signature
from edged.wasm.component.release import release
from edged.wasm.linear.context import BETWEEN_GUESTS, TO_HOST
from edged.wasm.linear.signature import compile_answer, compile_values
from edged.wasm.plan.plan import Lifted

if TYPE_CHECKING:
    from edged.wasm.component.program import ComponentProgram
    from edged.wasm.component.task import Task


class Code:
    """
    Args:
        name: for messages.
        is_between: other guests call it, not the host.

    Attributes:
        type: as WIT has it.
        part: index of its component instance.
        is_async: its type is: it may wait before it returns.
        is_async_abi: it gives its answer by `task.return`.
        is_exclusive: tasks of this kind take turns in an instance.
        function, callback, post_return: of the program's items; 0: there is none.
    """

    def __init__(self, program: ComponentProgram, name: str, lifted: Lifted, *, is_between: bool = False) -> None:
        options = lifted.options
        self.name = name
        self.type = lifted.type
        self.part = lifted.instance
        self.options = options
        self.is_async = lifted.type.is_async
        self.is_async_abi = options.is_async
        self.is_exclusive = not options.is_async or options.callback is not None
        self.function = program.core(lifted.core)
        self.callback = 0 if options.callback is None else program.item(options.callback)
        self.post_return = 0 if options.post_return is None else program.item(options.post_return)
        self._context = program.context(options, BETWEEN_GUESTS if is_between else TO_HOST)
        self._params = compile_values(lifted.type.params, PARAMS_FLAT_MAX)
        self._answer = compile_answer(lifted.type.result)
        results = "i" if self._answer.by_pointer else self._answer.letters
        if options.is_async:
            results = "i" if self.callback else ""
        self.signature = Signature(self._params.letters, results)
        self.callback_signature = Signature("iii", "i")
        self.post_return_signature = Signature(results, "")

    def lower_arguments(self, task: Task, arguments: Sequence[Any]) -> Sequence[Number]:
        """Core values of a call's arguments. The guest's allocator runs.

        Raises:
            GuestError: that trapped.
        """
        part = task.part
        context = part.instance.context(self._context)
        context.scope = task
        outer, part.instance.task = part.instance.task, task
        part.may_leave = False
        try:
            flat = self._params.lower(context, arguments)
        except BaseException:
            if not self._params.has_borrow:  # those are somebody else's
                release(list(arguments), part.table)
            raise
        part.may_leave = True
        part.instance.task = outer
        return flat

    def lift_result(self, task: Task, results: Sequence[Number]) -> Any:
        """What a function that is not asynchronous returned."""
        return self._answer.lift(task.part.instance.context(self._context), results)
