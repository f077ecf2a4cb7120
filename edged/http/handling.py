"""Running a handler, and what becomes of what it raises."""

from __future__ import annotations

import structlog

from edged.errors import BadRequest, BodyTooLarge, EdgedError, HostFailed, RequestRefused, RequestTimeout
from edged.http.exchange import BodyError, ClientGone, Exchange, Handler

log = structlog.get_logger()

_BODY_REFUSALS: dict[int, type[RequestRefused]] = {400: BadRequest, 408: RequestTimeout, 413: BodyTooLarge}


async def run_handler(handler: Handler, exchange: Exchange) -> EdgedError | None:
    """Run it; what it did not handle itself comes back as the error to answer with.

    Raises:
        ClientGone
    """
    try:
        await handler(exchange)
    except Exception as error:
        return _answerable(error, exchange)
    except BaseExceptionGroup as group:
        # Cancelled while something failed: the failure ends here, the cancellation where it came from.
        ours, rest = group.split(Exception)
        assert rest is not None
        if ours is not None:
            _answerable(ours, exchange)
        raise rest from None
    return None


def _answerable(error: Exception, exchange: Exchange) -> EdgedError:
    """What to tell the client of what left a handler.

    Raises:
        ClientGone: there is nobody to tell.
    """
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]  # a handler with a nursery
    if isinstance(error, ClientGone):
        raise error
    if isinstance(error, BodyError):
        return _BODY_REFUSALS[error.status](str(error))
    if isinstance(error, EdgedError):
        return error  # its handler knows more of it, and logs it
    log.error("handler.failed", code=HostFailed.code, path=exchange.request.path, exc_info=error)
    return HostFailed("the handler failed")
