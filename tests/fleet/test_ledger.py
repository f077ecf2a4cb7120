"""Used vouchers are remembered for as long as they could be used, and no more of them than there is room for."""

from __future__ import annotations

import pytest

from edged.errors import RecordInvalid, VoucherUsed
from edged.fleet.ledger import Ledger
from edged.limits import (
    LEDGER_ALARM_COUNT_MAX,
    LEDGER_BYTES_MAX,
    LEDGER_SIGNER_COUNT_MAX,
    LEDGER_VOUCHER_COUNT_MAX,
    VOUCHER_S_MAX,
)
from registry import strict
from registry.digest import Digest, digest_of

NOW = 1_800_000_000


def voucher(number: int) -> Digest:
    return digest_of(b"voucher %d" % number)


def test_one_certificate_for_one_voucher() -> None:
    ledger = Ledger().used(voucher(1), b"one", NOW, NOW)
    assert ledger.allows(voucher(1), b"one")
    assert not ledger.allows(voucher(1), b"other")
    assert ledger.allows(voucher(2), b"other")
    assert ledger.used(voucher(1), b"other", NOW, NOW) is ledger


def test_what_cannot_be_used_any_more_goes() -> None:
    ledger = Ledger().used(voucher(1), b"one", NOW, NOW)
    assert set(ledger.used(voucher(2), b"two", NOW, NOW + VOUCHER_S_MAX).uses) == {voucher(1), voucher(2)}
    assert set(ledger.used(voucher(2), b"two", NOW, NOW + VOUCHER_S_MAX + 1).uses) == {voucher(2)}


def test_full_it_fits_into_its_file() -> None:
    ledger = Ledger()
    for number in range(LEDGER_VOUCHER_COUNT_MAX + 1):
        ledger = ledger.used(voucher(number), b"one", NOW + number, NOW)
    assert len(ledger.uses) == LEDGER_VOUCHER_COUNT_MAX
    assert voucher(0) not in ledger.uses
    for number in range(LEDGER_ALARM_COUNT_MAX + 1):
        ledger = ledger.misused(f"admission n{number}", VoucherUsed("x" * 4_000), NOW)
    assert len(ledger.misuses) == LEDGER_ALARM_COUNT_MAX
    for number in range(LEDGER_SIGNER_COUNT_MAX + 1):
        ledger = ledger.replaced(f"{number:064x}", NOW + number)
    assert len(ledger.signers) == LEDGER_SIGNER_COUNT_MAX
    assert f"{0:064x}" not in ledger.signers
    data = ledger.encode()
    assert len(data) <= LEDGER_BYTES_MAX
    assert Ledger.parse(data) == ledger
    assert ledger.settled().misuses == ()
    assert ledger.settled().uses == ledger.uses


def test_one_alarm_for_one_subject() -> None:
    ledger = Ledger().misused("admission n1", VoucherUsed("first"), NOW)
    assert ledger.misused("admission n1", VoucherUsed("second"), NOW) is ledger


@pytest.mark.parametrize(
    "value",
    [
        [],
        {"v": 1},
        {"v": 2, "uses": {}, "misuses": [], "signers": {}},
        {"v": 1, "uses": {"x": ["y", 1]}, "misuses": [], "signers": {}},
        {"v": 1, "uses": {voucher(1): [voucher(2)]}, "misuses": [], "signers": {}},
        {"v": 1, "uses": {voucher(1): [voucher(2), -1]}, "misuses": [], "signers": {}},
        {"v": 1, "uses": {}, "misuses": [], "signers": {"x": -1}},
        {"v": 1, "uses": {}, "misuses": [{}], "signers": {}},
        {"v": 1, "uses": {}, "misuses": [], "signers": {}, "more": 1},
    ],
)
def test_what_is_no_ledger(value: object) -> None:
    with pytest.raises(RecordInvalid):
        Ledger.parse(strict.encode(value))


def test_the_last_time_counts() -> None:
    ledger = Ledger().replaced("a", NOW)
    assert ledger.replaced("a", NOW - 1) is ledger
    assert ledger.replaced("a", NOW + 1).signers == {"a": NOW + 1}
