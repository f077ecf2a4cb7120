"""What two parties of a fleet say to each other, without any input or output: bytes in, events out.

    hello                    first, once, from both ends
    {id, call, args}         a request; each end numbers its own from 1 up
    {id, ok} | {id, error}   the answer to a call
    {id, item}* {id, end}    the answer to a stream; {id, error} ends it too
    {id, more}               the asker took so many items: so many more may come
    {id, cancel}             the asker wants no more; the answer still ends, by whichever of the above
    {ping} {pong}            either end, at any time after its hello

Each request has exactly one last frame (ok, error or end), even one that was cancelled. So its number, and its place
among the requests that may be open at once, is free again for both ends at the same frame, and neither has to guess.

A peer that breaks these rules gets no answer: `receive` raises ProtocolError, and the link is closed. `Session` also
holds us to them: a call of its methods that would break them is an assertion.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from edged.errors import ProtocolError, RemoteError
from edged.fleet.frame import Frame, FrameReader, Message, encode_frame
from edged.fleet.session_event import (
    AnswerReceived,
    CancelReceived,
    EndReceived,
    ErrorReceived,
    Event,
    Hello,
    HelloReceived,
    ItemReceived,
    MoreReceived,
    PingReceived,
    PongReceived,
    RequestReceived,
)
from edged.limits import (
    FRAME_ANYONE_BYTES_MAX,
    FRAME_ANYONE_ITEM_COUNT_MAX,
    FRAME_BYTES_MAX,
    FRAME_ITEM_COUNT_MAX,
    LINK_ANYONE_BYTES_MAX,
    LINK_REQUESTS_OPEN_MAX,
    REMOTE_TEXT_CHARS_MAX,
    STREAM_ITEM_BYTES_MAX,
    STREAM_WINDOW,
)
from edged.readable import readable

PROTOCOL = 1
__all__ = ["PROTOCOL", "Hello", "Session"]

_NAME_CHARS_MAX = 255
_NUMBER_MAX = 2**53


@dataclass(slots=True)
class _Asked:
    """A request of ours that has not ended.

    Attributes:
        window: items that may still come.
        is_cancelled: what still comes is nobody's.
    """

    is_stream: bool
    window: int = STREAM_WINDOW
    is_cancelled: bool = False


class Session:
    """One end of a link. Methods that say something return the bytes to send.

    Args:
        hello: ours.
        anyone: the peer has no certificate, so that it may only send small frames, not many of them, and have one
            request open.

    Attributes:
        hello: the peer's, once it came.
    """

    def __init__(self, hello: Hello, *, anyone: bool = False) -> None:
        self.hello: Hello | None = None
        self._ours = hello
        self._anyone = anyone
        self._bytes_left = LINK_ANYONE_BYTES_MAX  # only counted for `anyone`
        self._frames = FrameReader(FRAME_ANYONE_BYTES_MAX, FRAME_ANYONE_ITEM_COUNT_MAX)  # a hello is small
        self._last_asked = 0
        self._last_heard = 0
        self._asked: dict[int, _Asked] = {}
        self._answering: dict[int, int] = {}  # number of a request of the peer's -> items that it lets us send
        self._ping = 0

    # --- what came ---

    def receive(self, data: bytes | bytearray) -> list[Event]:
        """Bytes from the peer, cut anywhere: `feed`, then `cut` and `take` as long as there are frames.

        Raises:
            ProtocolError: as these.
        """
        self.feed(data)
        events: list[Event] = []
        while (frame := self.cut()) is not None:
            event = self.take(frame.decode())
            if event is not None:
                events.append(event)
        return events

    def feed(self, data: bytes | bytearray) -> None:
        """Bytes from the peer, cut anywhere.

        Raises:
            ProtocolError: more than the peer may send. The session is over.
        """
        if self._anyone:
            self._bytes_left -= len(data)
            if self._bytes_left < 0:
                raise ProtocolError(f"more than {LINK_ANYONE_BYTES_MAX} bytes of who has no certificate")
        self._frames.feed(data)

    def cut(self) -> Frame | None:
        """The next frame of what was fed. Decode it, give it to `take`, and only then cut the next one.

        Raises:
            ProtocolError: it is none. The session is over.
        """
        return self._frames.cut()

    def take(self, message: Message) -> Event | None:
        """What a frame says; None if nobody needs to know.

        Raises:
            ProtocolError: the peer broke the protocol, or is of another fleet or version. The session is over.
        """
        return self._hello_received(message) if self.hello is None else self._received(message)

    @property
    def is_between_frames(self) -> bool:
        """Whether the peer may end the connection here without having broken off."""
        return self._frames.is_empty

    def _hello_received(self, message: Message) -> Event:
        _expect_keys(message, "protocol", "fleet", "epoch", "roster_version", "name", "edged")
        version = _number(message["protocol"], "protocol")
        if version != PROTOCOL:
            raise ProtocolError(f"the peer speaks version {version} of the protocol, this edged version {PROTOCOL}")
        fleet = _text(message["fleet"], "fleet")
        if fleet != self._ours.fleet:
            raise ProtocolError(f"the peer is of the fleet {readable(fleet)!r}, not {self._ours.fleet!r}")
        self.hello = Hello(
            fleet,
            _number(message["epoch"], "epoch"),
            _number(message["roster_version"], "roster_version"),
            readable(_text(message["name"], "name")),
            readable(_text(message["edged"], "edged")),
        )
        if not self._anyone:
            self._frames.bytes_max, self._frames.item_count_max = FRAME_BYTES_MAX, FRAME_ITEM_COUNT_MAX
        return HelloReceived(self.hello)

    def _received(self, message: Message) -> Event | None:
        for keys, receive in _RECEIVE:
            if message.keys() == keys:
                return receive(self, message)
        raise ProtocolError(f"a frame with the keys {readable(sorted(message)[:6])}")

    def _request(self, message: Message) -> Event:
        number = _number(message["id"], "id")
        if number <= self._last_heard:
            raise ProtocolError("a request with a number that was used")
        open_max = 1 if self._anyone else LINK_REQUESTS_OPEN_MAX
        if len(self._answering) >= open_max:
            raise ProtocolError(f"more than {open_max} requests open at once")
        args = message["args"]
        if not isinstance(args, dict):
            raise ProtocolError("args that are no map")
        call = _text(message["call"], "call")
        self._last_heard = number
        self._answering[number] = STREAM_WINDOW
        return RequestReceived(number, call, args)

    def _cancel(self, message: Message) -> Event | None:
        number = self._heard(message)
        if message["cancel"] is not True:
            raise ProtocolError("cancel is not true")
        return CancelReceived(number) if number in self._answering else None  # else our last frame passed it by

    def _more(self, message: Message) -> Event | None:
        number = self._heard(message)
        more = _number(message["more"], "more")
        if number not in self._answering:
            return None
        window = self._answering[number] + more
        if not more or window > STREAM_WINDOW:
            raise ProtocolError("more that is not what was taken")
        self._answering[number] = window
        return MoreReceived(number)

    def _heard(self, message: Message) -> int:
        number = _number(message["id"], "id")
        if not 0 < number <= self._last_heard:
            raise ProtocolError("a word about a request that was not made")
        return number

    def _answer(self, message: Message) -> Event | None:
        number, asked = self._ours_of(message)
        if asked.is_stream:
            raise ProtocolError("a stream that was answered with one value")
        del self._asked[number]
        return None if asked.is_cancelled else AnswerReceived(number, message["ok"])

    def _item(self, message: Message) -> Event | None:
        number, asked = self._ours_of(message)
        if not asked.is_stream:
            raise ProtocolError("a call that was answered with a stream")
        asked.window -= 1
        if asked.window < 0:
            raise ProtocolError("more items than were asked for")
        return None if asked.is_cancelled else ItemReceived(number, message["item"])

    def _end(self, message: Message) -> Event | None:
        number, asked = self._ours_of(message)
        if message["end"] is not True or not asked.is_stream:
            raise ProtocolError("an end of what is no stream")
        del self._asked[number]
        return None if asked.is_cancelled else EndReceived(number)

    def _error(self, message: Message) -> Event | None:
        number, asked = self._ours_of(message)
        error = _parse_error(message["error"])
        del self._asked[number]
        return None if asked.is_cancelled else ErrorReceived(number, error)

    def _ours_of(self, message: Message) -> tuple[int, _Asked]:
        number = _number(message["id"], "id")
        if number not in self._asked:
            raise ProtocolError("an answer to what was not asked")
        return number, self._asked[number]

    def _ping_received(self, message: Message) -> Event:
        return PingReceived(encode_frame({"pong": _number(message["ping"], "ping")}))

    def _pong_received(self, message: Message) -> Event:
        number = _number(message["pong"], "pong")
        if not 0 < number <= self._ping:
            raise ProtocolError("a pong without a ping")
        return PongReceived(number)

    # --- what we say ---

    def say_hello(self) -> bytes:
        """The first frame of ours."""
        ours = self._ours
        return encode_frame(
            {
                "protocol": PROTOCOL,
                "fleet": ours.fleet,
                "epoch": ours.epoch,
                "roster_version": ours.roster_version,
                "name": ours.name,
                "edged": ours.edged,
            }
        )

    @property
    def may_ask(self) -> bool:
        """Whether there is room for another request of ours."""
        return len(self._asked) < LINK_REQUESTS_OPEN_MAX

    @property
    def is_stuck(self) -> bool:
        """Whether there is no room, and all that takes it was given up: the peer pings, and answers nothing."""
        return not self.may_ask and all(asked.is_cancelled for asked in self._asked.values())

    @property
    def open_count(self) -> int:
        """Requests of ours and of the peer's that have not ended."""
        return len(self._asked) + len(self._answering)

    def ask(self, call: str, args: Message, *, is_stream: bool = False) -> tuple[int, bytes]:
        """A request, and its number.

        Raises:
            ProtocolError: the arguments do not fit into a frame; nothing happened.
        """
        assert self.may_ask
        number = self._last_asked + 1
        data = encode_frame({"id": number, "call": call, "args": args})
        self._last_asked = number
        self._asked[number] = _Asked(is_stream)
        return number, data

    def cancel(self, number: int) -> bytes:
        """We want no more of that request: no event of it comes. Empty if it has ended."""
        asked = self._asked.get(number)
        if asked is None or asked.is_cancelled:
            return b""
        asked.is_cancelled = True
        return encode_frame({"id": number, "cancel": True})

    def took(self, number: int, count: int) -> bytes:
        """So many items of that stream were taken; empty if it has ended."""
        asked = self._asked.get(number)
        if asked is None or asked.is_cancelled:
            return b""
        asked.window += count
        assert asked.window <= STREAM_WINDOW
        return encode_frame({"id": number, "more": count})

    def is_answering(self, number: int) -> bool:
        """Whether the peer still waits for the end of that request of its."""
        return number in self._answering

    def may_send_item(self, number: int) -> bool:
        """Whether the peer has room for an item of that stream."""
        return self._answering[number] > 0

    def answer(self, number: int, value: Any) -> bytes:
        """The answer to a call.

        Raises:
            ProtocolError: it does not fit into a frame; `fail` it instead.
        """
        data = encode_frame({"id": number, "ok": value})
        del self._answering[number]
        return data

    def item(self, number: int, value: Any) -> bytes:
        """An item of a stream; `may_send_item` holds.

        Raises:
            ProtocolError: it is larger than an item may be; `fail` the stream instead.
        """
        assert self.may_send_item(number)
        data = encode_frame({"id": number, "item": value})
        if len(data) > STREAM_ITEM_BYTES_MAX:
            raise ProtocolError(f"an item of {len(data)} bytes, of at most {STREAM_ITEM_BYTES_MAX}")
        self._answering[number] -= 1
        return data

    def end(self, number: int) -> bytes:
        """The end of a stream."""
        del self._answering[number]
        return encode_frame({"id": number, "end": True})

    def fail(self, number: int, code: str, message: str, remedy: str) -> bytes:
        """The answer to a request that failed."""
        del self._answering[number]
        error = {"code": code, "message": _sendable(message), "remedy": _sendable(remedy)}
        return encode_frame({"id": number, "error": error})

    def ping(self) -> tuple[int, bytes]:
        """A question whether the peer is there, and its number."""
        self._ping += 1
        return self._ping, encode_frame({"ping": self._ping})


