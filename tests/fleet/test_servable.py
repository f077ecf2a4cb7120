"""What may be given to peers, and that this does not grow for ever."""

from __future__ import annotations

from pathlib import Path

from edged.fleet.servable import Servable
from edged.limits import SERVABLE_UPLOAD_COUNT_MAX
from registry.digest import Digest, digest_of
from registry.release_store import open_release
from tests.fleet.nodes import TestNode


def releases(node: TestNode, count: int) -> list[tuple[Digest, frozenset[Digest]]]:
    envelopes = [node.make_release({"a": b"%d" % number}) for number in range(count)]
    return [
        (open_release(one).digest, frozenset(c.digest for c in open_release(one).release.chunks())) for one in envelopes
    ]


async def test_only_the_newest_uploads(tmp_path: Path) -> None:
    node = TestNode("n1", tmp_path)
    servable = Servable(node.releases, frozenset)
    made = releases(node, SERVABLE_UPLOAD_COUNT_MAX + 1)
    for digest, chunks in made[:-1]:
        servable.allow(digest, chunks, is_upload=True)
    assert servable.has_release(made[0][0])
    assert await servable.has_chunk(digest_of(b"0"))
    servable.allow(*made[-1], is_upload=True)
    assert not servable.has_release(made[0][0])
    assert not await servable.has_chunk(digest_of(b"0"))
    assert await servable.has_chunk(digest_of(b"1"))


async def test_a_release_on_its_way_is_given_only_while_a_record_names_it(tmp_path: Path) -> None:
    node = TestNode("n1", tmp_path)
    [(digest, chunks)] = releases(node, 1)
    named = {digest}
    servable = Servable(node.releases, lambda: named)
    assert not await servable.has_chunk(digest_of(b"0"))
    servable.allow(digest, chunks)
    assert await servable.has_chunk(digest_of(b"0"))
    named.clear()
    assert not servable.has_release(digest)
    assert not await servable.has_chunk(digest_of(b"0"))
