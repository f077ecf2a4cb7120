"""Which deployment a rollback means, and with which variables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from edged.errors import UsageError
from edged.fleet.deployment import Deployment
from edged.publish.author import Signed
from edged.publish.change import keeps_variables, rolled_back, target_of
from edged.publish.deployments import Head
from registry.digest import Digest

A, B, C = (Digest("sha256:" + digit * 64) for digit in "abc")


class FakeAuthor:
    fleet = "demo"

    def epoch_of(self, _app: str) -> int:
        return 1

    def floor_of(self, _app: str) -> int:
        return 0


def deployment(sequence: int, release: Digest | None, variables: Mapping[str, str] | None = None) -> Deployment:
    return Deployment(
        fleet="demo",
        app="shop",
        epoch=1,
        sequence=sequence,
        regions={} if release is None else {"eu": release},
        hosts=(),
        limits={},
        variables=variables or {},
        issued=1,
        previous="",
        message="",
        probe="",
    )


PAST = [deployment(4, C), deployment(3, C, {"key": "new"}), deployment(2, B, {"key": "old"}), deployment(1, A)]


def head(newest: Deployment = PAST[0]) -> Head:
    return Head("shop", Signed(newest, newest.digest, "ada"))


@pytest.mark.parametrize(
    ("to", "running", "found"),
    [
        (None, {4}, 2),  # another release than that of now
        (None, (), 2),
        (None, {1}, 1),  # 4, 3 and 2 failed everywhere
        (None, {4, 2}, 2),  # one node took it, another went on with 2
        (None, {3}, 3),  # the same release, but the newest one does not do
        (1, {3}, 1),
        (3, {4}, 3),
    ],
)
def test_which_one_is_meant(to: int | None, running: set[int], found: int) -> None:
    assert target_of(head(), PAST, to, running).sequence == found


def test_a_release_that_failed_everywhere_is_not_gone_back_to() -> None:
    """Sequence 3 was the release that fails now, in fewer regions."""
    newest = replace(deployment(4, C), regions={"eu": C, "us": C})
    assert target_of(head(newest), [newest, *PAST[1:]], None, ()).sequence == 2
    assert target_of(head(newest), [newest, *PAST[1:]], None, {4}).sequence == 3
    assert target_of(head(newest), [newest, *PAST[1:]], 3, ()).sequence == 3


def test_no_such_one() -> None:
    with pytest.raises(UsageError, match="no earlier release"):
        target_of(head(), PAST[:2], None, {4})
    with pytest.raises(UsageError, match="no sequence 4 to go back to") as refused:
        target_of(head(), PAST, 4, {4})
    assert "3, 2, 1" in refused.value.remedy


@pytest.mark.parametrize(("running", "key"), [({3}, "new"), ({3, 2}, "new"), ((), "new"), ({2}, "old")])
def test_variables_are_kept_if_anything_runs_with_them(running: set[int], key: str) -> None:
    newest = head(PAST[1])
    back = rolled_back(FakeAuthor(), newest, PAST[2], 9, running)  # type: ignore[arg-type]
    assert (back.sequence, dict(back.regions), dict(back.variables)) == (4, {"eu": B}, {"key": key})
    assert keeps_variables(newest, running) == (key == "new")


def test_a_removed_app_comes_back_with_the_variables_that_it_had() -> None:
    gone = head(deployment(5, None))
    target = target_of(gone, PAST, 2)
    assert rolled_back(FakeAuthor(), gone, target, 9).variables == {"key": "old"}  # type: ignore[arg-type]
