"""`wasi:http`'s `error-code`: its cases, and how our own errors map to them."""

from __future__ import annotations

from typing import Any

from edged.host.streams import IoError
from edged.http.exchange import BodyError, ClientGone

ErrorCode = str | tuple[str, Any]
"""A value of `variant error-code`: a case, or a case with its payload."""

CASES_WITHOUT_PAYLOAD = frozenset(
    {
        "DNS-timeout",
        "destination-not-found",
        "destination-unavailable",
        "destination-IP-prohibited",
        "destination-IP-unroutable",
        "connection-refused",
        "connection-terminated",
        "connection-timeout",
        "connection-read-timeout",
        "connection-write-timeout",
        "connection-limit-reached",
        "TLS-protocol-error",
        "TLS-certificate-error",
        "HTTP-request-denied",
        "HTTP-request-length-required",
        "HTTP-request-method-invalid",
        "HTTP-request-URI-invalid",
        "HTTP-request-URI-too-long",
        "HTTP-response-incomplete",
        "HTTP-response-timeout",
        "HTTP-upgrade-failed",
        "HTTP-protocol-error",
        "loop-detected",
        "configuration-error",
    }
)

CASES_WITH_PAYLOAD = frozenset(
    {
        "DNS-error",
        "TLS-alert-received",
        "HTTP-request-body-size",
        "HTTP-request-header-section-size",
        "HTTP-request-header-size",
        "HTTP-request-trailer-section-size",
        "HTTP-request-trailer-size",
        "HTTP-response-header-section-size",
        "HTTP-response-header-size",
        "HTTP-response-body-size",
        "HTTP-response-trailer-section-size",
        "HTTP-response-trailer-size",
        "HTTP-response-transfer-coding",
        "HTTP-response-content-coding",
        "internal-error",
    }
)

_BODY_ERRORS: dict[int, ErrorCode] = {
    400: "HTTP-protocol-error",
    408: "connection-read-timeout",
    413: ("HTTP-request-body-size", None),
}


class HttpFailure(IoError):
    """An error of a body's stream, which `http-error-code` can name."""

    __slots__ = ("code",)

    def __init__(self, code: ErrorCode) -> None:
        super().__init__(describe(code))
        self.code = code


class HttpError(Exception):
    """An exchange with another server that failed.

    Attributes:
        code: what the guest is told.
    """

    def __init__(self, code: ErrorCode) -> None:
        super().__init__(describe(code))
        self.code = code


def describe(code: ErrorCode) -> str:
    """`HTTP-response-body-size(17)`, for messages to people."""
    if isinstance(code, str):
        return code
    case, payload = code
    return case if payload is None else f"{case}({payload})"


CONNECTION_TERMINATED = "connection-terminated"


def code_of(error: BodyError | ClientGone | HttpError) -> ErrorCode:
    """The error-code for a body that ended before its end."""
    if isinstance(error, HttpError):
        return error.code
    if isinstance(error, ClientGone):
        return CONNECTION_TERMINATED
    return _BODY_ERRORS.get(error.status, "HTTP-protocol-error")
