"""What one invocation may still ask of the host."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from operator import attrgetter

from edged.errors import GuestBudgetExhausted
from edged.limits import (
    BODIES_HELD_BYTES_MAX,
    FIELDS_HELD_BYTES_MAX,
    FILES_OPEN_MAX,
    HTTP_CLIENT_REQUESTS_OPEN_MAX,
    KEY_VALUE_STORES_OPEN_MAX,
    KEY_VALUE_SWAPS_OPEN_MAX,
    LOG_BYTES_MAX,
    MQTT_CONNECTIONS_OPEN_MAX,
    RANDOM_BYTES_MAX,
    REDIS_CONNECTIONS_OPEN_MAX,
    ROW_STREAMS_OPEN_MAX,
    ROWS_HELD_BYTES_MAX,
    SQL_CONNECTIONS_OPEN_MAX,
    SQLITE_CONNECTIONS_OPEN_MAX,
)


@dataclass(slots=True)
class Budget:
    """What is left of each. Host-call and handle counts live in the engine, which sees every call.

    Attributes:
        log_bytes: of stdout and stderr together; negative once a log line has said that output is dropped.
        random_bytes: never given back.
        files: file descriptors; given back when the guest closes one.
        databases: connections to SQLite databases; given back likewise.
        body_bytes: of outgoing bodies, written and not yet sent; given back when they are sent or dropped.
        fields_bytes: of headers and trailers that the guest makes; given back when it drops them.
        http_requests: outbound, until the guest drops the response; given back likewise.
        key_value_stores: handles of open stores; given back likewise.
        key_value_swaps: compare-and-swaps under way; given back likewise.
        redis_connections: to Redis servers; given back likewise.
        mqtt_connections: likewise.
        sql_connections: to PostgreSQL and MySQL servers; likewise.
        row_streams: of rows or keys, that are not at their end; given back then.
        row_bytes: of rows and keys, read ahead; given back when the guest reads them. Negative by one page at most.
    """

    log_bytes: int = LOG_BYTES_MAX
    random_bytes: int = RANDOM_BYTES_MAX
    files: int = FILES_OPEN_MAX
    databases: int = SQLITE_CONNECTIONS_OPEN_MAX
    body_bytes: int = BODIES_HELD_BYTES_MAX
    fields_bytes: int = FIELDS_HELD_BYTES_MAX
    http_requests: int = HTTP_CLIENT_REQUESTS_OPEN_MAX
    key_value_stores: int = KEY_VALUE_STORES_OPEN_MAX
    key_value_swaps: int = KEY_VALUE_SWAPS_OPEN_MAX
    redis_connections: int = REDIS_CONNECTIONS_OPEN_MAX
    mqtt_connections: int = MQTT_CONNECTIONS_OPEN_MAX
    sql_connections: int = SQL_CONNECTIONS_OPEN_MAX
    row_streams: int = ROW_STREAMS_OPEN_MAX
    row_bytes: int = ROWS_HELD_BYTES_MAX

    @contextmanager
    def taking(self, what: str, refusal: Exception) -> Iterator[None]:
        """Take one of something, for what is made in this block and gives it back later. If none is, it is given back.

        Taken at the beginning: a guest of WASI 0.3 may ask for any number of them before the first is there.

        Raises:
            `refusal`: there is none left.
        """
        left = getattr(self, what)
        if left < 1:
            raise refusal
        setattr(self, what, left - 1)
        try:
            yield
        except BaseException:
            setattr(self, what, getattr(self, what) + 1)
            raise

    def spend_random(self, count_bytes: int) -> None:
        """Take `count_bytes` of random bytes, or end the request with `guest.budget-exhausted`."""
        self.random_bytes -= count_bytes
        if self.random_bytes < 0:
            raise GuestBudgetExhausted("the guest asked for too many random bytes in one request")

    def hold_body(self, count_bytes: int) -> None:
        """Take room for bytes of a body, or end the request with `guest.budget-exhausted`. Negative gives it back."""
        self.body_bytes -= count_bytes
        if self.body_bytes < 0:
            raise GuestBudgetExhausted("the guest wrote too much of bodies that it does not send")

    def hold_fields(self, count_bytes: int) -> None:
        """Take room for header fields, or end the request with `guest.budget-exhausted`. Negative gives it back."""
        self.fields_bytes -= count_bytes
        if self.fields_bytes < 0:
            raise GuestBudgetExhausted("the guest made too many header fields in one request")


_given_back = attrgetter(
    *("body_bytes", "databases", "fields_bytes", "files", "http_requests", "key_value_stores", "key_value_swaps"),
    *("mqtt_connections", "redis_connections", "row_bytes", "row_streams", "sql_connections"),
)
_WHOLE: tuple[int, ...] = _given_back(Budget())


def is_whole(budget: Budget) -> bool:
    """Whether all has been given back that a guest gives back by letting go of it."""
    return bool(_given_back(budget) == _WHOLE)


def hold_too_much(budgets: Iterable[Budget]) -> bool:
    """Whether guests still hold more on these budgets together, of anything, than one request may."""
    held = [0] * len(_WHOLE)
    for budget in budgets:
        for index, left in enumerate(_given_back(budget)):
            held[index] += _WHOLE[index] - left
    return any(holds > whole for holds, whole in zip(held, _WHOLE, strict=True))
