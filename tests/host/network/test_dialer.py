"""Names to addresses, addresses to connections, and every way in which either fails."""

from __future__ import annotations

import errno
import socket
from ipaddress import ip_address

import pytest
import trio

from edged.host.network.dialer import (
    AddressProhibited,
    ConnectionRefused,
    Dialer,
    DialFailed,
    DialTimeout,
    NameTimeout,
    NameUnknown,
    SystemResolver,
    Unreachable,
    connect,
)
from edged.host.network.gate import LOOPBACK, AddressGate
from edged.limits import DIAL_ADDRESS_COUNT_MAX, DIAL_TIMEOUT_S, PORTS_REFUSED, RESOLVE_THREAD_COUNT_MAX

OPEN = AddressGate(opened=LOOPBACK)


class Dns:
    """A resolver that answers with the next of some answers each time, as a rebinding one does."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, int]] = []

    async def __call__(self, host, port):
        self.asked.append((host, port))
        return [ip_address(address) for address in self.answers.pop(0)]


class Net:
    """Addresses that answer in some way: an errno, or None for one that never does."""

    def __init__(self, **answers: int | None) -> None:
        self.answers = {ip_address(address.replace("_", ".").strip(".")): how for address, how in answers.items()}
        self.dialled: list[str] = []
        self.at: list[float] = []

    async def __call__(self, address, port):
        self.dialled.append(str(address))
        self.at.append(trio.current_time())
        how = self.answers.get(address, 0)
        if how is None:
            await trio.sleep_forever()
        if how:
            raise OSError(how, "as the test says")
        return f"stream to {address}:{port}"


# --- names and addresses ---


async def test_a_name_is_resolved_once_and_its_address_is_dialled() -> None:
    dns, net = Dns(["1.1.1.1"], ["127.0.0.1"]), Net()
    assert await Dialer(resolve=dns, connect=net).dial("example.com", 443) == "stream to 1.1.1.1:443"
    assert dns.asked == [("example.com", 443)]
    assert net.dialled == ["1.1.1.1"]


async def test_a_name_that_changes_its_mind_is_looked_at_each_time() -> None:
    dns, net = Dns(["1.1.1.1"], ["169.254.169.254"]), Net()
    dialer = Dialer(resolve=dns, connect=net)
    await dialer.dial("rebind.example", 80)
    with pytest.raises(AddressProhibited):
        await dialer.dial("rebind.example", 80)
    assert net.dialled == ["1.1.1.1"]


async def test_every_address_of_a_name_is_looked_at() -> None:
    dns, net = Dns(["10.0.0.1", "::ffff:127.0.0.1", "1.1.1.1", "fe80::1"]), Net(_1_1_1_1=errno.ECONNREFUSED)
    with pytest.raises(ConnectionRefused):
        await Dialer(resolve=dns, connect=net).dial("mixed.example", 80)
    assert net.dialled == ["1.1.1.1"]


async def test_a_client_that_dials_itself_gets_only_those() -> None:
    dialer = Dialer(resolve=Dns(["10.0.0.1", "1.1.1.1", "2606:4700::1111"]))
    assert list(map(str, await dialer.addresses("mixed.example", 80))) == ["1.1.1.1", "2606:4700::1111"]


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1.", "::1", "[::1]", "[::ffff:127.0.0.1]", "169.254.169.254"])
async def test_an_address_is_looked_at_like_a_names(host) -> None:
    dns, net = Dns(), Net()
    with pytest.raises(AddressProhibited):
        await Dialer(resolve=dns, connect=net).dial(host, 80)
    assert (dns.asked, net.dialled) == ([], [])


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "[::1]"])
async def test_and_dialled_where_the_operator_opened_it(host) -> None:
    net = Net()
    await Dialer(OPEN, Dns(), net).dial(host, 80)
    assert net.dialled == [host.strip("[]")]


@pytest.mark.parametrize("host", ["0x7f.1", "127.1", "2130706433", "0177.0.0.1"])
async def test_other_spellings_of_an_address_are_names_to_the_resolver(host) -> None:
    """The system's resolver takes them for addresses without asking anyone."""
    with pytest.raises(AddressProhibited):
        await Dialer(connect=Net()).dial(host, 80)


@pytest.mark.parametrize("count", [DIAL_ADDRESS_COUNT_MAX, DIAL_ADDRESS_COUNT_MAX + 1])
async def test_only_so_many_addresses_are_tried(count) -> None:
    addresses = [f"1.1.1.{n}" for n in range(1, count + 1)]
    net = Net(**{f"_{address.replace('.', '_')}": errno.EHOSTUNREACH for address in addresses})
    with pytest.raises(Unreachable):
        await Dialer(resolve=Dns(addresses), connect=net).dial("many.example", 80)
    assert net.dialled == addresses[:DIAL_ADDRESS_COUNT_MAX]


@pytest.mark.parametrize("port", [*sorted(PORTS_REFUSED), 0, 65536, -1])
async def test_some_ports_are_not_for_guests(port) -> None:
    dns, net = Dns(["1.1.1.1"]), Net()
    with pytest.raises(AddressProhibited):
        await Dialer(resolve=dns, connect=net).dial("example.com", port)
    assert (dns.asked, net.dialled) == ([], [])


@pytest.mark.parametrize("port", [1, 23, 80, 65535])
async def test_the_others_are(port) -> None:
    assert await Dialer(resolve=Dns(["1.1.1.1"]), connect=Net()).dial("example.com", port)


# --- names that do not resolve ---


