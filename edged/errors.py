"""Every error that leaves edged, by who is at fault.

One class of this module is one stable code. The same code appears in the log line, in the JSON of an HTTP
error body and in the metric, and its `exit_status` (sysexits.h numbers) is what a command ends with.
An error carries what is wrong (`message`) and one sentence about what to do (`remedy`).

Theory of operation: code raises the class that names the fault; nobody catches broadly except the two places
where a fault ends: the CLI (`edged.cli`), which prints message and remedy, and the request path
(`edged.triggers.http`), which answers with `http_status` and logs. Foreign exceptions (OSError, WasmtimeError)
become one of ours in the module that calls the foreign thing.
"""

from __future__ import annotations

from typing import ClassVar


class EdgedError(Exception):
    """Base of all. Never raised itself.

    Attributes:
        code: stable, dotted, lower-case; part of the public interface.
        http_status: answer to a request that meets this error.
        exit_status: status of a command that ends with this error (sysexits.h).
        remedy: one sentence that says what to do.
        request_id: of the request that met the error, once that is known.
    """

    code: ClassVar[str] = "internal"
    http_status: ClassVar[int] = 500
    exit_status: ClassVar[int] = 70
    default_remedy: ClassVar[str] = "Report this with the log lines around it."

    def __init__(self, message: str, *, remedy: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = self.default_remedy if remedy is None else remedy
        self.request_id: str | None = None

    def __str__(self) -> str:
        return self.message

    def as_json(self) -> dict[str, str]:
        """The one shape of every JSON error: `code`, `message`, `remedy`, and `request_id` where there is one."""
        shape = {"code": self.code, "message": self.message, "remedy": self.remedy}
        return shape if self.request_id is None else shape | {"request_id": self.request_id}


# --- the operator or developer who typed a command or wrote a file -----------------------------------------


class UsageError(EdgedError):
    """A command line that cannot mean anything."""

    code = "usage"
    exit_status = 64
    default_remedy = "See the command's --help."


class ManifestError(EdgedError):
    """A spin.toml that is not one. The message starts with `file:line:`."""

    code = "manifest.invalid"
    exit_status = 78
    default_remedy = "Correct the manifest."


class RouteInvalid(EdgedError):
    """An HTTP route that is not one: a nameless parameter, a wildcard before the end."""

    code = "manifest.route"
    exit_status = 78
    default_remedy = "Write a route as /a/:name/b or /a/..."


class ManifestMissing(EdgedError):
    code = "manifest.missing"
    exit_status = 66
    default_remedy = "Run the command in a folder with a spin.toml, or name one."


class Unsupported(EdgedError):
    """Something that Spin has and this edged does not yet: a trigger, an interface, a source."""

    code = "app.unsupported"
    exit_status = 69
    default_remedy = "Remove it from the app, or use an edged that has it."


class RuntimeConfigMissing(EdgedError):
    code = "runtime-config.missing"
    exit_status = 66
    default_remedy = "Correct the path given with --runtime-config-file."


class RuntimeConfigError(EdgedError):
    """A runtime-config.toml that is not one. The message starts with `file:line:`."""

    code = "runtime-config.invalid"
    exit_status = 78
    default_remedy = "Correct the runtime config."


class RuntimeConfigUnsupported(EdgedError):
    """A runtime config that asks for something that Spin has and this edged does not."""

    code = "runtime-config.unsupported"
    exit_status = 69
    default_remedy = "Remove it from the runtime config, or use an edged that has it."


class NodeConfigMissing(EdgedError):
    code = "node-config.missing"
    exit_status = 66
    default_remedy = "Correct the path given with --config."


class NodeConfigInvalid(EdgedError):
    """A node.toml that is not one, or that names what is not there. The message starts with `file:line:`."""

    code = "node-config.invalid"
    exit_status = 78
    default_remedy = "Correct the file; `edged check --config FILE` says whether it is right."


class BgpPasswordUnusable(EdgedError):
    """A file with the password of a BGP session that cannot be read, that others may read, or that holds none."""

    code = "anycast.password-unusable"
    exit_status = 78
    default_remedy = "Put the password alone into the first line of the file."


class BgpSessionsInvalid(EdgedError):
    """What the node.toml and the provider say does not make BGP sessions together."""

    code = "anycast.sessions-invalid"
    exit_status = 78
    default_remedy = "Set `bgp.router_id` in the node.toml."


class AnycastMissing(EdgedError):
    """A node that announces nothing was to leave, or to come back."""

    code = "anycast.missing"
    exit_status = 69
    default_remedy = "Name a node with [bgp] in its node.toml; see `edged status`."


class DrainUnfinished(EdgedError):
    """A node did not come to where it was to: out of traffic, or back in it."""

    code = "anycast.unfinished"
    exit_status = 75
    default_remedy = "See `edged status` for how it does, and try again."


class JoinFailed(EdgedError):
    """No node of the fleet let a new one in."""

    code = "node.join-failed"
    exit_status = 69
    default_remedy = "Read each reason; ask for another voucher if this one is used up or too old."


class NodeUnknown(EdgedError):
    """A node that belongs to no fleet yet, or to another than it thinks."""

    code = "node.unknown"
    exit_status = 78
    default_remedy = "Give it a voucher, or a roster that has its certificate: see docs/node.md."


class NodeRemoved(EdgedError):
    """A node that the newest roster does not have. It serves on; if its key is revoked it announces nothing."""

    code = "node.removed"
    exit_status = 78
    default_remedy = "Switch it off, or take it into the roster again: see `edged node reseed`."


class NodeRuns(EdgedError):
    """A command that changes a node's state folder, while the node runs."""

    code = "node.runs"
    exit_status = 75
    default_remedy = "Stop the node first: `systemctl stop edged`."


class BackupInvalid(EdgedError):
    """A file that is no backup, is damaged, or holds what no node would accept."""

    code = "fleet.backup-invalid"
    exit_status = 65
    default_remedy = "Use another backup, or the version of edged that made this one."


class RestoreUnfinished(EdgedError):
    """A fleet, or a node, that did not take all of a backup. What it took counts."""

    code = "fleet.restore-unfinished"
    exit_status = 75
    default_remedy = "Read each reason; the command may be run again."


class InstallUnavailable(EdgedError):
    """A node that is to give its one file to new machines, and has none to give. It serves on."""

    code = "node.install-unavailable"
    http_status = 503
    exit_status = 66
    default_remedy = "Start the node from the one file of `make binary`, or remove [install] from its node.toml."


class InstallBusy(EdgedError):
    """As many machines as may at once fetch the one file from a node. The client should try again."""

    code = "node.install-busy"
    http_status = 503
    default_remedy = "Try again in some seconds, or fetch it from another node."


class InstallUnknown(EdgedError):
    """Something else than its one file is asked of a node's [install]; or another edged's."""

    code = "node.install-unknown"
    http_status = 404
    default_remedy = "Ask for /edged/SHA256 with the digest of the file that this node runs from."


class LabelUnknown(EdgedError):
    """A key-value store or database that a component names and nobody configured."""

    code = "app.label"
    exit_status = 78
    default_remedy = "Configure the label in a runtime config, or use `default`."


class InitialStateFailed(EdgedError):
    """What --key-value or --sqlite say could not be done."""

    code = "app.initial-state"
    exit_status = 65
    default_remedy = "Correct --key-value or --sqlite."


class VariablesUnavailable(EdgedError):
    """A provider of variables that could not be asked, or answered something else than a value."""

    code = "variables.unavailable"
    exit_status = 69
    default_remedy = "Check the provider's settings in the runtime config, and that it can be reached."


class VariableError(EdgedError):
    code = "app.variable"
    exit_status = 78
    default_remedy = "Give the variable with --variable NAME=VALUE or a default in the manifest."


class SourceMissing(EdgedError):
    """A component source or a mounted file that is not there."""

    code = "source.missing"
    exit_status = 66
    default_remedy = "Build the app (edged up --build), or correct the path in the manifest."


class DigestMismatch(EdgedError):
    code = "source.digest-mismatch"
    exit_status = 65
    default_remedy = "Correct the digest in the manifest, or find out who changed the source."


class SourceUnavailable(EdgedError):
    """A component source that could not be fetched."""

    code = "source.unavailable"
    exit_status = 69
    default_remedy = "Check the address and the network, then try again."


class BuildFailed(EdgedError):
    code = "build.failed"
    exit_status = 65
    default_remedy = "See the build's own output above."


class ListenError(EdgedError):
    code = "listen.failed"
    exit_status = 71
    default_remedy = "Choose another --listen address, or pass --find-free-port."


class HostTaken(EdgedError):
    """Two apps of one node that want to answer for the same host."""

    code = "app.host-taken"
    exit_status = 78
    default_remedy = "Give each app hosts of its own."


class TlsError(EdgedError):
    code = "tls.invalid"
    exit_status = 78
    default_remedy = "Give the PEM certificate chain and its plain key."


class NotLoggedIn(EdgedError):
    """A command about a fleet, and no context that says which, or none of the name given."""

    code = "context.missing"
    exit_status = 78
    default_remedy = "Run `edged login` with the address of a node, or with the folder of `edged fleet init`."


class ContextInvalid(EdgedError):
    """A file below ~/.config/edged that cannot be used."""

    code = "context.invalid"
    exit_status = 78
    default_remedy = "Run `edged login` again, which writes it anew."


class LoginRefused(EdgedError):
    """A node or fleet that is not the one that was meant, or that does not know us."""

    code = "login.refused"
    exit_status = 77
    default_remedy = "Ask the operator for the fleet's name, an address and the id of its root key."


class FleetUnreachable(EdgedError):
    """No node of the context answers."""

    code = "fleet.no-node"
    exit_status = 69
    default_remedy = "Check the network and the nodes' addresses; `edged login` with another address adds a node."


class AppUnknown(EdgedError):
    """An app that the fleet does not have."""

    code = "app.unknown"
    exit_status = 66
    default_remedy = "See `edged apps` for those that it has."


class PushConflict(EdgedError):
    """Somebody else changed the app at the same time. Nothing of this push is live, unless the message says where."""

    code = "push.conflict"
    exit_status = 75
    default_remedy = "See `edged releases` for what they did, then push again."


class PushInterrupted(EdgedError):
    """A push that was stopped from the keyboard. The message says what the fleet has now."""

    code = "push.interrupted"
    exit_status = 130
    default_remedy = "Push again when you like: what was uploaded is not sent a second time."


class RolloutFailed(EdgedError):
    """A region that did not take a release, or went back to the one before."""

    code = "push.failed"
    exit_status = 65
    default_remedy = "Correct the app and push again, or go back everywhere with `edged rollback`."


class RolloutUnfinished(EdgedError):
    """Regions that were neither live nor failed when the time to wait for them was over. They go on by themselves."""

    code = "push.unfinished"
    exit_status = 75
    default_remedy = "Watch them with `edged status --watch`."


# --- the publisher: a component that cannot be run ---


class ComponentInvalid(EdgedError):
    """Bytes that are not a WebAssembly component, or one that does not validate."""

    code = "component.invalid"
    exit_status = 65
    default_remedy = "Rebuild the component with its SDK."


class ComponentTooLarge(EdgedError):
    code = "component.too-large"
    exit_status = 65
    default_remedy = "Make the component smaller: strip it, leave data out."


class CompileFailed(EdgedError):
    """The compile child ended without an artefact: memory or CPU limit, or a crash."""

    code = "component.compile-failed"
    exit_status = 65
    default_remedy = "Make the component smaller, or raise the compile limits."


class BundleInvalid(EdgedError):
    """A release that is no app of ours: its lock is missing, wrong, or of another manifest."""

    code = "bundle.invalid"
    exit_status = 65
    default_remedy = "Push the app again with this edged."


class BundleUnusable(EdgedError):
    """An app that cannot become a release: a file name that not every node could have, too many files or bytes."""

    code = "bundle.unusable"
    exit_status = 65
    default_remedy = "Rename or leave out the files that the message names."


class ComponentUnsupported(EdgedError):
    """A valid component that edged cannot run: a WASI 0.3 handler, an unknown import, no handler."""

    code = "component.unsupported"
    exit_status = 69
    default_remedy = "Build the component for the WASI 0.2 http world."


# --- the guest, while it runs ---


class GuestError(EdgedError):
    """A guest that ended its own request."""

    code = "guest.failed"
    default_remedy = "See the application's log for this request id."


class GuestTrap(GuestError):
    code = "guest.trap"


class GuestExit(GuestError):
    """The guest called wasi:cli/exit, or proc_exit of WASI preview 1.

    Attributes:
        status: its exit status; 0 is success.
    """

    code = "guest.exit"

    def __init__(self, message: str, *, remedy: str | None = None, status: int = 1) -> None:
        super().__init__(message, remedy=remedy)
        self.status = status


class GuestNoResponse(GuestError):
    code = "guest.no-response"
    default_remedy = "Set a response on every path through the handler."


class GuestErrorResponse(GuestError):
    """The guest answered with one of wasi:http's error codes instead of a response."""

    code = "guest.error-response"


class GuestReturnedError(GuestError):
    """The guest's handler of a message or event returned the error case of its result."""

    code = "guest.returned-error"


class GuestResponseInvalid(GuestError):
    """The response breaks HTTP: more or fewer bytes than its content-length, a bad header."""

    code = "guest.response-invalid"


class GuestRefused(GuestError):
    """The guest called an interface that is not provided."""

    code = "guest.refused"
    default_remedy = "Do without that interface; edged up --verbose lists all that are refused."


class GuestMemoryExhausted(GuestError):
    code = "guest.memory-exhausted"
    default_remedy = "Use less memory, or have the operator raise the app's limit."


class GuestStackExhausted(GuestError):
    code = "guest.stack-exhausted"
    default_remedy = "Recurse less deeply."


class GuestCpuExhausted(GuestError):
    """The guest ran longer than its CPU time: as far as anyone can tell, an endless loop."""

    code = "guest.cpu-exhausted"
    http_status = 508
    default_remedy = "Do less in one request, or have the operator raise the app's limit."


class GuestTimeout(GuestError):
    code = "guest.timeout"
    http_status = 504
    default_remedy = "Answer sooner, or have the operator raise the app's limit."


class GuestBudgetExhausted(GuestError):
    """Too many host calls, resource handles or bytes asked of the host in one request."""

    code = "guest.budget-exhausted"
    default_remedy = "Call the host less in one request, or have the operator raise the app's limit."


# --- the client: a request that is refused before any guest sees it ---


class RequestRefused(EdgedError):
    """Base of what a client can do wrong. The connection closes after the answer. Never raised itself."""

    code = "http.bad-request"
    http_status = 400
    default_remedy = "Send a request that follows RFC 9110 and RFC 9112."


class BadRequest(RequestRefused):
    """A request that is malformed, ambiguous about its length or host, or whose path leaves its root."""


class RequestTimeout(RequestRefused):
    """A head or a piece of a body that did not come in time."""

    code = "http.request-timeout"
    http_status = 408
    default_remedy = "Send the request without pauses."


class BodyTooLarge(RequestRefused):
    code = "http.body-too-large"
    http_status = 413
    default_remedy = "Send less, or have the operator raise the app's limit."


class UriTooLong(RequestRefused):
    code = "http.uri-too-long"
    http_status = 414
    default_remedy = "Move what the URL carries into the request body."


class ExpectationFailed(RequestRefused):
    """An Expect header that asks for something other than 100-continue."""

    code = "http.expectation-failed"
    http_status = 417
    default_remedy = "Send no Expect header, or 100-continue."


class HeadersTooLarge(RequestRefused):
    code = "http.headers-too-large"
    http_status = 431
    default_remedy = "Send fewer or smaller header fields; cookies are the usual cause."


class NotImplementedByServer(RequestRefused):
    """A method (CONNECT, TRACE, unknown ones) or a transfer coding that edged does not speak."""

    code = "http.not-implemented"
    http_status = 501
    default_remedy = "Use another method, or send the body plain or chunked."


class VersionUnsupported(RequestRefused):
    code = "http.version-unsupported"
    http_status = 505
    default_remedy = "Use HTTP/1.1 here; HTTP/2 and HTTP/3 need TLS."


class HostUnknown(RequestRefused):
    """A host that no app of this node answers for (RFC 9110 15.5.20)."""

    code = "http.host-unknown"
    http_status = 421
    default_remedy = "Correct the host name, or push the app that answers for it."


class TooManyConnections(RequestRefused):
    """The listener, or one client address, holds as many connections as it may."""

    code = "http.too-many-connections"
    http_status = 503
    default_remedy = "Reuse connections, or try again in a second."


# --- the node ---


class Overloaded(EdgedError):
    """No instance is free and the queue is full. The client should try again."""

    code = "node.overloaded"
    http_status = 503
    default_remedy = "Try again in a second."


class ProbeFailed(EdgedError):
    """A candidate did not answer its probe, or with a status of 500 and above."""

    code = "app.probe-failed"
    exit_status = 65
    default_remedy = "Mend what the probed path needs, or push with another probe."


class LimitsRefused(EdgedError):
    """An app's limits are none, or more than this node has."""

    code = "app.limits"
    exit_status = 78
    default_remedy = "Lower the app's limits, or raise those of the node."


class LoadCrashed(EdgedError):
    """Workers died while they loaded a site."""

    code = "worker.load-crashed"
    exit_status = 65
    default_remedy = "Push another build of the app, and report this with the component."


class LoadTimeout(EdgedError):
    """An app was not loaded in the time that it has for it; others wait for their turn."""

    code = "worker.load-timeout"
    exit_status = 65
    default_remedy = "Push it again: what was compiled by then is kept. Give it fewer or smaller components."


class TableFull(EdgedError):
    """What workers are to be told of all sites has no room for this one."""

    code = "worker.table-full"
    exit_status = 75
    default_remedy = "Give apps fewer and shorter variables, or place them in fewer regions."


class ControlError(EdgedError):
    """Supervisor and worker do not understand each other: a mistake of ours, or of a worker that a guest broke."""

    code = "worker.control"
    default_remedy = "Report this with the log lines around it."


class NotReady(EdgedError):
    """The node listens, but has no app to serve yet."""

    code = "node.not-ready"
    http_status = 503
    default_remedy = "Try again in a second."


class RolloutNotSaved(EdgedError):
    """What a rollout came to cannot be kept on disk, so it is not acted on."""

    code = "rollout.not-saved"
    exit_status = 73
    default_remedy = "Make room on the disk of the state folder, and let edged write there."


class RolloutCrashed(EdgedError):
    """Worker processes ended under a release: it was not taken, or taken back."""

    code = "rollout.crashed"
    default_remedy = "Push another build of the app, and report this with the component."


class RolloutRequestsFailed(EdgedError):
    """Most requests of a new release failed: it was taken back."""

    code = "rollout.requests-failed"
    default_remedy = "Read the app's log, correct it and push again."


class RolloutHeld(EdgedError):
    """A release that some regions could not serve, and that goes to no further ones."""

    code = "rollout.held"
    exit_status = 75
    default_remedy = "Correct it and push again, or push with --all-at-once; `edged rollback` goes back everywhere."


class RemovalHeld(EdgedError):
    """A removal of more apps than its publisher said: the app is served as before."""

    code = "app.removal-held"
    exit_status = 75
    default_remedy = "Remove it again in a minute, or all of them in one command; `edged rollback APP` keeps it."


class HostFailed(EdgedError):
    """A host function of ours raised: our fault, not the guest's.

    Its message may hold paths and addresses of the node, so clients are not shown it.
    """

    code = "host.failed"


class CacheError(EdgedError):
    code = "cache.unusable"
    exit_status = 73
    default_remedy = "Make the cache folder private to you (mode 0700), or choose another."


class StateFolderError(EdgedError):
    """The folder for what apps keep cannot be written, or holds something else."""

    code = "state-folder.unusable"
    exit_status = 73
    default_remedy = "Make the folder writable, or choose another --state-dir."


class LogFolderError(EdgedError):
    """The folder for guests' output cannot be written."""

    code = "log-folder.unusable"
    exit_status = 73
    default_remedy = "Make the folder writable, or choose another --log-dir."


class EngineMismatch(EdgedError):
    """The installed wasmtime is not the one whose raw interface edged was written for."""

    code = "engine.mismatch"
    exit_status = 70
    default_remedy = "Install the wasmtime version that edged pins."


# --- another party of the fleet, or the way to it (edged.fleet) ---


class LinkError(EdgedError):
    """A party that could not be reached, or a link that broke."""

    code = "fleet.unreachable"
    exit_status = 69
    default_remedy = "Check the address and the network, then try again."


class PeerUntrusted(LinkError):
    """TLS with a certificate that is not in the roster, on either end."""

    code = "fleet.untrusted"
    exit_status = 77
    default_remedy = "Compare the certificate with the fleet's roster; edged login fetches a newer roster."


class ProtocolError(LinkError):
    """The other end broke the protocol of docs/protocol.md, or speaks another version or for another fleet."""

    code = "fleet.protocol"
    exit_status = 76
    default_remedy = "Use the same version of edged on both ends, and an address of the same fleet."


class RequestInvalid(EdgedError):
    """A call that does not exist, or with arguments that it does not take."""

    code = "fleet.request"
    exit_status = 76
    http_status = 400
    default_remedy = "Use the same version of edged on both ends."


class CallForbidden(EdgedError):
    """A call that this party may not make, or not about this app."""

    code = "fleet.forbidden"
    exit_status = 77
    http_status = 403
    default_remedy = "Use a key that has the role, or have the operator give it one in the roster."


class UploadRefused(EdgedError):
    """An upload over its key's quota."""

    code = "fleet.upload-refused"
    exit_status = 73
    http_status = 429
    default_remedy = "Finish or give up the other uploads of this key; their leases end after an hour."


class NotHere(EdgedError):
    """A release, chunk or record that this node does not have, or that no accepted record names."""

    code = "fleet.not-here"
    exit_status = 66
    http_status = 404
    default_remedy = "Ask another node, or push the app again."


class ReleaseUnavailable(EdgedError):
    """A release that no reachable peer could give whole. The message has each source's reason."""

    code = "fleet.release-unavailable"
    exit_status = 69
    default_remedy = "Wait for the nodes that have it to be reachable, or push the app again."


class RemoteError(EdgedError):
    """What the other end answered a call with.

    Attributes:
        code: of the error over there; `exit_status` and `http_status` are those of our error of that code, if any.
    """

    code = "fleet.remote"
    exit_status = 70
    http_status = 502
    default_remedy = "See the log of the node that answered."

    def __init__(self, message: str, *, remedy: str | None = None, code: str | None = None) -> None:
        super().__init__(message, remedy=remedy)
        if code is not None:
            same = next((cls for cls in _subclasses(EdgedError) if cls.code == code), RemoteError)
            # An instance's code stands before its class's: callers see the error as the other end raised it.
            self.__dict__.update(code=code, exit_status=same.exit_status, http_status=same.http_status)


# --- records of the fleet, and the files that they are made of (edged.fleet) ---


class RecordInvalid(EdgedError):
    """Bytes that are no roster, deployment, voucher or admission."""

    code = "fleet.record-invalid"
    exit_status = 65
    http_status = 400
    default_remedy = "Use the same version of edged on both ends."


class RecordForbidden(EdgedError):
    """A record that is not signed by whom the roster lets sign it."""

    code = "fleet.record-forbidden"
    exit_status = 77
    http_status = 403
    default_remedy = "Sign with a key that has the role, the app and the regions; see `edged keys`."


class RecordStale(EdgedError):
    """A record that is not newer than what the fleet has, or of another epoch."""

    code = "fleet.record-stale"
    exit_status = 75
    http_status = 409
    default_remedy = "Fetch the newest record, and publish again on top of it."


class RecordConflict(EdgedError):
    """Two signed records with the same number and different bytes: neither is taken, the one that was first stays."""

    code = "fleet.record-conflict"
    exit_status = 75
    http_status = 409
    default_remedy = "Find out who else signs with this key, then publish with a higher number, which ends it."


class RecordsTooMany(EdgedError):
    """More apps, or nodes, than one fleet may have."""

    code = "fleet.too-many-records"
    exit_status = 69
    http_status = 507
    default_remedy = "Begin another fleet, or raise the limit in every node."


class RecordDamaged(EdgedError):
    """A record on a node's disk that is not what was written. It was put aside."""

    code = "fleet.record-damaged"
    exit_status = 74
    default_remedy = "Nothing: a peer has it, and sends it again. Look at the disk if it happens twice."


class CertificateExpiring(EdgedError):
    """A certificate of this node that is about to expire, or has: links, or clients, end with it."""

    code = "fleet.certificate-expiring"
    exit_status = 75
    default_remedy = "Make a new one and sign the roster; one for TLS: renew it, and send the node SIGHUP."


class CheckpointExpired(EdgedError):
    """The newest checkpoint has expired: nobody says any more that this node hears of what is new. It serves on."""

    code = "fleet.checkpoint-expired"
    exit_status = 75
    default_remedy = "Make another with `edged fleet checkpoint`; if there is one, somebody keeps it from this node."


class CheckpointMissed(EdgedError):
    """A node that lacks records which the newest checkpoint names. It serves what it has."""

    code = "fleet.checkpoint-missed"
    exit_status = 75
    default_remedy = "See which peers it reaches: one of them keeps records from it, or the fleet has lost them."


class RecordOrphaned(EdgedError):
    """A record that this node accepted once, and that the newest roster would not let it accept."""

    code = "fleet.record-orphaned"
    exit_status = 75
    default_remedy = "Push the app again with a key of the roster: until then new nodes do not get it."


class RecordsUnusable(EdgedError):
    """The folder of a node's records cannot be read or written."""

    code = "fleet.records-unusable"
    exit_status = 73
    http_status = 507
    default_remedy = "Make room on the disk, and the state folder writable for edged."


class VoucherInvalid(EdgedError):
    """A voucher that lets nobody in: expired, cut off, of another fleet, or signed by whom may not."""

    code = "fleet.voucher-invalid"
    exit_status = 77
    http_status = 403
    default_remedy = "Make a new one with `edged fleet voucher`."


class VoucherUsed(EdgedError):
    """A voucher that came a second time, with another key."""

    code = "fleet.voucher-used"
    exit_status = 77
    http_status = 409
    default_remedy = "Find out who had the voucher; if it was not you, remove the node, and make a new voucher."


class IdentityInvalid(EdgedError):
    """A key or certificate that is not one of a node or key of a fleet."""

    code = "fleet.identity-invalid"
    exit_status = 78
    default_remedy = "Make key and certificate with `edged keys create` or `edged node init`."


class FleetFileMissing(EdgedError):
    code = "fleet.file-missing"
    exit_status = 66
    default_remedy = "Look whether the name is right; a fleet's folder is one that `edged fleet init` made."


class FleetFileInvalid(EdgedError):
    """A fleet.toml, or another file of the fleet folder, that says something it cannot say."""

    code = "fleet.file-invalid"
    exit_status = 78
    default_remedy = "Correct the file."


class FleetFileExists(EdgedError):
    """A file that would have been replaced, and may be the only copy of a key."""

    code = "fleet.file-exists"
    exit_status = 73
    default_remedy = "Choose another folder or name, or move what is there away."


class FleetFileError(EdgedError):
    code = "fleet.file-error"
    exit_status = 74
    default_remedy = "Check the permissions and the disk."


class DemoFailed(EdgedError):
    """A node of `edged fleet demo` ended before it was ready."""

    code = "fleet.demo-failed"
    exit_status = 70
    default_remedy = "See what its log says."


class RemovalUnconfirmed(EdgedError):
    """A roster that removes more nodes and keys than one, without saying how many."""

    code = "fleet.removal-unconfirmed"
    exit_status = 64
    default_remedy = "If that is meant, give the number with --yes-remove."


class UpgradeForbidden(EdgedError):
    """Whoever runs `edged upgrade` may not change which edged the machine runs."""

    code = "upgrade.forbidden"
    exit_status = 77
    default_remedy = "Run it as root: sudo edged upgrade ..."


class UpgradeImpossible(EdgedError):
    """There is nothing to upgrade: no such unit, a unit that runs something else, no version before this one."""

    code = "upgrade.impossible"
    exit_status = 69
    default_remedy = "See `edged doctor`."


class UpgradeNeedless(EdgedError):
    code = "upgrade.needless"
    exit_status = 64
    default_remedy = "Nothing is to be done."


class UpgradeBusy(EdgedError):
    code = "upgrade.busy"
    exit_status = 75
    default_remedy = "Wait until the other one has ended, then run it again."


class UpgradeSourceUnavailable(EdgedError):
    """The new version cannot be read or fetched."""

    code = "upgrade.unavailable"
    exit_status = 69
    default_remedy = "Correct the path or address, and see that it can be reached from here."


class UpgradeDigestMismatch(EdgedError):
    """Other bytes than were asked for. They are not kept."""

    code = "upgrade.digest-mismatch"
    exit_status = 65
    default_remedy = "Compare with the sha256 that was published with the version, and find out who changed the file."


class UpgradeUnusable(EdgedError):
    """A new version that does not run here, or does not take this machine's node.toml. The old one goes on."""

    code = "upgrade.unusable"
    exit_status = 65
    default_remedy = "Correct what it says; the node goes on as it was."


class UpgradeFolderError(EdgedError):
    """Where versions are kept cannot be read or written, or others than its owner may change it."""

    code = "upgrade.folder"
    exit_status = 73
    default_remedy = "Check the folder's owner, mode and disk."


class UpgradeUndone(EdgedError):
    """The new version did not serve as the old one had. The old one does again."""

    code = "upgrade.undone"
    exit_status = 70
    default_remedy = "See `journalctl -u edged` of that time; the node serves as before."


class UpgradeStuck(EdgedError):
    """The node does not serve as before, neither with the new version nor with the old one."""

    code = "upgrade.stuck"
    exit_status = 71
    default_remedy = "See `edged doctor` and `journalctl -u edged`; `edged upgrade` can be run again."


class BenchToolMissing(EdgedError):
    """A client of a benchmark that has no httping or no mtr."""

    code = "bench.tool-missing"
    exit_status = 69
    default_remedy = "Install httping and mtr there."


class BenchFailed(EdgedError):
    """A measurement that could not be made: a tool or the event's command did not start or end, or said nonsense."""

    code = "bench.failed"
    exit_status = 70
    default_remedy = "Run the command by hand, and see what it says."


def _subclasses(cls: type[EdgedError]) -> list[type[EdgedError]]:
    return [cls, *(leaf for child in cls.__subclasses__() for leaf in _subclasses(child))]


def remedy_of(code: str) -> str:
    """What is usually done about an error of this code; "" for one that is not known."""
    return next((cls.default_remedy for cls in _subclasses(EdgedError) if cls.code == code), "")


def from_json(value: dict[str, str]) -> EdgedError:
    """The error that `as_json` described, as a child process reports one to its parent.

    Raises:
        ValueError: not the shape of an error.
    """
    try:
        code, message, remedy = value["code"], value["message"], value["remedy"]
    except (KeyError, TypeError) as error:
        raise ValueError("not an error of ours") from error
    for cls in _subclasses(EdgedError):
        if cls.code == code:
            return cls(message, remedy=remedy)
    raise ValueError(f"unknown error code {code!r}")
