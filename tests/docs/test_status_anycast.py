"""docs/status.md names every key of what a node says of announcing, every state, and no other."""

from __future__ import annotations

from dataclasses import fields
from typing import get_args

from bgp import status
from tests.docs.tables import names, rows


def keys_of(title: str) -> set[str]:
    return {name for cells in rows("status.md", title) for name in names(cells[0])}


def test_keys() -> None:
    shapes = {
        "key of `nodes.anycast`": status.AnycastStatus,
        "key of `nodes.anycast.speaker`": status.SpeakerStatus,
        "key of `nodes.anycast.prefixes`": status.PrefixStatus,
        "key of `nodes.anycast.peers`": status.PeerStatus,
        "key of `nodes.anycast.drain`": status.DrainReport,
    }
    for title, shape in shapes.items():
        assert keys_of(title) == {field.name for field in fields(shape)}, title


def test_states() -> None:
    assert keys_of("state of a prefix") == set(get_args(status.GateState))


def test_words() -> None:
    """Those of a speaker, a level and a drain stand in the cells that explain them."""
    cells = {(title, names(row[0])[0]): names(row[2]) for title in TITLES for row in rows("status.md", title)}
    for key, words in TITLES_WORDS.items():
        assert set(cells[key]) - {'""'} >= set(get_args(words)), key


TITLES = ("key of `nodes.anycast.speaker`", "key of `nodes.anycast.prefixes`", "key of `nodes.anycast.drain`")
TITLES_WORDS = {
    (TITLES[0], "state"): status.SpeakerState,
    (TITLES[1], "desired"): status.Level,
    (TITLES[2], "step"): status.DrainStep,
}
