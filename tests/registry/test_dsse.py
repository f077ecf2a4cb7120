from __future__ import annotations

import contextlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.dsse import Envelope, Signature, pae, sign, signers
from registry.errors import EnvelopeInvalid, RegistryError
from registry.keyring import Keyring, TrustedKey
from registry.keys import SigningKey
from registry.limits import ENVELOPE_BYTES_MAX, PAYLOAD_TYPE_BYTES_MAX, SIGNATURE_COUNT_MAX
from registry.strict import encode
from tests.registry.releases import KEY

KEYS = sorted((SigningKey.generate() for _ in range(SIGNATURE_COUNT_MAX + 1)), key=lambda key: key.public.id)
RING = Keyring([TrustedKey(KEY.public, "ann", frozenset({"deploy"}), ("*",))])


def test_the_encoding_that_is_signed() -> None:
    """The example of DSSE's protocol.md."""
    assert pae("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )
    assert pae("é", b"") == b"DSSEv1 2 \xc3\xa9 0 "


def test_the_encoding_of_type_and_payload_is_of_no_other_pair() -> None:
    assert pae("a", b"b 1 c") != pae("a b", b"c")


@given(st.binary(max_size=200), st.integers(0, 4))
def test_an_envelope_is_what_its_bytes_say(payload: bytes, count: int) -> None:
    envelope = sign("t", payload, *KEYS[:count])
    assert Envelope.parse(envelope.encode()) == envelope
    assert signers(envelope, [key.public for key in KEYS]) == {key.public.id for key in KEYS[:count]}


def test_every_mutation_of_a_byte_is_refused() -> None:
    encoded = sign("type", b"payload", KEY).encode()
    assert RING.verify(Envelope.parse(encoded), "type", "deploy").name == "ann"
    for position in range(len(encoded)):
        for value in {0, 1, 0x7F, 0xFF, *(encoded[position] ^ 1 << bit for bit in range(8))} - {encoded[position]}:
            mutated = encoded[:position] + bytes([value]) + encoded[position + 1 :]
            with pytest.raises(RegistryError):
                RING.verify(Envelope.parse(mutated), "type", "deploy")


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_or_are_the_encoding_of_what_they_say(data: bytes) -> None:
    with contextlib.suppress(EnvelopeInvalid):
        assert Envelope.parse(data).encode() == data


def test_an_envelope_cut_off_or_with_more_is_refused() -> None:
    encoded = sign("type", b"payload", KEY).encode()
    for wrong in (*(encoded[:count] for count in range(len(encoded))), encoded + b"\0", encoded * 2):
        with pytest.raises(EnvelopeInvalid):
            Envelope.parse(wrong)


def test_signing_again_adds_a_key_or_replaces_its_signature() -> None:
    first, second = KEYS[:2]
    envelope = sign("t", b"p", second)
    assert envelope.signed_by(first) == sign("t", b"p", first, second) == sign("t", b"p", second, first)
    assert envelope.signed_by(second) == envelope


def test_a_signature_covers_type_and_payload() -> None:
    envelope = sign("t", b"p", KEY)
    keys = [KEY.public]
    assert signers(envelope, keys) == {KEY.public.id}
    assert signers(replace(envelope, payload_type="u"), keys) == frozenset()
    assert signers(replace(envelope, payload=b"q"), keys) == frozenset()
    assert signers(envelope, []) == frozenset()


def test_a_key_under_anothers_id_has_not_signed() -> None:
    liar, victim = KEYS[:2]
    forged = Envelope("t", b"p", (Signature(victim.public.id, liar.sign(pae("t", b"p"))),))
    assert signers(forged, [liar.public, victim.public]) == frozenset()


def test_each_key_counts_once() -> None:
    envelope = sign("t", b"p", KEY)
    with pytest.raises(EnvelopeInvalid, match="order of their keys"):
        replace(envelope, signatures=envelope.signatures * 2)
    assert len(signers(envelope, [KEY.public, KEY.public])) == 1


ID, SIG = "0" * 64, b"\0" * 64
RAW = {"payload": b"p", "payload_type": "t", "signatures": [[ID, SIG]]}


@pytest.mark.parametrize(
    "change",
    [
        {"more": 1},
        {"payload": "p"},
        {"payload_type": b"t"},
        {"payload_type": ""},
        {"payload_type": "a\n"},
        {"signatures": {}},
        {"signatures": [1]},
        {"signatures": [[ID]]},
        {"signatures": [[ID, SIG, SIG]]},
        {"signatures": [[ID.encode(), SIG]]},
        {"signatures": [[ID, SIG.hex()]]},
        {"signatures": [[ID[1:], SIG]]},
        {"signatures": [["A" * 64, SIG]]},
        {"signatures": [[ID, SIG[1:]]]},
        {"signatures": [[ID, SIG], [ID, SIG]]},
        {"signatures": [["1" * 64, SIG], [ID, SIG]]},
    ],
)
def test_what_breaks_a_rule_is_refused(change: dict[str, object]) -> None:
    Envelope.parse(encode(RAW))
    with pytest.raises(EnvelopeInvalid):
        Envelope.parse(encode(RAW | change))


def test_signatures_are_bounded() -> None:
    envelope = sign("t", b"p", *KEYS[:SIGNATURE_COUNT_MAX])
    assert Envelope.parse(envelope.encode()) == envelope
    with pytest.raises(EnvelopeInvalid, match="signatures"):
        envelope.signed_by(KEYS[SIGNATURE_COUNT_MAX])


def test_the_payload_type_is_bounded() -> None:
    Envelope("t" * PAYLOAD_TYPE_BYTES_MAX, b"", ())
    with pytest.raises(EnvelopeInvalid, match="payload type"):
        Envelope("t" * (PAYLOAD_TYPE_BYTES_MAX + 1), b"", ())


def test_the_bytes_are_bounded() -> None:
    empty = len(Envelope("t", b"x" * 100_000, ()).encode()) - 100_000
    at_limit = Envelope("t", b"x" * (ENVELOPE_BYTES_MAX - empty), ())
    assert len(at_limit.encode()) == ENVELOPE_BYTES_MAX
    assert Envelope.parse(at_limit.encode()) == at_limit
    over = replace(at_limit, payload=at_limit.payload + b"x")
    with pytest.raises(EnvelopeInvalid, match="allowed"):
        over.encode()
    with pytest.raises(EnvelopeInvalid, match="allowed"):
        Envelope.parse(encode({"payload": over.payload, "payload_type": "t", "signatures": []}))
