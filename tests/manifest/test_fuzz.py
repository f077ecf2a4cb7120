"""Nothing that is read as a manifest raises anything but ManifestError, with lines that exist."""

import json
import re
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from edged.errors import ManifestError
from edged.manifest import App, parse, unsupported

FILE = Path("spin.toml")
APPS = [file.read_bytes() for file in sorted((Path(__file__).parent / "apps").glob("*.toml"))]
WORDS = sorted({word for text in APPS for word in re.findall(r"[\w./:*-]+", text.decode())})
# Words that the examples do not have, and values at the edge of being right.
KEYS = [
    *WORDS,
    "tool",
    "targets",
    "profile",
    "dependencies",
    "components",
    "allowed_http_hosts",
    "inherit_configuration",
]
STRINGS = [
    *WORDS,
    "",
    "..",
    "**",
    "[",
    "{{",
    "{{ greeting }}",
    "http://[",
    "a:b/c@1.0.0",
    "\0",
    "\x1b[0m",
    "é",
    "http://a b",
]


def checked(data: bytes) -> App | None:
    """What `parse` makes of the bytes, if it is an app. Any error but ManifestError fails the test."""
    try:
        app = parse(data, FILE)
    except ManifestError as error:
        line_count = data.count(b"\n") + 1
        for message in error.message.splitlines():
            if re.fullmatch(r"spin\.toml: and \d+ more", message):
                continue
            found = re.match(r"spin\.toml:(\d+): .", message)
            assert found, message
            assert 1 <= int(found[1]) <= line_count, message
            assert message.isprintable()
        return None
    unsupported(app)
    return app


def toml(value: object) -> str:
    """A TOML value on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{toml(key)} = {toml(child)}" for key, child in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    # TOML's basic strings are JSON's, but for DEL.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


keys = st.sampled_from(KEYS) | st.text(st.characters(codec="utf-8"), max_size=5)
scalars = (
    st.sampled_from(STRINGS)
    | st.text(st.characters(codec="utf-8"), max_size=10)
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4), max_leaves=12
)


@st.composite
def manifests(draw: st.DrawFn) -> bytes:
    """A manifest with the right skeleton, whose parts are anything."""
    version = draw(st.sampled_from([2, "1"]))
    root = draw(st.dictionaries(st.sampled_from(KEYS), values, max_size=3))
    root |= {"spin_manifest_version": version}
    table = st.dictionaries(keys, values, max_size=5)
    if version == 2:
        root["application"] = {"name": "x"} | draw(table)
        root["component"] = draw(st.dictionaries(keys, table, max_size=3) | values)
        root["trigger"] = {draw(st.sampled_from(["http", "redis"])): draw(st.lists(table, max_size=3))}
    else:
        root |= {"name": "x", "trigger": {"type": draw(st.sampled_from(["http", "redis"]) | values)}}
        root["component"] = draw(st.lists(table, max_size=3) | values)
    root["variables"] = draw(st.dictionaries(keys, table, max_size=2) | values)
    return "".join(f"{toml(key)} = {toml(value)}\n" for key, value in root.items()).encode()


@settings(max_examples=400, deadline=None)
@given(manifests())
def test_random_values(data: bytes) -> None:
    checked(data)


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(APPS), st.data())
def test_damaged_manifests(app: bytes, data: st.DataObject) -> None:
    damaged = bytearray(app)
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(damaged)))
        end = start + data.draw(st.integers(0, 12))
        damaged[start:end] = data.draw(st.binary(max_size=3) | st.sampled_from([s.encode() for s in STRINGS]))
    checked(bytes(damaged))


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_random_bytes(data: bytes) -> None:
    assert checked(data) is None


def test_the_check_lets_right_manifests_pass() -> None:
    assert all(checked(app) is not None for app in APPS)
