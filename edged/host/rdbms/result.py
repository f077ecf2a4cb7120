"""What one result, or one page of a stream, may have: spent row by row, while it is being read."""

from __future__ import annotations

from edged.host.rdbms.failure import ResultTooLarge
from edged.limits import (
    ROWS_PAGE_BYTES,
    ROWS_PAGE_COUNT,
    SQL_CELL_OVERHEAD_BYTES,
    SQL_RESULT_BYTES_MAX,
    SQL_ROW_COUNT_MAX,
)


class ResultBudget:
    """What is left for one result."""

    __slots__ = ("_bytes", "_rows")

    def __init__(self) -> None:
        self._bytes = SQL_RESULT_BYTES_MAX
        self._rows = SQL_ROW_COUNT_MAX

    @property
    def spent_bytes(self) -> int:
        return SQL_RESULT_BYTES_MAX - self._bytes

    @property
    def fills_page(self) -> bool:
        """Whether the rows so far are enough for a page of a stream."""
        return self.spent_bytes >= ROWS_PAGE_BYTES or SQL_ROW_COUNT_MAX - self._rows >= ROWS_PAGE_COUNT

    def row(self, values: int, size_bytes: int) -> None:
        """Take one row of so many values and bytes, as the server sends them.

        Raises:
            ResultTooLarge
        """
        self._rows -= 1
        if self._rows < 0:
            raise ResultTooLarge(f"the result has more than {SQL_ROW_COUNT_MAX} rows")
        self.spend(values * SQL_CELL_OVERHEAD_BYTES + size_bytes)

    def spend(self, size_bytes: int) -> None:
        """Take what a value is larger by here than on its way: elements of an array, digits of a number.

        Raises:
            ResultTooLarge
        """
        self._bytes -= size_bytes
        if self._bytes < 0:
            raise ResultTooLarge(f"the result has more than {SQL_RESULT_BYTES_MAX} bytes")
