"""What the routers of an `Internet` are configured with: text for BIRD 2, text for FRR. Pure.

Both let in exactly the service's prefixes, from anybody, and hand on nothing else: all other addresses are the lab's
own routes. From nodes they take few prefixes and hand them none.
"""

from __future__ import annotations

from ipaddress import IPv4Address

from bgp.limits import PREFIX_COUNT_MAX
from bgp.prefix import Family, family
from tests.lab.internet import Internet, Neighbor, Router

CORE_HOLD_S = 90
"""Between routers, whose links are not what is tried here."""
_FAMILIES: tuple[Family, ...] = ("ipv4", "ipv6")


def session_name(neighbor: Neighbor, of: Family) -> str:
    """BIRD's name of a session. With nodes there is one for both families, over IPv4; routers have one for each."""
    return neighbor.name.replace("-", "_") + ("6" if of == "ipv6" and not neighbor.node else "")


def render(internet: Internet, place: str) -> str:
    """The configuration of one router, of whichever kind it is."""
    router = internet.routers[place]
    return (_bird if router.kind == "bird" else _frr)(internet, router)


def render_bfdd(internet: Internet) -> str:
    """What FRR's bfdd is told, whose lines bgpd does not know. "" without BFD."""
    if internet.bfd is None:
        return ""
    ms, times = internet.bfd.interval_ms, internet.bfd.multiplier
    return (
        f"bfd\n profile node\n  receive-interval {ms}\n  transmit-interval {ms}\n  detect-multiplier {times}\n"
        " exit\nexit\n"
    )


def _bird(internet: Internet, router: Router) -> str:
    merge = "merge paths on; " if internet.merge_paths else ""
    text = (
        f"log stderr all;\nrouter id {_router_id(internet, router)};\n"
        "timeformat protocol iso long us;\ntimeformat log iso long us;\ndebug protocols { states };\n"
        # BIRD 2.0.12 looks at its links, and at what a lost session left behind, at least this often.
        "protocol device { scan time 1; }\n"
        f"protocol kernel {{ {merge}ipv4 {{ export all; }}; }}\n"
        f"protocol kernel {{ {merge}ipv6 {{ export all; }}; }}\n"
    )
    if internet.bfd is not None:
        ms, times = internet.bfd.interval_ms, internet.bfd.multiplier
        text += (
            'protocol bfd { interface "*" { '
            f"min rx interval {ms} ms; min tx interval {ms} ms; multiplier {times}; }}; }}\n"
        )
    last_resort = "if (65535, 0) ~ bgp_community then bgp_local_pref = 0; " if internet.graceful_shutdown else ""
    for of in _FAMILIES:
        ours = ", ".join(_of(internet, of))
        text += f"filter service_{of} {{ if net !~ [ {ours} ] then reject; {last_resort}accept; }}\n"
    for neighbor in internet.neighbors(router.place):
        text += _bird_node(internet, router, neighbor) if neighbor.node else _bird_router(router, neighbor)
    return text


def _bird_node(internet: Internet, router: Router, neighbor: Neighbor) -> str:
    options = [
        f"local {neighbor.end.address} as {router.asn}",
        f"neighbor {neighbor.end.other} as {neighbor.asn}",
        *([f'password "{router.password}"'] if router.password else []),
        *(["ttl security on"] if router.ttl_security else []),
        *(["bfd on"] if internet.bfd is not None else []),
        f"hold time {internet.hold_s}",
        "check link on",
        "connect delay time 1",
        # The usual 60 s would make every second trial wait.
        "error wait time 1, 10",
        "graceful restart off",
    ]
    channels = (
        f"  {of} {{ import filter service_{of}; import limit {PREFIX_COUNT_MAX} action disable; export none; }};\n"
        for of in _FAMILIES
    )
    lines = "".join(f"  {option};\n" for option in options)
    return f"protocol bgp {session_name(neighbor, 'ipv4')} {{\n{lines}{''.join(channels)}}}\n"


