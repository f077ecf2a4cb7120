"""A guest's stdout and stderr as log lines and files."""

from __future__ import annotations

import os

import pytest
from structlog.testing import capture_logs

from edged.host.budget import Budget
from edged.host.guest_log import CUT_MARK, GuestLog, clean
from edged.limits import LOG_BYTES_MAX, LOG_LINE_BYTES_MAX, LOG_LINE_OVERHEAD_BYTES


@pytest.fixture
def logs():
    with capture_logs() as captured:
        yield captured


def lines(logs, event="guest.stdout"):
    return [entry["text"] for entry in logs if entry["event"] == event]


def output(stream="stdout", budget=None):
    return GuestLog("shop", "cart").output(stream, "request-1", budget or Budget())


def printed(*pieces):
    """What is logged for pieces of output."""
    with capture_logs() as captured:
        out = output()
        for piece in pieces:
            out.write(piece)
        out.close()
    return lines(captured)


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_line_says_where_it_is_from(logs, stream) -> None:
    output(stream).write(b"hello\n")
    assert logs == [
        {
            "event": f"guest.{stream}",
            "log_level": "info",
            "app": "shop",
            "component": "cart",
            "request_id": "request-1",
            "text": "hello",
        }
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"", []),
        (b"one", ["one"]),
        (b"one\n", ["one"]),
        (b"one\ntwo\nthree", ["one", "two", "three"]),
        (b"\n\nx\n", ["", "", "x"]),
        (b"one\r\ntwo\r\n", ["one", "two"]),
        ("grün 🌳\n".encode(), ["grün 🌳"]),
        (b"a\xffb\xc3\n", ["a\ufffdb\ufffd"]),
    ],
)
def test_output_becomes_lines_whole_or_byte_by_byte(text, expected) -> None:
    assert printed(text) == expected
    assert printed(*(text[i : i + 1] for i in range(len(text)))) == expected


def test_a_line_is_logged_when_it_ends(logs) -> None:
    out = output()
    out.write(b"wai")
    out.write(b"t")
    assert lines(logs) == []
    out.write(b"ed\nfor")
    assert lines(logs) == ["waited"]
    out.close()
    out.close()
    assert lines(logs) == ["waited", "for"]


# --- text that is safe to show ---


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (b"tab\tstays", "tab\tstays"),
        (b"\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        (b"\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        (b"over\rwritten", "over\\rwritten"),
        (b"a\x00b\x7f", "a\\x00b\\x7f"),
        ("\x9b31m".encode(), "\\x9b31m"),
        ("\u202egnp.exe".encode(), "\\u202egnp.exe"),
        ("a\u2028b\u2066c\ufeff".encode(), "a\\u2028b\\u2066c\\ufeff"),
        (b'{"event": "app.started"}', '{"event": "app.started"}'),
    ],
)
def test_controls_are_shown_not_obeyed(line, shown) -> None:
    assert clean(line) == shown


def test_no_line_of_any_bytes_has_a_control_character() -> None:
    for text in (bytes(range(256)), "".join(map(chr, range(0x3000))).encode()):
        assert all(char == "\t" or char.isprintable() or ord(char) >= 0x80 for char in clean(text))
        assert len(clean(text).splitlines()) == 1


# --- limits ---


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b""])
def test_the_longest_line_and_one_byte_more(end) -> None:
    longest = b"x" * LOG_LINE_BYTES_MAX
    assert printed(longest + end) == [longest.decode()]
    assert printed(longest + b"y" + end) == [longest.decode() + CUT_MARK]


def test_the_rest_of_a_cut_line_is_dropped_and_the_next_line_is_whole() -> None:
    longest = b"x" * LOG_LINE_BYTES_MAX
    assert printed(longest, b"y" * 10_000, b"z\nnext\n") == [longest.decode() + CUT_MARK, "next"]
    assert printed(longest[:-1], b"\r", b"y", b"z\n") == [longest[:-1].decode() + "\\r" + CUT_MARK]


