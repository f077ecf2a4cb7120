"""Who a party is: an Ed25519 key and a certificate for it that the key itself has signed.

The certificate is only the form in which TLS wants a public key. Nobody vouches for what is written in it: it counts
because its fingerprint is in the roster, and ends when the roster no longer has it, or on its last day.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from edged.errors import IdentityInvalid
from edged.fleet.files import read_file, write_file
from edged.fleet.peer import fingerprint_of
from edged.limits import CERTIFICATE_BYTES_MAX, CERTIFICATE_CACHE_COUNT, CERTIFICATE_DAYS
from registry.errors import RegistryError
from registry.keys import PublicKey, SigningKey

_DAY_S = 86_400
_SIGNATURE_HEADER = b"\x03\x41\x00"  # a bit string of 64 bytes, all bits used: one form for one signature
_EARLIER_S = 3_600  # a certificate is valid an hour before it is made: clocks of other machines may be late


@dataclass(frozen=True, slots=True)
class Identity:
    """A party that we are: what we sign with, and what we show in TLS.

    Attributes:
        certificate: DER.
    """

    name: str
    certificate: bytes = field(repr=False)
    key: SigningKey = field(repr=False)

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.certificate)


def make_identity(name: str, *, now: float, days: int = CERTIFICATE_DAYS) -> Identity:
    """A new key with its certificate, valid from `now` (unix time, s) for that many days."""
    key = SigningKey.generate()
    return Identity(name, make_certificate(name, key, now=now, days=days), key)


def make_certificate(name: str, key: SigningKey, *, now: float, days: int = CERTIFICATE_DAYS) -> bytes:
    """A certificate for a key (RFC 5280, RFC 8410), DER."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    public = Ed25519PublicKey.from_public_bytes(key.public.raw)
    identifier = x509.SubjectKeyIdentifier.from_public_key(public)
    begin = datetime.datetime.fromtimestamp(int(now) - _EARLIER_S, datetime.UTC)
    builder = (
        x509.CertificateBuilder(subject_name=subject, issuer_name=subject, public_key=public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + datetime.timedelta(days=days, seconds=_EARLIER_S))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False
        )
        .add_extension(identifier, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
    )
    return builder.sign(key.private, algorithm=None).public_bytes(Encoding.DER)


def save_identity(identity: Identity, key_path: Path, certificate_path: Path) -> None:
    """Write key (mode 0600) and certificate, PEM. Neither may be there already.

    Raises:
        FleetFileExists, FleetFileError.
    """
    try:
        identity.key.save(key_path)
    except RegistryError as error:
        raise IdentityInvalid(error.message, remedy=error.remedy) from error
    write_file(certificate_path, certificate_pem(identity.certificate).encode(), mode=0o644)


def save_certificate_of(key_path: Path, certificate_path: Path, name: str, *, now: float) -> None:
    """Write the certificate of a key that has none yet: `save_identity` ended between the two, or the disk was full.

    Args:
        now: unix time, s, from which it is valid.

    Raises:
        IdentityInvalid: the key is none, or others could read it.
        FleetFileExists, FleetFileError.
    """
    try:
        key = SigningKey.load(key_path)
    except RegistryError as error:
        raise IdentityInvalid(error.message, remedy=error.remedy) from error
    write_file(certificate_path, certificate_pem(make_certificate(name, key, now=now)).encode(), mode=0o644)


def load_identity(key_path: Path, certificate_path: Path) -> Identity:
    """A key and the certificate that belongs to it.

    Raises:
        IdentityInvalid: a file that is neither, a key that others could read, or the two are of different parties.
        FleetFileMissing, FleetFileError.
    """
    certificate = read_certificate(certificate_path)
    try:
        key = SigningKey.load(key_path)
    except RegistryError as error:
        raise IdentityInvalid(error.message, remedy=error.remedy) from error
    if public_key(certificate) != key.public:
        raise IdentityInvalid(
            f"{certificate_path} is not the certificate of the key {key_path}",
            remedy="Name the certificate that was made together with the key.",
        )
    return Identity(certificate_name(certificate), certificate, key)


def read_certificate(path: Path) -> bytes:
    """The certificate of a file, PEM or DER, as DER.

    Raises:
        IdentityInvalid: no certificate of ours.
        FleetFileMissing, FleetFileError.
    """
    data = read_file(path, CERTIFICATE_BYTES_MAX)
    try:
        if data.lstrip().startswith(b"-----BEGIN"):
            data = x509.load_pem_x509_certificate(data).public_bytes(Encoding.DER)
        check_certificate(data)
    except (ValueError, IdentityInvalid) as error:
        raise IdentityInvalid(f"{path} is not a certificate of a node or key: {error}") from error
    return data


@lru_cache(CERTIFICATE_CACHE_COUNT)  # a roster has those of all nodes, and is read again and again
def check_certificate(der: bytes) -> None:
    """Refuse what is no self-signed Ed25519 certificate: nothing else may stand in a roster.

    Raises:
        IdentityInvalid
    """
    certificate = _parse(der)
    try:
        certificate.verify_directly_issued_by(certificate)
    except (ValueError, TypeError, InvalidSignature) as error:
        raise IdentityInvalid("the certificate is not signed by its own key") from error
    if not der.endswith(_SIGNATURE_HEADER + certificate.signature):
        raise IdentityInvalid("the certificate has its signature in another form than that of RFC 8410")
    if not _names(certificate):
        raise IdentityInvalid("the certificate has no name")


def certificate_pem(der: bytes) -> str:
    """As PEM text, for people to copy."""
    return _parse(der).public_bytes(Encoding.PEM).decode("ascii")


def fingerprint(der: bytes) -> str:
    """ "sha256:" and the hex digest of the DER bytes: the name by which parties are known."""
    return fingerprint_of(der)


def certificate_name(der: bytes) -> str:
    """The name that the party gave itself. Only a suggestion."""
    return _names(_parse(der))[0]


def days_left(der: bytes, now: float) -> float:
    """Days from `now` (unix time, s) until the certificate ends; negative when it has ended."""
    return (_ends(der) - now) / _DAY_S


@lru_cache(CERTIFICATE_CACHE_COUNT)
def _ends(der: bytes) -> float:
    """Unix time, s. Each report of a node says how far away that is."""
    return _parse(der).not_valid_after_utc.timestamp()


@lru_cache(CERTIFICATE_CACHE_COUNT)
def public_key(der: bytes) -> PublicKey:
    """The Ed25519 key that the certificate is for.

    Raises:
        IdentityInvalid
    """
    public = _parse(der).public_key()
    assert isinstance(public, Ed25519PublicKey)  # _parse has looked
    return PublicKey(public.public_bytes_raw())


def _parse(der: bytes) -> x509.Certificate:
    if len(der) > CERTIFICATE_BYTES_MAX:
        raise IdentityInvalid(f"the certificate has more than {CERTIFICATE_BYTES_MAX} bytes")
    try:
        certificate = x509.load_der_x509_certificate(der)
        key = certificate.public_key()
    except Exception as error:  # cryptography raises many kinds, UnsupportedAlgorithm among them
        raise IdentityInvalid("not a certificate") from error
    if not isinstance(key, Ed25519PublicKey):
        raise IdentityInvalid("the certificate's key is not Ed25519", remedy="Make one with edged.")
    return certificate


def _names(certificate: x509.Certificate) -> list[str]:
    try:
        return [str(name.value) for name in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    except (ValueError, TypeError) as error:  # names are taken apart only when somebody asks for them
        raise IdentityInvalid("the certificate's name is not what names are made of") from error
