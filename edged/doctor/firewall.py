"""Check `firewall`: whether the table `inet edged` is loaded, whole, and comes back at boot."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

import trio

from edged.doctor.command import Said, ask
from edged.doctor.finding import Finding
from edged.doctor.subject import FIREWALL_UNIT, Subject
from edged.limits import DOCTOR_FILE_BYTES_MAX
from provisioning import paths

_LOAD = f"Run `systemctl restart {FIREWALL_UNIT}`, and see `systemctl status {FIREWALL_UNIT}`."
_chains = re.compile(r"^\s*chain\s+(\w+)\s*\{", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class FirewallFacts:
    """Attributes:
    said: by nft(8).
    chains: of the file of provisioning; empty where it cannot be read.
    at_boot: state of the unit file that loads it; "" where it is not known.
    """

    said: Said
    chains: tuple[str, ...]
    at_boot: str = ""


async def look(subject: Subject) -> Iterator[Finding]:
    if not subject.is_provisioned:
        return iter(())
    said = await ask("nft", "-j", "list", "table", "inet", "edged")
    chains = await trio.to_thread.run_sync(chains_of, subject, abandon_on_cancel=True)
    at_boot = (subject.units or {}).get(FIREWALL_UNIT, {}).get("UnitFileState", "")
    return judge(FirewallFacts(said, chains, at_boot))


def judge(facts: FirewallFacts) -> Iterator[Finding]:
    said = facts.said
    if said.is_missing:
        text = "there is no nft on this machine: the provider's metadata and the admin port are open to all"
        yield Finding("firewall", "problem", text, f"Install the package nftables. {_LOAD}")
    elif "not permitted" in said.why:
        yield Finding("firewall", "unknown", "only root sees the firewall", "Run `edged doctor` as root.")
    elif "No such file or directory" in said.why:
        text = "the firewall's table `inet edged` is not loaded: the provider's metadata is open to every process"
        yield Finding("firewall", "problem", text, _LOAD)
    elif said.why:
        yield Finding("firewall", "unknown", f"the firewall: {said.why}")
    elif (loaded := parse_chains(said.output)) is None:
        yield Finding("firewall", "unknown", "nft did not answer with the table `inet edged`")
    elif missing := [chain for chain in facts.chains if not loaded.get(chain)]:
        text = f"the table `inet edged` has lost rules of {', '.join(missing)}"
        yield Finding("firewall", "problem", text, f"Find out who changes it. {_LOAD}")
    else:
        yield Finding("firewall", "ok", f"the table `inet edged` is loaded, {sum(loaded.values())} rules")
    if facts.at_boot not in ("", "enabled", "static"):
        text = f"{FIREWALL_UNIT} is not started at boot"
        yield Finding("firewall", "warning", text, f"Run `systemctl enable {FIREWALL_UNIT}`.")


def parse_chains(output: str) -> dict[str, int] | None:
    """libnftables-json(5) -> name of each chain, and how many rules it has. None: it is no table."""
    try:
        shown = json.loads(output)["nftables"]
        chains = {each["chain"]["name"]: 0 for each in shown if "chain" in each}
        for each in shown:
            if "rule" in each:
                chains[each["rule"]["chain"]] += 1
    except (ValueError, RecursionError, KeyError, TypeError):
        return None
    return chains


def chains_of(subject: Subject) -> tuple[str, ...]:
    """The chains that the file has, as far as it is to be read."""
    try:
        with subject.path(paths.FIREWALL).open(encoding="utf-8", errors="replace") as file:
            return tuple(_chains.findall(file.read(DOCTOR_FILE_BYTES_MAX)))
    except OSError:
        return ()
