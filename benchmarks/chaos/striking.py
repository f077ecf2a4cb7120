"""A plan, carried out: strikes and what mends them in the order of time, and the fleet's coming together at the end."""

from __future__ import annotations

import heapq
import itertools
import json
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

from benchmarks.chaos.keeper import Keeper
from benchmarks.chaos.moments import MOMENTS, NOT_COME, Says, has_come
from benchmarks.chaos.plan import Action, Strike
from benchmarks.chaos.publishing import Pushes
from benchmarks.chaos.stage import APPS, LIAR, Stage
from tests.fleets import Event

PUSH_EVERY_S = 6.0
_TURN_S = 0.1
_PUSHES_MAX = 3
_RELEASES_AWAY = 3
_AWAY_S_MAX = 120.0
_MOMENT_S = 40.0
_SWAPPED_S = 0.06
"""From compiling an app as small as these to serving it."""
_EXPIRES_S, _YEAR_S = 25, 365 * 86_400
_AHEAD_S, _BACK_S = 400 * 86_400, -400 * 86_400
"""Beyond the end, and before the begin, of every certificate here."""
SETTLE_S = 240.0
_STUCK_S = 20.0
"""After which a publisher does what an alarm or the status says, and pushes again."""
_STUCK = {"failed", "reverted"}
_CONFLICT, _HELD = "fleet.record-conflict", "rollout.held"
_KILLED_AT: dict[Action, str] = {
    "kill while a record is written": "a record is written",
    "kill while chunks arrive": "chunks arrive",
    "kill while a rollout is saved": "a rollout is saved",
    "kill while an app is swapped": "an app is compiled",
}
_HOSTILE: dict[Action, str] = {
    "an old record": "old",
    "an equivocating record": "equivocating",
    "a peer that sends garbage": "garbage",
    "a peer that floods": "floods",
    "a peer that stalls": "stalls",
}
_CLOCKS: dict[Action, int] = {"the clock jumps ahead": _AHEAD_S, "the clock jumps back": _BACK_S}


