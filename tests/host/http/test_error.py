"""wasi:http/types error-code"""

from __future__ import annotations

import pytest

from edged.host.http.error import CASES_WITH_PAYLOAD, CASES_WITHOUT_PAYLOAD, HttpError, HttpFailure, code_of, describe
from edged.host.http.types import HttpTypes
from edged.host.streams import IoError
from edged.http.exchange import BodyError, ClientGone
from edged.limits import GuestLimits
from tests.host.fakes import invocation

CODES = [*CASES_WITHOUT_PAYLOAD, *((case, payload) for case in CASES_WITH_PAYLOAD for payload in (None, 17))]


def test_there_are_39_cases() -> None:
    assert len(CASES_WITHOUT_PAYLOAD) + len(CASES_WITH_PAYLOAD) == 39
    assert not CASES_WITHOUT_PAYLOAD & CASES_WITH_PAYLOAD


@pytest.mark.parametrize("code", sorted(CODES, key=str))
def test_every_case_can_be_a_streams_error(code) -> None:
    error = HttpFailure(code)
    assert HttpTypes(GuestLimits()).http_error_code(invocation(), error) == code
    assert describe(code) == error.to_debug_string()


def test_an_error_of_another_kind_has_no_code() -> None:
    assert HttpTypes(GuestLimits()).http_error_code(invocation(), IoError("of another kind")) is None


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("loop-detected", "loop-detected"),
        (("internal-error", None), "internal-error"),
        (("internal-error", "why"), "internal-error(why)"),
        (("HTTP-response-body-size", 17), "HTTP-response-body-size(17)"),
    ],
)
def test_descriptions(code, text) -> None:
    assert describe(code) == text


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (BodyError(400, ""), "HTTP-protocol-error"),
        (BodyError(408, ""), "connection-read-timeout"),
        (BodyError(413, ""), ("HTTP-request-body-size", None)),
        (BodyError(418, ""), "HTTP-protocol-error"),
        (ClientGone(), "connection-terminated"),
        (HttpError("HTTP-response-timeout"), "HTTP-response-timeout"),
    ],
)
def test_the_code_for_a_broken_body(error, code) -> None:
    assert code_of(error) == code
    case = code if isinstance(code, str) else code[0]
    assert case in CASES_WITHOUT_PAYLOAD | CASES_WITH_PAYLOAD
