"""Who may sign what: keys with roles, for apps and regions. Denied is what no key allows.

An empty list of apps allows none. An empty list of regions stands for all of them: a key without a region of its own is
one for the whole fleet.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from registry.dsse import Envelope, signers
from registry.errors import KeyInvalid, KeyNotAllowed, SignatureInvalid
from registry.keys import PublicKey
from registry.limits import APP_NAME_CHARS_MAX, KEY_GLOB_COUNT_MAX, KEY_NAME_BYTES_MAX

# The characters of an app's name, `*` and `?`: no character classes, which hide what they allow.
_GLOB = re.compile(rf"[A-Za-z0-9._*?-]{{1,{APP_NAME_CHARS_MAX}}}", re.ASCII)


@dataclass(frozen=True, slots=True)
class TrustedKey:
    """A public key and what it may sign.

    Attributes:
        name: whose it is, for people.
        roles: words that the caller gives a meaning.
        apps: names with `*` and `?`, whole and in their case; none allows no app.
        regions: of the fleet; none allows all.

    Raises:
        KeyInvalid: a name or pattern that cannot be one.
    """

    public: PublicKey
    name: str
    roles: frozenset[str]
    apps: tuple[str, ...]
    regions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.name.isprintable() or not 1 <= len(self.name.encode()) <= KEY_NAME_BYTES_MAX:
            raise KeyInvalid(f"the name of key {self.public.short} is not 1 to {KEY_NAME_BYTES_MAX} printable bytes")
        if len(self.apps) > KEY_GLOB_COUNT_MAX:
            raise KeyInvalid(f"key {self.name!r} has {len(self.apps)} app patterns; {KEY_GLOB_COUNT_MAX} are allowed")
        for glob in self.apps:
            if not _GLOB.fullmatch(glob):
                raise KeyInvalid(
                    f"{glob[:APP_NAME_CHARS_MAX]!r} is no app pattern", remedy="Use an app's name, with `*` and `?`."
                )

    def allows_app(self, app: str) -> bool:
        return any(fnmatchcase(app, glob) for glob in self.apps)

    def denies(self, role: str, app: str | None = None, regions: Collection[str] = ()) -> str | None:
        """Why this key may not do it; None if it may."""
        if role not in self.roles:
            return f"key {self.name!r} has not the role {role!r}"
        if app is not None and not self.allows_app(app):
            return f"key {self.name!r} is not for app {app!r}"
        others = sorted(set(regions) - set(self.regions)) if self.regions else []
        return f"key {self.name!r} is not for region {', '.join(others)}" if others else None


class Keyring:
    """The keys that are known, of which some are revoked. Never changes: a new roster makes a new one.

    Args:
        keys: by their public half, each once.
        revoked: ids of keys that count for nothing any more, whether they are among `keys` or not.

    Raises:
        KeyInvalid: a key is there twice, so that what it may do would depend on which is looked at.
    """

    def __init__(self, keys: Iterable[TrustedKey], revoked: Collection[str] = ()) -> None:
        self._keys: dict[str, TrustedKey] = {}
        for key in keys:
            if key.public.id in self._keys:
                raise KeyInvalid(f"keys {self._keys[key.public.id].name!r} and {key.name!r} are the same")
            self._keys[key.public.id] = key
        self._revoked = frozenset(revoked)

    def find(self, key_id: str) -> TrustedKey | None:
        """The key of this id, unless it is revoked."""
        return None if key_id in self._revoked else self._keys.get(key_id)

    def verify(
        self,
        envelope: Envelope,
        payload_type: str,
        role: str,
        app: str | None = None,
        regions: Collection[str] = (),
    ) -> TrustedKey:
        """The first key, by id, that signed the envelope and may do so.

        Args:
            payload_type: what the caller is about to read; another one is refused whoever signed it.
            role: that the key must have.
            app: that the key must be for; None if the payload is of no app.
            regions: that the key must be for, all of them.

        Raises:
            SignatureInvalid: of another type, or no key of this ring has signed it.
            KeyNotAllowed: keys have signed it, and each is revoked or may not do this.
        """
        if envelope.payload_type != payload_type:
            raise SignatureInvalid(f"signed as {envelope.payload_type!r}, not as {payload_type!r}")
        signed = sorted(signers(envelope, (key.public for key in self._keys.values())))
        if not signed:
            raise SignatureInvalid(_nobody(envelope))
        denied: list[str] = []
        for key_id in signed:
            key = self._keys[key_id]
            revoked = f"key {key.name!r} is revoked" if key_id in self._revoked else None
            why = revoked or key.denies(role, app=app, regions=regions)
            if why is None:
                return key
            denied.append(why)
        raise KeyNotAllowed("; ".join(denied))


def _nobody(envelope: Envelope) -> str:
    if not envelope.signatures:
        return "not signed at all"
    ids = ", ".join(signature.key_id[:16] for signature in envelope.signatures)
    return f"no valid signature of a known key; it claims those of {ids}"