class Striking:
    """One run. `run`, then `settle`.

    Args:
        said: told each thing that is done.

    Attributes:
        problems: what must not be, as it was seen.
        done: strikes by action; and moments for a kill that did not come.
        struck: when, until when, at which node and what, in seconds since the begin.
        began, mended, converged: on the monotonic clock; infinite until then.
        pushed_anew: apps that were pushed once more at the end, and why: nothing else would have mended them.
    """

    def __init__(self, stage: Stage, said: Callable[[str], None]) -> None:
        self.stage = stage
        self.said = said
        self.problems: list[str] = []
        self.done: Counter[str] = Counter()
        self.struck: list[Strike] = []
        self.keeper = Keeper(stage.nodes)
        self.pushes = Pushes()
        self.pushed_anew: dict[str, str] = {}
        self.began = time.monotonic()
        self.mended = self.converged = float("inf")
        self._other = stage.publisher("another")
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._threads: list[threading.Thread] = []
        self._attacks: dict[Strike, subprocess.Popen[bytes]] = {}
        self._renewing = threading.Lock()

    def run(self, strikes: Sequence[Strike], seconds: float) -> None:
        """All of it, until the last is mended."""
        self.began = time.monotonic()
        for strike in strikes:
            self._at(strike.at_s, partial(self._strike, strike))
        for number in range(int(seconds / PUSH_EVERY_S)):
            self._at(number * PUSH_EVERY_S, partial(self._push, APPS[number % len(APPS)]))
        while self._due:
            at_s, _, act = heapq.heappop(self._due)
            while (left := at_s - self._now()) > 0:
                time.sleep(min(left, _TURN_S))
                self._poll()
            act()
        while any(thread.is_alive() for thread in self._threads):  # kills at moments that have yet to come
            time.sleep(_TURN_S)
            self._poll()

    # --- strikes ---

    def _strike(self, strike: Strike) -> None:
        if not self.keeper.is_running(strike.node) or strike.node in self.keeper.away:
            return  # there is nothing to strike at
        self.said(f"{self._now():7.1f} s  {strike.node}  {strike.action}")
        self.done[strike.action] += 1
        lasts_s = strike.until_s - strike.at_s
        self.struck.append(Strike(self._now(), self._now() + lasts_s, strike.node, strike.action, strike.pick))
        match strike.action:
            case "kill the supervisor" | "kill everything":
                self.keeper.kill(strike.node, strike.action, everything=strike.action == "kill everything")
            case "kill a worker":
                self.keeper.kill_worker(strike.node, strike.action, strike.pick)
            case "fill the disk":
                self.stage.fill_disk(strike.node)
            case "cut the link":
                self.stage.cut(strike.node)
            case "slow the link":
                self.stage.slow(strike.node)
            case "away for three releases":
                self.keeper.may_fail(strike.node, strike.action)
                self.keeper.away.add(strike.node)
                self.stage.nodes[strike.node].kill()
                self._at(strike.until_s, partial(self._back, strike, len(self.pushes.published)))
                return
            case "two publishers at once":
                for publisher in (self.stage.fleet, self._other):
                    body, folder = self.stage.app(APPS[1])
                    self.pushes.begin(publisher, APPS[1], body, folder)
            case "the certificate expires":
                self._in_thread(partial(self._renew, strike, _EXPIRES_S))
            case action if action in _CLOCKS:
                self.stage.clocks.set(strike.node, _CLOCKS[action])
            case action if action in _KILLED_AT:
                self._in_thread(partial(self._kill_at, strike, _KILLED_AT[action]))
                self._push(APPS[0])  # so that the moment comes
            case action:
                nodes = [strike.node] if action != "an equivocating record" else [strike.node, self._next(strike.node)]
                app = APPS[0] if action in ("an old record", "an equivocating record") else ""
                seed = int(strike.pick * 1e9)
                self._attacks[strike] = self.stage.attack(_HOSTILE[action], nodes, app=app, seed=seed)
        self._at(strike.until_s, partial(self._mend, strike))

    def _mend(self, strike: Strike) -> None:
        match strike.action:
            case "fill the disk":
                self.stage.free_disk(strike.node)
            case "cut the link" | "slow the link":
                self.stage.mend(strike.node)
            case "the certificate expires":
                self._in_thread(partial(self._renew, strike, _YEAR_S))
            case action if action in _CLOCKS:
                self.stage.clocks.set(strike.node, 0)
            case "a peer that sends garbage" | "a peer that floods" | "a peer that stalls":
                self.stage.lab.end(self._attacks.pop(strike))

    def _kill_at(self, strike: Strike, name: str) -> None:
        """In a thread: the supervisor, at a moment, if it comes."""
        node, moment = self.stage.nodes[strike.node], MOMENTS[name]
        if has_come(node, moment, _MOMENT_S):
            if isinstance(moment, Says):
                time.sleep(strike.pick * _SWAPPED_S)
            self.keeper.kill(strike.node, strike.action, everything=False)
        else:
            self.done[strike.action] -= 1
            self.done[NOT_COME.format(strike.action)] += 1

    def _renew(self, strike: Strike, seconds: int) -> None:
        """In a thread: another certificate for a node, which is started with it."""
        with self._renewing:
            self.keeper.away.add(strike.node)
            self.keeper.may_fail(strike.node, strike.action)
            mark = self.stage.nodes[strike.node].mark()
            self.stage.renew(strike.node, seconds)
            self.keeper.started(strike.node, mark)
            self.keeper.away.discard(strike.node)

    def _back(self, strike: Strike, published: int) -> None:
        """Once three releases were published without it."""
        waited_s = self._now() - strike.until_s
        if len(self.pushes.published) - published < _RELEASES_AWAY and waited_s < _AWAY_S_MAX:
            self._push(APPS[0])
            self._at(self._now() + 2.0, partial(self._back, strike, published))
            return
        self.said(f"{self._now():7.1f} s  {strike.node}  is back")
        self.keeper.start_again(strike.node)

    def _push(self, app: str) -> None:
        if self.pushes.under_way < _PUSHES_MAX:
            body, folder = self.stage.app(app)
            self.pushes.begin(self.stage.fleet, app, body, folder)

    def _next(self, node: str) -> str:
        names = list(self.stage.nodes)
        return names[(names.index(node) + 1) % len(names)]

    # --- the end ---

    def settle(self) -> float | None:
        """Everything is mended: how long until all nodes have and run the same, in seconds; None if they never do."""
        self.stage.sign()
        while self.pushes.under_way:
            time.sleep(_TURN_S)
            self._poll()
        for name in self.stage.nodes:
            while not self.keeper.is_running(name):
                time.sleep(_TURN_S)
                self._poll()
        self.keeper.end()
        self.mended = time.monotonic()
        self.said(f"{self._now():7.1f} s  all is mended")
        status: Event = {}
        while (waited_s := time.monotonic() - self.mended) < SETTLE_S:
            status = self.stage.fleet.run("status", "--json", check=False).last
            if differences(status) == []:
                self.converged = time.monotonic()
                self.said(f"{self._now():7.1f} s  all nodes have and run the same")
                return round(self.converged - self.mended, 1)
            if waited_s > _STUCK_S and not self.pushed_anew:
                self._push_anew(status)
            self._poll()
        self.problem(f"{SETTLE_S:g} s after all was mended: {'; '.join(differences(status))}")
        return None

    def _push_anew(self, status: Event) -> None:
        """What only a publisher can mend."""
        self.pushed_anew = dict(stuck(status))
        for name, node in self.stage.nodes.items():
            for app in APPS:
                if is_in_conflict(node.events, app):
                    self.pushed_anew[app] = f"at {name} two records have one number"
        for app, why in self.pushed_anew.items():
            self.said(f"{self._now():7.1f} s  {app} is pushed anew: {why}")
            body, folder = self.stage.app(app)
            self.pushes.begin(self.stage.fleet, app, body, folder)

    def said_by_attackers(self) -> list[Mapping[str, str]]:
        """What nodes answered to records that nobody may give them."""
        found: list[Mapping[str, str]] = []
        for what in ("old", "equivocating"):
            log = self.stage.attack_log(what)
            if log.exists():
                found += [
                    {"what": what, **json.loads(line)} for line in log.read_text().splitlines() if line[:1] == "{"
                ]
        return found

    def problem(self, text: str) -> None:
        self.problems.append(text)
        self.said(f"{self._now():7.1f} s  PROBLEM: {text}")

    # --- helpers ---

    def _poll(self) -> None:
        self.keeper.poll()
        self.pushes.poll()

    def _in_thread(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work)
        self._threads.append(thread)
        thread.start()

    def _at(self, at_s: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._due, (at_s, next(self._order), act))

    def _now(self) -> float:
        return time.monotonic() - self.began