_RECEIVE: tuple[tuple[frozenset[str], Callable[[Session, Message], Event | None]], ...] = (
    (frozenset({"id", "ok"}), Session._answer),
    (frozenset({"id", "call", "args"}), Session._request),
    (frozenset({"id", "item"}), Session._item),
    (frozenset({"id", "more"}), Session._more),
    (frozenset({"id", "end"}), Session._end),
    (frozenset({"id", "error"}), Session._error),
    (frozenset({"id", "cancel"}), Session._cancel),
    (frozenset({"ping"}), Session._ping_received),
    (frozenset({"pong"}), Session._pong_received),
)


def _sendable(text: str) -> str:
    """Cut to what a peer takes. A file name in a message may hold what is no Unicode."""
    return text[:REMOTE_TEXT_CHARS_MAX].encode(errors="replace").decode()


def _parse_error(value: object) -> RemoteError:
    if not isinstance(value, dict):
        raise ProtocolError("an error that is no map")
    _expect_keys(value, "code", "message", "remedy")
    if not all(isinstance(text, str) and len(text) <= REMOTE_TEXT_CHARS_MAX for text in value.values()):
        raise ProtocolError("an error whose parts are no short text")
    # A terminal will show it.
    code, message, remedy = (readable(value[key]) for key in ("code", "message", "remedy"))
    return RemoteError(message, remedy=remedy, code=code)


def _expect_keys(message: Message, *keys: str) -> None:
    if message.keys() != set(keys):
        raise ProtocolError(f"a frame with the keys {readable(sorted(message)[:8])}, not {sorted(keys)}")


def _number(value: object, what: str) -> int:
    if type(value) is not int or not 0 <= value <= _NUMBER_MAX:
        raise ProtocolError(f"{what} is no number from 0 to 2^53")
    return value


def _text(value: object, what: str) -> str:
    if not isinstance(value, str) or len(value) > _NAME_CHARS_MAX:
        raise ProtocolError(f"{what} is no text of up to {_NAME_CHARS_MAX} characters")
    return value