def _bird_router(router: Router, neighbor: Neighbor) -> str:
    text = ""
    for of in _FAMILIES:
        here, there = _addresses(neighbor, of)
        text += (
            f"protocol bgp {session_name(neighbor, of)} {{\n"
            f"  local {here} as {router.asn};\n  neighbor {there} as {neighbor.asn};\n"
            f"  hold time {CORE_HOLD_S};\n  connect delay time 1;\n  error wait time 1, 10;\n"
            f"  check link on;\n  graceful restart off;\n"
            f"  {of} {{ import filter service_{of}; export filter service_{of}; next hop self; }};\n}}\n"
        )
    return text


def _frr(internet: Internet, router: Router) -> str:
    neighbors = internet.neighbors(router.place)
    # First what sessions refer to: a route-map that is only seen later counts after `bgp route-map delay-timer`, five
    # seconds in which all is refused.
    text = f"hostname {router.place}\nlog stdout\n{_frr_filters(internet)}router bgp {router.asn}\n"
    text += (
        f" bgp router-id {_router_id(internet, router)}\n no bgp default ipv4-unicast\n bgp graceful-restart-disable\n"
    )
    sessions: dict[Family, list[str]] = {"ipv4": [], "ipv6": []}
    for neighbor in neighbors:
        for of in _FAMILIES:
            here, there = _addresses(neighbor, of)
            lets = f"{there if not neighbor.node else neighbor.end.other}"
            sessions[of].append(_frr_channel(lets, neighbor, of))
            if neighbor.node and of == "ipv6":
                continue
            text += f" neighbor {there} remote-as {neighbor.asn}\n neighbor {there} update-source {here}\n"
            text += f" neighbor {there} timers connect 1\n"
            hold_s = internet.hold_s if neighbor.node else CORE_HOLD_S
            text += f" neighbor {there} timers {max(1, hold_s // 3)} {hold_s}\n"
            if neighbor.node:
                text += _frr_node(internet, router, str(there))
    for of in _FAMILIES:
        paths = 8 if internet.merge_paths else 1
        text += f" address-family {of} unicast\n{''.join(sessions[of])}  maximum-paths {paths}\n exit-address-family\n"
    text += "exit\n"
    return text


def _frr_filters(internet: Internet) -> str:
    text = ""
    for of, word in (("ipv4", "ip"), ("ipv6", "ipv6")):
        for number, prefix in enumerate(_of(internet, of), start=1):
            text += f"{word} prefix-list service-{of} seq {5 * number} permit {prefix}\n"
    return text + (
        "bgp community-list standard graceful-shutdown seq 5 permit graceful-shutdown\n"
        "route-map in permit 10\n match community graceful-shutdown\n set local-preference 0\n"
        " set ipv6 next-hop prefer-global\nexit\n"
        "route-map in permit 20\n set ipv6 next-hop prefer-global\nexit\n"
        "route-map out permit 10\nexit\nroute-map nothing deny 10\nexit\n"
    )


def _frr_node(internet: Internet, router: Router, there: str) -> str:
    text = f" neighbor {there} password {router.password}\n" if router.password else ""
    if router.ttl_security:
        text += f" neighbor {there} ttl-security hops 1\n"
    if internet.bfd is not None:
        text += f" neighbor {there} bfd\n neighbor {there} bfd profile node\n"
    return text


def _frr_channel(there: str, neighbor: Neighbor, of: Family) -> str:
    if neighbor.node:
        more = f"  neighbor {there} route-map nothing out\n  neighbor {there} maximum-prefix {PREFIX_COUNT_MAX}\n"
    else:
        more = f"  neighbor {there} route-map out out\n  neighbor {there} prefix-list service-{of} out\n"
    return (
        f"  neighbor {there} activate\n  neighbor {there} prefix-list service-{of} in\n"
        f"  neighbor {there} route-map in in\n{more}"
    )


def _addresses(neighbor: Neighbor, of: Family) -> tuple[object, object]:
    """Of a session: here, there."""
    end = neighbor.end
    return (end.address, end.other) if of == "ipv4" else (end.address6, end.other6)


def _of(internet: Internet, of: str) -> list[str]:
    return [str(prefix) for prefix in internet.prefixes if family(prefix) == of]


def _router_id(internet: Internet, router: Router) -> IPv4Address:
    return internet.topology.addresses[router.place]
