"""What went wrong with a connection, as `wasi:http`'s error-code. All of it stands here."""

from __future__ import annotations

import ssl
from collections.abc import Mapping

import h11
import trio

from edged.host.http.error import CONNECTION_TERMINATED, ErrorCode, HttpError
from edged.host.network.dialer import (
    AddressProhibited,
    ConnectionRefused,
    DialTimeout,
    NameTimeout,
    NameUnknown,
    TooManyConnections,
    Unreachable,
)

READ_TIMEOUT: ErrorCode = "connection-read-timeout"
WRITE_TIMEOUT: ErrorCode = "connection-write-timeout"
LIMIT_REACHED: ErrorCode = "connection-limit-reached"
INCOMPLETE: ErrorCode = "HTTP-response-incomplete"
PROTOCOL_ERROR: ErrorCode = "HTTP-protocol-error"
HEAD_TOO_LARGE: ErrorCode = ("HTTP-response-header-section-size", None)

_CODES: Mapping[type[BaseException], ErrorCode] = {
    NameTimeout: "DNS-timeout",
    # What Spin's runtime says here. The system's resolver tells no more.
    NameUnknown: ("DNS-error", ("address not available", 0)),
    AddressProhibited: "destination-IP-prohibited",
    Unreachable: "destination-unavailable",
    ConnectionRefused: "connection-refused",
    DialTimeout: "connection-timeout",
    TooManyConnections: LIMIT_REACHED,
    trio.TooSlowError: "connection-timeout",
    trio.BrokenResourceError: CONNECTION_TERMINATED,
    trio.ClosedResourceError: CONNECTION_TERMINATED,
    ssl.SSLCertVerificationError: "TLS-certificate-error",
    ssl.SSLError: "TLS-protocol-error",
    UnicodeError: "HTTP-request-URI-invalid",
    ValueError: "HTTP-request-URI-invalid",
}
"""By the most special class that has one. ValueError: the name cannot stand in a certificate."""

_TLS_ALERT = "_ALERT_"


def failure_of(error: BaseException) -> HttpError:
    """The failure for an error on the way to a connection, or of a broken one."""
    cause = error.__cause__
    if isinstance(cause, ssl.SSLError):  # trio says only that the stream is broken
        error = cause
        alert = cause.reason or ""
        if _TLS_ALERT in alert:
            return HttpError(("TLS-alert-received", (None, alert.partition(_TLS_ALERT)[2].lower().replace("_", " "))))
    return HttpError(next(_CODES[cls] for cls in type(error).__mro__ if cls in _CODES))


def failure_of_response(error: h11.RemoteProtocolError, *, in_head: bool) -> HttpError:
    """The failure for a response that is not HTTP, or not as we speak it."""
    if error.error_status_hint == 501:
        return HttpError(("HTTP-response-transfer-coding", None))
    if in_head and error.error_status_hint == 431:
        return HttpError(HEAD_TOO_LARGE)
    return HttpError(PROTOCOL_ERROR)