def is_in_conflict(events: Sequence[Event], app: str) -> bool:
    """Whether a node's last word of an app's record is the alarm that there are two of one number."""
    alarm = (_CONFLICT, f"deployment {app}")
    said = [each for each in events if (each.get("code"), each.get("subject")) == alarm]
    return bool(said) and said[-1]["event"] == "alarm.raised"


def stuck(status: Event) -> Iterator[tuple[str, str]]:
    """Apps that a node could not serve, or holds back for another, and what it says: by themselves they stay so."""
    for app in status.get("apps", []):
        for node in app["nodes"]:
            if node["stage"] in _STUCK or node["error_code"] == _HELD:
                yield app["name"], f"at {node['node']} it is {node['stage']}: {node['error_message']}"


def differences(status: Event) -> list[str]:
    """What keeps a fleet from being at one, by its status; nobody is at the liar's address."""
    found = []
    for node in status.get("nodes", []):
        if node["name"] != LIAR and not (node["state"] == "up" and node["in_sync"]):
            found.append(f"{node['name']} is {node['state']}{'' if node['in_sync'] else ', and has other records'}")
    for app in status.get("apps", []):
        for node in app["nodes"]:
            at = (node["stage"], node["running"])
            if node["node"] != LIAR and at != ("live", app["sequence"]):
                found.append(f"{app['name']} at {node['node']} is {node['stage']} at {node['running']}")
    return found if "apps" in status else ["no node answers"]
