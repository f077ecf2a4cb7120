"""Method, scheme, authority, path and query of a request, as a guest reads and sets them."""

from __future__ import annotations

import re

from edged.host.interface import Err
from edged.http.exchange import RequestHead

Method = str | tuple[str, str]
"""`variant method`: `"get"`, or `("other", "PURGE")`."""

Scheme = str | tuple[str, str]
"""`variant scheme`: `"HTTP"`, `"HTTPS"`, or `("other", "ftp")`."""

METHODS = {
    name.upper(): name for name in ("get", "head", "post", "put", "delete", "connect", "options", "trace", "patch")
}
"""Method as sent -> case of `variant method`."""

_is_token = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+").fullmatch
_is_scheme = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*").fullmatch
# Visible ASCII without what RFC 3986 keeps out of URIs. Quotes, braces and bars stay: JSON in a query is real.
_is_path_with_query = re.compile(r"\*|([/?][!-~]*)?").fullmatch
_find_not_in_path = re.compile(r"[#<>\\^`]").search
# RFC 3986 3.2 without userinfo, which RFC 9110 4.2.4 tells recipients of http(s) URIs to treat as an error. A port
# alone is allowed: it is how the Python SDK writes a relative URL.
_match_authority = re.compile(
    r"(?!$)(?:\[[0-9A-Fa-f:.]+\]|(?:[A-Za-z0-9\-._~!$&'()*+,;=]|%[0-9A-Fa-f]{2})*)(?::([0-9]{1,5}))?"
).fullmatch


class RequestLine:
    """What stands before a request's headers. What is set has been checked; what is None was not said."""

    __slots__ = ("authority", "method", "path_with_query", "scheme")

    def __init__(
        self,
        method: Method = "get",
        path_with_query: str | None = None,
        scheme: Scheme | None = None,
        authority: str | None = None,
    ) -> None:
        self.method = method
        self.path_with_query = path_with_query
        self.scheme = scheme
        self.authority = authority

    @classmethod
    def received(cls, head: RequestHead) -> RequestLine:
        """Of a request that came to us, which was guarded."""
        method = head.method
        return cls(METHODS.get(method) or ("other", method), head.target, head.scheme.upper(), head.authority)

    def set_method(self, method: Method) -> None:
        """Raises Err for an `other` that is no token."""
        if isinstance(method, tuple) and not _is_token(method[1]):
            raise Err
        self.method = method

    def set_path_with_query(self, path_with_query: str | None) -> None:
        """Raises Err for what is no path and query."""
        if path_with_query is not None and (
            not _is_path_with_query(path_with_query) or _find_not_in_path(path_with_query)
        ):
            raise Err
        self.path_with_query = path_with_query

    def set_scheme(self, scheme: Scheme | None) -> None:
        """Raises Err for an `other` that is no scheme."""
        if isinstance(scheme, tuple) and not _is_scheme(scheme[1]):
            raise Err
        self.scheme = scheme

    def set_authority(self, authority: str | None) -> None:
        """Raises Err for what is no host with an optional port."""
        if authority is not None:
            match = _match_authority(authority)
            if match is None or int(match[1] or 0) > 0xFFFF:
                raise Err
        self.authority = authority
