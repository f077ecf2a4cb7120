"""Applications built by the official SDKs, served by `edged up`, asked over sockets."""

from __future__ import annotations

import httpx
import pytest

from tests.end_to_end.conftest import Serve

SDK_GUESTS = ("hello-js", "js-features", "js-hono", "hello-python", "python-features", "python-plain")


@pytest.mark.parametrize("guest", SDK_GUESTS)
def test_it_answers_and_answers_again(serve: Serve, guest: str) -> None:
    url = serve(guest).url
    with httpx.Client() as client:
        answers = [client.get(url + "/") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert "hello" in answers[0].text.lower()


@pytest.mark.parametrize(
    ("guest", "path", "expected"),
    [
        ("hello-js", "/hello/ada", "ada"),
        ("js-hono", "/hello/ada", "ada"),
        ("js-hono", "/stream", "one two three"),
        ("js-features", "/headers", "spin-path-info"),
        ("js-features", "/timer", ""),
        ("hello-python", "/hello/ada", "ada"),
        ("python-features", "/env/GREETING", "good day"),
        ("python-features", "/read/assets/note.txt", "a note"),
        ("python-features", "/headers", "spin-path-info"),
        ("python-features", "/list/assets", "note.txt"),
    ],
)
def test_what_an_app_does(serve: Serve, guest: str, path: str, expected: str) -> None:
    answer = httpx.get(serve(guest).url + path)
    assert answer.status_code == 200, answer.text
    assert expected in answer.text


@pytest.mark.parametrize("guest", ["js-features", "python-features"])
@pytest.mark.parametrize("path", ["/echo", "/capitals"], ids=["whole", "streamed"])
def test_a_body_comes_back(serve: Serve, guest: str, path: str) -> None:
    body = b"ABCDEFG\n" * 30_000
    answer = httpx.post(serve(guest).url + path, content=body, timeout=60)
    assert (answer.status_code, answer.content) == (200, body)


def test_json_comes_back(serve: Serve) -> None:
    answer = httpx.post(serve("js-hono").url + "/json", json={"a": [1, None]})
    assert answer.json() == {"received": {"a": [1, None]}}


@pytest.mark.parametrize("guest", ["js-features", "python-features"])
def test_each_request_has_a_fresh_instance(serve: Serve, guest: str) -> None:
    url = serve(guest).url + "/count"
    assert len({httpx.get(url).text for _ in range(3)}) == 1


@pytest.mark.parametrize(("guest", "path"), [("js-features", "/throw"), ("python-features", "/fail")])
def test_a_failure_is_the_requests_own(serve: Serve, guest: str, path: str) -> None:
    url = serve(guest).url
    assert httpx.get(url + path).status_code == 500
    assert httpx.get(url + "/").status_code == 200


def test_files_are_read_only(serve: Serve) -> None:
    url = serve("python-features").url
    answer = httpx.get(url + "/write/assets/note.txt")
    assert (answer.status_code, answer.text) == (403, "OSError: errno 69"), "EROFS, as WASI numbers it"
    assert httpx.get(url + "/read/assets/note.txt").text == "a note\n"


def test_well_known_paths(serve: Serve) -> None:
    url = serve("hello-js").url
    assert httpx.get(url + "/.well-known/spin/health").text == "OK"
    assert httpx.get(url + "/.well-known/spin/info").json() == {"name": "hello-js", "version": "1.0.0"}