def test_a_cut_does_not_split_a_character() -> None:
    line = ("ö" * LOG_LINE_BYTES_MAX).encode()
    assert printed(b"x" + line + b"\n") == ["x" + "ö" * (LOG_LINE_BYTES_MAX // 2 - 1) + CUT_MARK]


def test_a_request_has_its_budget_and_not_one_byte_more(logs) -> None:
    fits = 300 - LOG_LINE_OVERHEAD_BYTES
    budget = Budget(log_bytes=300)
    output(budget=budget).write(b"x" * fits + b"\n")
    assert lines(logs) == ["x" * fits]
    assert budget.log_bytes == 0
    logs.clear()
    out = output(budget=Budget(log_bytes=300))
    out.write(b"x" * (fits + 1) + b"\nmore\n")
    out.write(b"and more\n")
    out.close()
    assert logs == [
        {
            "event": "guest.log-truncated",
            "log_level": "warning",
            "app": "shop",
            "component": "cart",
            "request_id": "request-1",
        }
    ]


def test_stdout_and_stderr_share_the_budget_and_it_is_said_once(logs) -> None:
    budget = Budget(log_bytes=2 * (1 + LOG_LINE_OVERHEAD_BYTES))
    out, errors = output("stdout", budget), output("stderr", budget)
    for stream in (out, errors, out, errors):
        stream.write(b"x\n")
    for stream in (out, errors):
        stream.write(b"unfinished")
        stream.close()
    assert [entry["event"] for entry in logs] == ["guest.stdout", "guest.stderr", "guest.log-truncated"]


def test_a_flood_of_empty_lines_is_bounded(logs) -> None:
    output().write(b"\n" * LOG_BYTES_MAX)
    assert len(lines(logs)) == LOG_BYTES_MAX // LOG_LINE_OVERHEAD_BYTES <= 1_024, "each holds the loop for 25 us"
    assert logs[-1]["event"] == "guest.log-truncated"


# --- files ---


def test_lines_are_appended_to_files_too(logs, tmp_path) -> None:
    for text in (b"one\n", b"two \x1b[2J\n"):
        log = GuestLog("shop", "cart", folder=tmp_path)
        log.output("stdout", "r", Budget()).write(text)
        log.output("stderr", "r", Budget()).write(b"oh\n")
        log.close()
        log.close()
    assert (tmp_path / "cart_stdout.txt").read_text() == "one\ntwo \\x1b[2J\n"
    assert (tmp_path / "cart_stderr.txt").read_text() == "oh\noh\n"
    assert (tmp_path / "cart_stdout.txt").stat().st_mode & 0o777 == 0o600
    assert lines(logs) == ["one", "two \\x1b[2J"]


def test_a_component_cannot_choose_another_folder(logs, tmp_path) -> None:
    GuestLog("shop", "../../x/y", folder=tmp_path).close()
    assert sorted(path.name for path in tmp_path.iterdir()) == [".._.._x_y_stderr.txt", ".._.._x_y_stdout.txt"]


def test_a_link_in_the_place_of_a_file_is_refused(tmp_path) -> None:
    (tmp_path / "cart_stderr.txt").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="cart_stderr"):
        GuestLog("shop", "cart", folder=tmp_path)
    assert not (tmp_path / "elsewhere").exists()


def test_a_full_disk_costs_the_file_and_not_the_request(logs, tmp_path, monkeypatch) -> None:
    def write(*_arguments):
        raise OSError("no space left")

    log = GuestLog("shop", "cart", folder=tmp_path)
    monkeypatch.setattr(os, "write", write)
    out = log.output("stdout", "r", Budget())
    out.write(b"one\ntwo\n")
    monkeypatch.undo()
    log.output("stderr", "r", Budget()).write(b"fine\n")
    log.close()
    assert lines(logs) == ["one", "two"]
    assert [entry["event"] for entry in logs].count("guest.log-file-failed") == 1
    assert (tmp_path / "cart_stderr.txt").read_text() == "fine\n"
