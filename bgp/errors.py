"""Every error that leaves bgp: one class, one stable code, one sentence of remedy.

Foreign exceptions (OSError, what ExaBGP raises) become one of these in the module that calls the foreign thing. The
shape is that of every error of the program: `code`, `message`, `remedy`, `exit_status` (sysexits.h), `as_json()`.
"""

from __future__ import annotations

from typing import ClassVar


class BgpError(Exception):
    """Base of all. Never raised itself.

    Attributes:
        code: stable, dotted, lower-case; part of the public interface.
        exit_status: status of a command that ends with this error (sysexits.h).
        message: what is wrong.
        remedy: one sentence that says what to do.
    """

    code: ClassVar[str] = "bgp"
    exit_status: ClassVar[int] = 70
    default_remedy: ClassVar[str] = "Report this with the log lines around it."

    def __init__(self, message: str, *, remedy: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = self.default_remedy if remedy is None else remedy

    def __str__(self) -> str:
        return self.message

    def as_json(self) -> dict[str, str]:
        """The one shape of every JSON error: `code`, `message`, `remedy`."""
        return {"code": self.code, "message": self.message, "remedy": self.remedy}


# --- what an operator says ---------------------------------------------------------------------------------


class PrefixInvalid(BgpError):
    """A text that is no network, or one with bits behind its length."""

    code = "bgp.prefix-invalid"
    exit_status = 78
    default_remedy = "Write a prefix as 203.0.113.0/24 or 2001:db8::/48, with nothing behind its length."


class AttributesInvalid(BgpError):
    """An attribute of an announcement that BGP cannot carry."""

    code = "bgp.attributes-invalid"
    exit_status = 78
    default_remedy = "Write communities as 65000:1, large ones as 65000:1:2, with numbers that fit their fields."


class PeerInvalid(BgpError):
    """A peer that no session can be had with as it is described."""

    code = "bgp.peer-invalid"
    exit_status = 78
    default_remedy = "Correct the peer's entry."


# --- what would harm the network ---------------------------------------------------------------------------


class PrefixRefused(BgpError):
    """A prefix outside of the allow-list, or a longer or shorter one. Nothing was announced."""

    code = "bgp.prefix-refused"
    exit_status = 77
    default_remedy = "Have exactly this prefix added to the signed roster, or announce one that it names."


class AnnouncementsRefused(BgpError):
    """A set of announcements that leaves prefixes out, or changes more at once than it may. All stays as it was."""

    code = "bgp.announcements-refused"
    exit_status = 77
    default_remedy = "Name each prefix, and withdraw those that are to go one by one."


# --- what the machine and its provider do not give ---------------------------------------------------------


class MetadataUnavailable(BgpError):
    """A provider's metadata that could not be read."""

    code = "bgp.metadata-unavailable"
    exit_status = 69
    default_remedy = "Check the source under [bgp.metadata], and that this machine reaches it."


class MetadataInvalid(BgpError):
    """A provider's metadata that describes no session."""

    code = "bgp.metadata-invalid"
    exit_status = 65
    default_remedy = "Enable BGP for this machine at the provider, or write the peers into the file instead."


class NetworkSettingFailed(BgpError):
    """An address or a route that this machine would not take, or would not tell about."""

    code = "bgp.network-setting-failed"
    exit_status = 71
    default_remedy = "Look at `ip address show dev lo` and `ip route`, and whether another program changes them."


class NetworkSettingForbidden(BgpError):
    """An address or a route that this process may not set."""

    code = "bgp.network-setting-forbidden"
    exit_status = 77
    default_remedy = "Give the node CAP_NET_ADMIN, or set it by hand and say `own_addresses` or `own_routes = false`."


# --- between the daemon and its speaker's child ------------------------------------------------------------


class WireInvalid(BgpError):
    """A line between the daemon and its speaker's child that means nothing. Who reads it gives up the other side."""

    code = "bgp.wire-invalid"
    exit_status = 76
    default_remedy = "Run the daemon and its speaker from one installation, and report this if they are."


class SpeakerFailed(BgpError):
    """The speaker's child could not begin or go on: ExaBGP refused the configuration, or failed itself."""

    code = "bgp.speaker-failed"
    exit_status = 70
    default_remedy = "Look at the speaker's log lines; correct the peers under [[bgp.peer]] if they are named there."


# --- BFD ---------------------------------------------------------------------------------------------------


class BfdPacketInvalid(BgpError):
    """A datagram that is no BFD control packet, or not one of a session without authentication. It is dropped."""

    code = "bgp.bfd-packet-invalid"
    exit_status = 76
    default_remedy = "Configure the router's BFD without authentication, in version 1 of the protocol."


class BfdUnavailable(BgpError):
    """No socket for BFD. It is tried again; BGP goes on without."""

    code = "bgp.bfd-unavailable"
    exit_status = 71
    default_remedy = "Stop other BFD daemons on this machine, and check that the peer's local_address is on it."
