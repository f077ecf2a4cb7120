"""Rosters, deployments and vouchers as bytes: strict, deterministic, bounded."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.errors import RecordInvalid, VoucherInvalid
from edged.fleet.certificate import make_certificate
from edged.fleet.deployment import Deployment
from edged.fleet.record import Version
from edged.fleet.roster import Key, Region, Roster
from edged.fleet.view import View
from edged.fleet.voucher import TOKEN_PREFIX, Voucher, open_voucher, parse_token, token_of
from edged.limits import (
    DEPLOYMENT_VARIABLES_BYTES_MAX,
    HOST_COUNT_MAX,
    MESSAGE_BYTES_MAX,
    REGION_COUNT_MAX,
    REVOKED_COUNT_MAX,
    ROOT_KEY_COUNT_MAX,
    VARIABLES_MAX,
)
from registry import strict
from tests.fleet.kit import NOW, RELEASE, Joining, deployment, identity, key, node, root, roster


def changed(payload: bytes, **fields: object) -> bytes:
    value: Any = strict.decode(payload, 10_000_000)
    return strict.encode({**value, **fields})


@pytest.mark.parametrize(
    "one",
    [
        deployment(),
        deployment(regions={}, hosts=("shop.example.com",), probe="/healthz", message="why", issued=7),
        deployment(limits={"wall_s_max": 1.5, "concurrent_max": 3}, variables={"a": "", "b": "ü\n"}, previous=RELEASE),
    ],
)
def test_deployments_come_back(one: Deployment) -> None:
    assert Deployment.parse(one.encode()) == one
    assert "ü" not in repr(one)


@pytest.mark.parametrize(
    "one",
    [
        roster(),
        roster(nodes=(), keys=(), regions=()),
        roster(
            revoked=frozenset({"0" * 64}), floors={"shop": Version(2, 0)}, prefixes=("203.0.113.0/24", "2001:db8::/48")
        ),
    ],
)
def test_rosters_come_back(one: Roster) -> None:
    assert Roster.parse(one.encode()) == one


def test_a_voucher_comes_back_through_its_token() -> None:
    data = Joining().voucher
    token = token_of(data)
    assert parse_token(f"\n  {token} \n") == data
    opened = open_voucher(data)
    assert Voucher.parse(opened.voucher.encode()) == opened.voucher


@pytest.mark.parametrize("cut", [1, 10, 100])
def test_tokens_that_are_none(cut: int) -> None:
    token = token_of(Joining().voucher)
    for text in ("", "x", token[cut:], token[:-cut], token + "A" * cut, token.replace("a", "!", cut), "ü" + token):
        with pytest.raises(VoucherInvalid):
            parse_token(text)


@given(st.text(max_size=50))
def test_any_text_as_a_token(text: str) -> None:
    with pytest.raises(VoucherInvalid):
        parse_token(TOKEN_PREFIX + text)


@pytest.mark.parametrize(
    "fields",
    [
        {"v": 2},
        {"more": 1},
        {"fleet": "Demo"},
        {"fleet": ""},
        {"app": "../shop"},
        {"app": "a" * 64},
        {"epoch": 0},
        {"sequence": 0},
        {"sequence": 2**63 - 1, "epoch": 2**40},
        {"sequence": True},
        {"sequence": 1.0},
        {"regions": {"eu": "latest"}},
        {"regions": {"EU": RELEASE}},
        {"hosts": ["Shop.example.com"]},
        {"hosts": ["a b"]},
        {"limits": {"a": "64MiB"}},
        {"limits": {"a": -1}},
        {"variables": {"a": 1}},
        {"variables": {"": "a"}},
        {"previous": "none"},
        {"message": "two\nlines"},
        {"probe": "healthz"},
        {"probe": "/a b"},
        {"issued": -1},
    ],
)
def test_deployments_that_are_none(fields: dict[str, object]) -> None:
    with pytest.raises(RecordInvalid):
        Deployment.parse(changed(deployment().encode(), **fields))


@pytest.mark.parametrize(
    ("at", "over"),
    [
        ({"message": "x" * MESSAGE_BYTES_MAX}, {"message": "x" * (MESSAGE_BYTES_MAX + 1)}),
        (
            {"variables": {"a": "x" * (DEPLOYMENT_VARIABLES_BYTES_MAX - 1)}},
            {"variables": {"a": "x" * DEPLOYMENT_VARIABLES_BYTES_MAX}},
        ),
        (
            {"variables": {f"v{n}": "" for n in range(VARIABLES_MAX)}},
            {"variables": {f"v{n}": "" for n in range(VARIABLES_MAX + 1)}},
        ),
        ({"hosts": ("a.b",) * HOST_COUNT_MAX}, {"hosts": ("a.b",) * (HOST_COUNT_MAX + 1)}),
        (
            {"regions": {f"r{n}": RELEASE for n in range(REGION_COUNT_MAX)}},
            {"regions": {f"r{n}": RELEASE for n in range(REGION_COUNT_MAX + 1)}},
        ),
    ],
)
def test_limits_of_deployments(at: dict[str, Any], over: dict[str, Any]) -> None:
    signing = identity("operator").key
    deployment(**at).seal(signing)
    with pytest.raises(RecordInvalid):
        deployment(**over).seal(signing)


def ids(count: int) -> frozenset[str]:
    return frozenset(f"{number:064x}" for number in range(count))


@pytest.mark.parametrize(
    ("at", "over"),
    [
        ({"revoked": ids(REVOKED_COUNT_MAX)}, {"revoked": ids(REVOKED_COUNT_MAX + 1)}),
        (
            {"root_keys": tuple(bytes([n]) * 32 for n in range(ROOT_KEY_COUNT_MAX))},
            {"root_keys": tuple(bytes([n]) * 32 for n in range(ROOT_KEY_COUNT_MAX + 1))},
        ),
        ({"threshold": 1}, {"threshold": 2}),
        ({"threshold": 1}, {"threshold": 0}),
    ],
)
def test_limits_of_rosters(at: dict[str, Any], over: dict[str, Any]) -> None:
    roster(**at).seal([root()])
    with pytest.raises(RecordInvalid):
        roster(**over).seal([root()])


@pytest.mark.parametrize(
    "fields",
    [
        {"nodes": (node("n1"), node("n1", port=7401))},
        {"nodes": (node("n1", "moon"),)},
        {"nodes": (node("operator"),)},
        {"keys": (key("a", "deploy"), key("a", "read"))},
        {"keys": (key("a", "root"),)},
        {"keys": (key("a", "deploy", regions=("moon",)),)},
        {"keys": (key("a", "deploy", apps=("[a-z]",)),)},
        {"regions": (Region("eu"), Region("us"), Region("eu"))},
        {"root_keys": ()},
        {"root_keys": (b"short",)},
        {"root_keys": (b"k" * 32, b"k" * 32)},
        {"revoked": frozenset({"xyz"})},
        {"revoked": frozenset({identity("n1").key.public.id})},
        {"prefixes": ("203.0.113.1/24",)},
        {"prefixes": ("2001:DB8::/48",)},
        {"floors": {"shop": Version(0, 1)}},
        {"domain": "no_underscore"},
    ],
)
def test_rosters_that_are_none(fields: dict[str, Any]) -> None:
    with pytest.raises(RecordInvalid):
        roster(**fields).seal([root()])


def test_a_certificate_that_is_none_in_a_roster() -> None:
    value: Any = strict.decode(roster().encode(), 10_000_000)
    value["nodes"][0]["certificate"] = b"x"
    with pytest.raises(RecordInvalid, match=r"roster.nodes\[0\]"):
        Roster.parse(strict.encode(value))


@given(st.binary(max_size=60))
def test_any_bytes(data: bytes) -> None:
    for parse in (Roster.parse, Deployment.parse, Voucher.parse, open_voucher):
        with pytest.raises(RecordInvalid):
            parse(data)


def test_a_key_has_one_name_and_one_certificate() -> None:
    """Two certificates of one key, and what it may do would depend on which is looked at."""
    one = identity("ann")
    again = Key("bob", make_certificate("bob", one.key, now=NOW), frozenset({"read"}))
    for parties in ({"keys": (key("ann", "deploy"), again)}, {"nodes": (node("ann"),), "keys": (again,)}):
        with pytest.raises(RecordInvalid, match="'ann' and 'bob' have the same key"):
            Roster.parse(roster(**parties).encode())


def test_a_revoked_root_key_is_none() -> None:
    with pytest.raises(RecordInvalid, match="root key"):
        Roster.parse(roster(revoked=frozenset({root().public.id})).encode())


def test_every_app_pattern_of_a_roster_is_one_of_the_keyring() -> None:
    longest = roster(keys=(key("ann", "deploy", apps=("a" * 63,)),))
    keyring = View({}, Roster.parse(longest.encode())).keyring
    assert keyring.find(identity("ann").key.public.id) is not None
    with pytest.raises(RecordInvalid, match="apps"):
        Roster.parse(roster(keys=(key("ann", "deploy", apps=("a" * 64,)),)).encode())