@pytest.mark.parametrize(
    "error",
    [
        socket.gaierror(socket.EAI_NONAME, "no such name"),
        socket.gaierror(socket.EAI_AGAIN, "server failure"),
        UnicodeError("label too long"),
        OSError(errno.EMFILE, "too many files"),
    ],
)
async def test_a_name_that_does_not_resolve(error) -> None:
    async def resolve(host, port):
        raise error

    with pytest.raises(NameUnknown, match=r"^nowhere\.example is not known$"):
        await Dialer(resolve=resolve).dial("nowhere.example", 80)


async def test_a_name_without_addresses_is_not_reached() -> None:
    with pytest.raises(AddressProhibited):
        await Dialer(resolve=Dns([])).dial("empty.example", 80)


async def test_a_resolver_that_never_answers(autojump_clock) -> None:
    async def resolve(host, port):
        await trio.sleep_forever()

    started = trio.current_time()
    with pytest.raises(NameTimeout):
        await Dialer(resolve=resolve).dial("slow.example", 80)
    assert trio.current_time() == pytest.approx(started + DIAL_TIMEOUT_S)


@pytest.mark.parametrize("host", ["a..b", "x" * 64 + ".example", "nul\0.example"])
async def test_the_systems_resolver_is_not_asked_for_what_is_no_name(host) -> None:
    with pytest.raises(NameUnknown):
        await Dialer().dial(host, 80)


async def test_the_systems_resolver_knows_this_machine() -> None:
    assert {str(address) for address in await SystemResolver()("localhost", 80)} <= {"127.0.0.1", "::1"}
    with pytest.raises(AddressProhibited):
        await Dialer().dial("localhost", 80)


async def test_lookups_that_hang_keep_to_the_apps_own_threads(autojump_clock) -> None:
    resolver = SystemResolver()
    limiter = resolver._threads
    assert limiter.total_tokens == RESOLVE_THREAD_COUNT_MAX
    owners = [object() for _ in range(RESOLVE_THREAD_COUNT_MAX)]
    for owner in owners:
        limiter.acquire_on_behalf_of_nowait(owner)
    with pytest.raises(NameTimeout):
        await Dialer(OPEN, resolver, Net()).dial("localhost", 80, 1)
    limiter.release_on_behalf_of(owners[0])
    assert await SystemResolver()("localhost", 80)
    assert limiter.borrowed_tokens == RESOLVE_THREAD_COUNT_MAX - 1


# --- connections that are not made ---


@pytest.mark.parametrize(
    ("number", "failure"),
    [
        (errno.ECONNREFUSED, ConnectionRefused),
        (errno.ETIMEDOUT, DialTimeout),
        (errno.EHOSTUNREACH, Unreachable),
        (errno.ENETUNREACH, Unreachable),
        (errno.EACCES, Unreachable),
        (errno.EMFILE, Unreachable),
    ],
)
async def test_what_the_kernel_says_is_told_without_what_it_was(number, failure) -> None:
    with pytest.raises(failure) as raised:
        await Dialer(resolve=Dns(["1.2.3.4"]), connect=Net(_1_2_3_4=number)).dial("example.com", 80)
    assert type(raised.value) is failure
    assert "1.2.3.4" not in str(raised.value)
    assert isinstance(raised.value, DialFailed)


async def test_the_next_address_is_tried_and_the_first_failure_told() -> None:
    net = Net(_1_1_1_1=errno.ECONNREFUSED, _1_1_1_2=errno.EHOSTUNREACH)
    dialer = Dialer(resolve=Dns(["1.1.1.1", "1.1.1.3"], ["1.1.1.1", "1.1.1.2"]), connect=net)
    assert await dialer.dial("example.com", 80) == "stream to 1.1.1.3:80"
    with pytest.raises(ConnectionRefused):
        await dialer.dial("example.com", 80)


async def test_addresses_that_never_answer_share_the_time(autojump_clock) -> None:
    net = Net(_1_1_1_1=None, _1_1_1_2=None)
    started = trio.current_time()
    dns = Dns(["1.1.1.1", "1.1.1.2"], ["1.1.1.1", "1.1.1.3"])
    dialer = Dialer(resolve=dns, connect=net)
    with pytest.raises(DialTimeout):
        await dialer.dial("example.com", 80, 10)
    assert [at - started for at in net.at] == pytest.approx([0, 5])
    assert trio.current_time() - started == pytest.approx(10)
    assert await dialer.dial("example.com", 80, 10) == "stream to 1.1.1.3:80"


async def test_the_name_takes_of_the_same_time(autojump_clock) -> None:
    async def resolve(host, port):
        await trio.sleep(8)
        return [ip_address("1.1.1.1")]

    started = trio.current_time()
    with pytest.raises(DialTimeout):
        await Dialer(resolve=resolve, connect=Net(_1_1_1_1=None)).dial("example.com", 80, 10)
    assert trio.current_time() - started == pytest.approx(10)


# --- real sockets ---


async def test_a_connection_over_loopback() -> None:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    async with listener, await Dialer(OPEN).dial("127.0.0.1", port) as stream, await listener.accept() as accepted:
        await stream.send_all(b"x")
        assert await accepted.receive_some() == b"x"


async def test_a_port_that_nobody_listens_on() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(ConnectionRefused):
            await Dialer(OPEN).dial("127.0.0.1", unused.getsockname()[1])


async def test_a_socket_whose_connection_is_given_up_is_closed() -> None:
    """A ResourceWarning, which is an error in tests, would tell."""
    with trio.CancelScope() as scope:
        scope.cancel()
        await connect(ip_address("127.0.0.1"), 9)
    assert scope.cancelled_caught
