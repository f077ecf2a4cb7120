"""What can go wrong with a database server, as both interfaces name it."""

from __future__ import annotations

from typing import ClassVar


class SqlFailed(Exception):
    """Base of all. The message is for the guest: it holds no password and nothing of this node.

    Attributes:
        case: of `variant error`.
    """

    case: ClassVar[str] = "other"


class ConnectionFailed(SqlFailed):
    """There is no connection, for what the address says or what the server answers."""

    case = "connection-failed"


class BadParameter(SqlFailed):
    """A parameter is no value of its own type: a date in month 13."""

    case = "bad-parameter"


class QueryFailed(SqlFailed):
    """The server refused the statement, the parameters do not fit it, or the connection was lost on the way."""

    case = "query-failed"


class ConnectionLost(QueryFailed):
    """The server closed the connection, or says what is not its protocol."""


class ConversionFailed(SqlFailed):
    """A value that the guest's interface has no place for."""

    case = "value-conversion-failed"


class ResultTooLarge(SqlFailed):
    """A result is over a limit. What was left of it is not read: the connection is of no use any more."""
