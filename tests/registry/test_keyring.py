from __future__ import annotations

from dataclasses import replace

import pytest

from registry.dsse import sign
from registry.errors import KeyInvalid, KeyNotAllowed, SignatureInvalid
from registry.keyring import Keyring, TrustedKey
from registry.keys import SigningKey
from registry.limits import APP_NAME_CHARS_MAX, KEY_GLOB_COUNT_MAX, KEY_NAME_BYTES_MAX
from tests.registry.releases import KEY

OTHER = SigningKey.generate()
TRUSTED = TrustedKey(KEY.public, "ann", frozenset({"deploy", "read"}), ("shop", "blog-*"), ("eu", "us"))
RING = Keyring([TRUSTED])
SIGNED = sign("t", b"p", KEY)


@pytest.mark.parametrize(
    ("role", "app", "regions"),
    [
        ("deploy", "shop", ["eu"]),
        ("deploy", "shop", ["us", "eu"]),
        ("deploy", "shop", []),
        ("read", "blog-1", []),
        ("read", "blog-", ["us"]),
        ("read", None, ["us"]),
    ],
)
def test_what_a_key_may_do(role: str, app: str | None, regions: list[str]) -> None:
    assert RING.verify(SIGNED, "t", role, app, regions) == TRUSTED


@pytest.mark.parametrize(
    ("role", "app", "regions", "message"),
    [
        ("admit", "shop", [], "key 'ann' has not the role 'admit'"),
        ("deploy", "Shop", [], "not for app 'Shop'"),
        ("deploy", "shop2", [], "not for app 'shop2'"),
        ("deploy", "ashop", [], "not for app 'ashop'"),
        ("deploy", "blog", [], "not for app 'blog'"),
        ("deploy", "shop", ["eu", "ap"], "not for region ap"),
    ],
)
def test_what_a_key_may_not_do(role: str, app: str, regions: list[str], message: str) -> None:
    with pytest.raises(KeyNotAllowed, match=message):
        RING.verify(SIGNED, "t", role, app, regions)


def test_no_apps_are_none_and_no_regions_are_all() -> None:
    nowhere = Keyring([replace(TRUSTED, apps=())])
    with pytest.raises(KeyNotAllowed):
        nowhere.verify(SIGNED, "t", "deploy", "shop")
    everywhere = Keyring([replace(TRUSTED, regions=())])
    assert everywhere.verify(SIGNED, "t", "deploy", "shop", ["ap"])


def test_a_revoked_key_counts_for_nothing() -> None:
    ring = Keyring([TRUSTED], revoked=[KEY.public.id])
    assert RING.find(KEY.public.id) == TRUSTED
    assert ring.find(KEY.public.id) is None
    with pytest.raises(KeyNotAllowed, match="key 'ann' is revoked"):
        ring.verify(SIGNED, "t", "deploy", "shop")


def test_another_signer_may_stand_in_for_one_that_is_revoked_or_not_allowed() -> None:
    second = TrustedKey(OTHER.public, "bob", frozenset({"deploy"}), ("*",))
    ring = Keyring([TRUSTED, second], revoked=[KEY.public.id])
    assert ring.verify(sign("t", b"p", KEY, OTHER), "t", "deploy", "shop") == second
    assert Keyring([TRUSTED, second]).verify(sign("t", b"p", KEY, OTHER), "t", "deploy", "other") == second


def test_two_keys_do_not_make_up_for_each_other() -> None:
    ring = Keyring([replace(TRUSTED, roles=frozenset()), replace(TRUSTED, public=OTHER.public, apps=())])
    with pytest.raises(KeyNotAllowed, match=r"role.*; .*app|app.*; .*role"):
        ring.verify(sign("t", b"p", KEY, OTHER), "t", "deploy", "shop")


def test_unknown_signers_are_named() -> None:
    with pytest.raises(SignatureInvalid, match=OTHER.public.short):
        RING.verify(sign("t", b"p", OTHER), "t", "deploy", "shop")
    with pytest.raises(SignatureInvalid, match="not signed at all"):
        RING.verify(sign("t", b"p"), "t", "deploy", "shop")


def test_an_unknown_signer_beside_a_known_one_does_not_matter() -> None:
    assert RING.verify(sign("t", b"p", KEY, OTHER), "t", "deploy", "shop") == TRUSTED


def test_other_bytes_or_another_type_are_refused() -> None:
    with pytest.raises(SignatureInvalid, match="no valid signature"):
        RING.verify(replace(SIGNED, payload=b"q"), "t", "deploy", "shop")
    with pytest.raises(SignatureInvalid, match="signed as 't', not as 'u'"):
        RING.verify(SIGNED, "u", "deploy", "shop")
    with pytest.raises(SignatureInvalid, match="no valid signature"):
        RING.verify(replace(SIGNED, payload_type="u"), "u", "deploy", "shop")


def test_an_empty_ring_trusts_nobody() -> None:
    with pytest.raises(SignatureInvalid):
        Keyring([]).verify(SIGNED, "t", "deploy", "shop")


def test_a_key_stands_in_a_ring_once() -> None:
    with pytest.raises(KeyInvalid, match="are the same"):
        Keyring([TRUSTED, replace(TRUSTED, name="ann again", apps=("*",))])


@pytest.mark.parametrize("glob", ["*", "shop", "a?c", "A-1_2.*", "a" * APP_NAME_CHARS_MAX])
def test_patterns(glob: str) -> None:
    assert replace(TRUSTED, apps=(glob,)).apps == (glob,)


@pytest.mark.parametrize("glob", ["", "[a-z]", "a b", "a/b", "é", "a\n", "a" * (APP_NAME_CHARS_MAX + 1)])
def test_what_is_no_pattern(glob: str) -> None:
    with pytest.raises(KeyInvalid, match="no app pattern"):
        replace(TRUSTED, apps=(glob,))


def test_limits() -> None:
    replace(TRUSTED, apps=("a",) * KEY_GLOB_COUNT_MAX, name="a" * KEY_NAME_BYTES_MAX)
    for change in ({"apps": ("a",) * (KEY_GLOB_COUNT_MAX + 1)}, {"name": "a" * (KEY_NAME_BYTES_MAX + 1)}, {"name": ""}):
        with pytest.raises(KeyInvalid):
            replace(TRUSTED, **change)


def test_a_pattern_of_stars_takes_no_time() -> None:
    """It must not be tried in all ways: that would be 2**30 of them."""
    assert not replace(TRUSTED, apps=("*a" * 30,)).allows_app("a" * 29 + "b" * 34)
