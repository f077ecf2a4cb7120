"""An upgrade from its order to its end, with real files, and a unit, a node and versions that a test plays.

Whatever kills it, it can be run again: see `test_killed_anywhere`.
"""

from __future__ import annotations

import errno
import hashlib
import os
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from trio.testing import MockClock

from edged.errors import (
    EdgedError,
    UpgradeBusy,
    UpgradeImpossible,
    UpgradeNeedless,
    UpgradeSourceUnavailable,
    UpgradeStuck,
    UpgradeUndone,
    UpgradeUnusable,
)
from edged.limits import UPGRADE_LOOK_INTERVAL_S, UPGRADE_RESTART_COUNT_MAX, UPGRADE_WATCH_S
from edged.upgrade.event import Stepped, Upgraded
from edged.upgrade.record import Record, RecordFile
from edged.upgrade.serving import Serving, serving
from edged.upgrade.unit import UnitState
from edged.upgrade.upgrade import Machine, Order, upgrade
from edged.upgrade.versions import Versions
from registry.disk import Disk
from tests.registry.faulty_disk import FaultyDisk
from tests.upgrade.views import PREFIX, view

GOOD = "version {0}\n"
NO_EDGED = "hello {0}\n"
NO_CONFIG = "version {0}, which would not start\n"

FULL = serving(view(apps={"shop": ("live", 7)}, sessions={"ams": "established"}, prefixes={PREFIX: ("up", "plain")}))
ALONE = replace(FULL, sessions=frozenset(), prefixes={})


class Killed(BaseException):
    """kill -9: nothing catches it and carries on."""


@dataclass
class Played:
    """A unit and the node in it.

    Attributes:
        serves: what the node says that it serves, by the sha256 of the version that runs.
        does_not_start: versions with which `systemctl restart` fails.
        crashes: versions with which it starts again and again.
        ready_at: the look at which it serves all, whatever `serves` says.
        kill_at: the call of all at which we are killed.
    """

    versions: Versions
    serves: dict[str, Serving | str] = field(default_factory=dict)
    does_not_start: set[str] = field(default_factory=set)
    crashes: set[str] = field(default_factory=set)
    active: str = "active"
    program: str = ""
    name: str = "edged.service"
    running: str | None = None
    restarts: int = 0
    restarted: int = 0
    looked: int = 0
    ready_at: int = -1
    calls: int = 0
    kill_at: int = -1

    def _call(self) -> None:
        self.calls += 1
        if self.calls - 1 == self.kill_at:
            raise Killed

    async def state(self) -> UnitState:
        self._call()
        if self.running in self.crashes:
            self.restarts += 1
        return UnitState(self.active, 0, self.restarts, self.program or str(self.versions.command))

    async def restart(self) -> None:
        self._call()
        self.running = self.versions.current()
        self.restarted += 1
        self._call()
        if self.running in self.does_not_start:
            raise UpgradeUndone("edged.service did not start: Job failed.")

    async def look(self) -> Serving | str:
        self._call()
        self.looked += 1
        if self.looked == self.ready_at:
            self.serves.clear()
        return self.serves.get(self.running or "", FULL)

    async def version_of(self, binary: Path) -> str:
        self._call()
        text = _text(binary).strip()
        if not text.startswith("version "):
            raise UpgradeUnusable(f"the new version does not say which it is: {text}")
        return text.removeprefix("version ")

    async def check_config(self, binary: Path, config: Path) -> None:
        self._call()
        if _text(binary).endswith("would not start\n") or _text(config) == "wrong":
            raise UpgradeUnusable("the new version would not start")


def _text(path: Path) -> str:
    return path.read_text()


@dataclass
class Site:
    machine: Machine
    played: Played
    folder: Path
    events: list[Stepped | Upgraded] = field(default_factory=list)

    @property
    def versions(self) -> Versions:
        return self.machine.versions

    @property
    def record(self) -> RecordFile:
        return RecordFile(self.versions.folder / "upgrade.json")

    def build(self, name: str, text: str = GOOD) -> tuple[Path, str]:
        """A file that is a version, and its sha256."""
        file = self.folder / name
        file.write_text(text.replace("{0}", name))
        return file, hashlib.sha256(file.read_bytes()).hexdigest()

    async def go(self, where: Path | str, *, restart: bool = True, watch_s: float = UPGRADE_WATCH_S) -> Upgraded:
        order = Order(str(where) if where else "", None, restart, watch_s)
        return await upgrade(self.machine, order, self.events.append)

    @property
    def said(self) -> str:
        return "\n".join(event.text for event in self.events if isinstance(event, Stepped))


@pytest.fixture
def site(tmp_path: Path) -> Site:
    (tmp_path / "bin").mkdir()
    (tmp_path / "node.toml").write_text("")
    versions = Versions(tmp_path / "lib", tmp_path / "bin" / "edged")
    played = Played(versions)
    machine = Machine(versions, played, played, played, tmp_path / "node.toml", tmp_path / "unpacked")
    return Site(machine, played, tmp_path)


@pytest.fixture
async def old(site: Site) -> str:
    """The version in use."""
    file, sha256 = site.build("old")
    site.played.active = "inactive"
    await site.go(file)
    site.played.active, site.played.running = "active", sha256
    site.events.clear()
    return sha256


async def test_a_new_version(site: Site, old: str) -> None:
    file, new = site.build("new")
    ended = await site.go(file)
    assert (ended.outcome, ended.sha256, ended.before) == ("upgraded", new, old)
    assert ended.version == "new"
    assert site.played.running == site.versions.current() == new
    assert site.record.read() == Record(new, old)
    assert [event.step for event in site.events if isinstance(event, Stepped)][-1] == "watch"
    assert site.events[-1] == ended


async def test_older_ones_than_the_one_before_go(site: Site, old: str) -> None:
    (first, one), (second, two) = site.build("one"), site.build("two")
    assert (await site.go(first)).removed == ()
    assert (await site.go(second)).removed == (old,)
    assert set(site.versions.all()) == {one, two}


async def test_back(site: Site, old: str) -> None:
    file, new = site.build("new")
    await site.go(file)
    file.unlink()
    assert (await site.go("")).sha256 == old
    assert site.played.running == site.versions.current() == old
    assert (await site.go("")).sha256 == new


async def test_there_is_none_before(site: Site, old: str) -> None:
    with pytest.raises(UpgradeImpossible, match="no version before"):
        await site.go("")
    assert site.played.restarted == 0


async def test_the_one_before_is_damaged(site: Site, old: str) -> None:
    file, new = site.build("new")
    await site.go(file)
    site.versions.path(old).write_bytes(b"")
    with pytest.raises(UpgradeImpossible, match="damaged"):
        await site.go("")
    assert site.versions.current() == new


async def test_the_same_once_more(site: Site, old: str) -> None:
    with pytest.raises(UpgradeNeedless, match=old):
        await site.go(site.folder / "old")
    assert site.played.restarted == 0
    assert site.versions.all() == [old]


@pytest.mark.parametrize(
    ("text", "message"), [(NO_EDGED, "hello"), (NO_CONFIG, "would not start")], ids=["no edged", "no config"]
)
async def test_one_that_will_not_do(site: Site, old: str, text: str, message: str) -> None:
    file, _ = site.build("new", text)
    with pytest.raises(UpgradeUnusable, match=message):
        await site.go(file)
    assert (site.versions.all(), site.versions.current(), site.played.restarted) == ([old], old, 0)
    assert site.record.read() == Record(old)


async def test_one_that_cannot_be_had(site: Site, old: str) -> None:
    with pytest.raises(UpgradeSourceUnavailable):
        await site.go(site.folder / "missing")
    assert (site.versions.all(), site.versions.current(), site.played.restarted) == ([old], old, 0)


async def test_one_that_will_not_do_any_more_is_kept(site: Site, old: str) -> None:
    """The one before is not thrown away for what somebody wrote into node.toml."""
    file, new = site.build("new")
    await site.go(file)
    site.machine.config.write_text("wrong")
    with pytest.raises(UpgradeUnusable):
        await site.go("")
    assert site.versions.current() == new
    assert site.versions.is_whole(old)


async def test_one_that_does_not_start(site: Site, old: str) -> None:
    file, new = site.build("new")
    site.played.does_not_start = {new}
    with pytest.raises(UpgradeUndone, match="did not start"):
        await site.go(file)
    assert site.played.running == site.versions.current() == old
    assert site.record.read() == Record(old)


@pytest.mark.parametrize(
    "serves",
    [
        "the node does not answer",
        replace(FULL, workers_ready=0),
        replace(FULL, apps={}, waiting={"shop": "it does not compile"}),
        replace(FULL, sessions=frozenset()),
        replace(FULL, prefixes={}),
    ],
    ids=["silent", "workers", "app", "session", "prefix"],
)
async def test_one_that_does_not_serve_as_before(
    site: Site, old: str, autojump_clock: MockClock, serves: Serving | str
) -> None:
    file, new = site.build("new")
    site.played.serves[new] = serves
    with pytest.raises(UpgradeUndone, match="serves as before, with the old version: after 180 s"):
        await site.go(file)
    # Once before, and once with the old one. The clock itself jumps while a thread is at work.
    assert site.played.looked - 2 == pytest.approx(UPGRADE_WATCH_S / UPGRADE_LOOK_INTERVAL_S, abs=1)
    assert site.played.running == site.versions.current() == old
    assert site.record.read().under_way is None


async def test_one_that_takes_its_time(site: Site, old: str, autojump_clock: MockClock) -> None:
    """What is missing is said once, and then it is there."""
    file, new = site.build("new")
    site.played.serves[new] = replace(FULL, prefixes={})
    site.played.ready_at = site.played.looked + 40
    ended = await site.go(file)
    assert ended.outcome == "upgraded"
    assert ended.away_s is not None
    assert site.played.looked >= site.played.ready_at
    assert site.said.count("is not announced as before") == 1


async def test_one_that_starts_again_and_again(site: Site, old: str, autojump_clock: MockClock) -> None:
    file, new = site.build("new")
    site.played.restarts = 100  # of long ago
    site.played.crashes = {new}
    site.played.serves[new] = "the node does not answer"
    with pytest.raises(UpgradeUndone, match="does not stay up"):
        await site.go(file)
    assert site.played.looked - 2 == UPGRADE_RESTART_COUNT_MAX


async def test_neither_serves(site: Site, old: str, autojump_clock: MockClock) -> None:
    file, new = site.build("new")
    site.played.does_not_start = {new, old}
    with pytest.raises(UpgradeStuck, match="did not start"):
        await site.go(file)
    assert site.versions.current() == old
    way = site.record.read().under_way
    assert way is not None
    assert (way.to, way.back_to) == (new, old)
    site.played.does_not_start = {new}
    with pytest.raises(UpgradeUndone):
        await site.go(file)
    assert site.record.read() == Record(old)


async def test_a_disk_that_fails_restarts_nothing(site: Site, old: str) -> None:
    """The switch is the last thing before the restart; what cannot be noted is not begun."""
    disk = FaultyDisk()
    file, _ = site.build("new")
    machine = replace(site.machine, versions=Versions(site.versions.folder, site.versions.command, disk))
    disk.fail_after(3, errno.EIO)  # the new version is kept by three steps
    with pytest.raises(UpgradeUndone, match="Input/output error"):
        await upgrade(machine, Order(str(file), None, True, 1.0), site.events.append)
    assert (site.versions.current(), site.played.restarted) == (old, 0)
    assert site.record.read() == Record(old)


async def test_a_link_that_cannot_be_changed_is_no_reason_for_alarm(site: Site, old: str) -> None:
    """Neither to the new version nor to the old one: that one has run all the while."""

    class ReadOnly(Disk):
        def rename(self, old: Path, new: Path) -> None:
            if new == site.versions.command:
                raise OSError(errno.EROFS, os.strerror(errno.EROFS))
            super().rename(old, new)

    file, _ = site.build("new")
    machine = replace(site.machine, versions=Versions(site.versions.folder, site.versions.command, ReadOnly()))
    with pytest.raises(UpgradeUndone, match="Read-only"):
        await upgrade(machine, Order(str(file), None, True, 1.0), site.events.append)
    assert (site.versions.current(), site.played.restarted) == (old, 0)
    assert site.record.read().under_way is None


async def test_without_an_old_one(site: Site) -> None:
    file, new = site.build("new")
    site.played.does_not_start = {new}
    with pytest.raises(UpgradeStuck):
        await site.go(file)
    site.played.does_not_start = set()
    assert (await site.go(file)).before == ""


async def test_a_file_that_somebody_put_there_is_the_old_one(site: Site) -> None:
    by_hand = GOOD.replace("{0}", "by hand")
    site.versions.command.write_text(by_hand)
    file, new = site.build("new")
    site.played.does_not_start = {new}
    with pytest.raises(UpgradeUndone):
        await site.go(file)
    assert site.versions.command.read_text() == by_hand
    assert site.versions.current() == hashlib.sha256(by_hand.encode()).hexdigest()


async def test_a_drained_node_is_waited_for_and_not_its_prefixes(site: Site, old: str) -> None:
    site.played.serves[old] = replace(FULL, prefixes={}, is_drained=True)
    file, new = site.build("new")
    site.played.serves[new] = replace(FULL, prefixes={}, is_drained=True)
    assert (await site.go(file)).outcome == "upgraded"


async def test_what_was_missing_before_is_not_asked_for(site: Site, old: str) -> None:
    file, new = site.build("new")
    site.played.serves = {old: ALONE, new: ALONE}
    assert (await site.go(file)).outcome == "upgraded"


async def test_a_node_that_does_not_answer_is_mended(site: Site, old: str) -> None:
    file, new = site.build("new")
    site.played.serves = {old: "the node does not answer", new: ALONE}
    assert (await site.go(file)).outcome == "upgraded"
    assert "what it serves is not known" in site.said


async def test_without_a_restart(site: Site, old: str) -> None:
    file, new = site.build("new")
    ended = await site.go(file, restart=False)
    assert (ended.outcome, ended.away_s, site.played.restarted) == ("switched", None, 0)
    assert (site.versions.current(), site.played.running) == (new, old)
    assert site.record.read() == Record(new, old)
    assert (await site.go("", restart=False)).sha256 == old


async def test_a_unit_that_is_stopped_stays_so(site: Site, old: str) -> None:
    site.played.active = "inactive"
    file, new = site.build("new")
    assert (await site.go(file)).outcome == "switched"
    assert site.played.restarted == 0
    assert site.versions.current() == new


async def test_a_unit_that_is_being_stopped(site: Site, old: str) -> None:
    site.played.active = "deactivating"
    file, _ = site.build("new")
    with pytest.raises(UpgradeBusy, match="being stopped"):
        await site.go(file)
    assert site.versions.all() == [old]


@pytest.mark.parametrize("active", ["deactivating", "activating", "inactive", "failed"])
async def test_killed_and_found_half_way(site: Site, old: str, active: str) -> None:
    file, new = site.build("new")
    site.played.calls, site.played.kill_at = 0, 4
    with pytest.raises(Killed):
        await site.go(file)
    site.played.kill_at = -1
    site.played.active = active

    async def restart() -> None:
        site.played.active = "active"
        await Played.restart(site.played)

    site.played.restart = restart  # type: ignore[method-assign]
    assert (await site.go(file)).outcome == "upgraded"
    assert site.played.running == new


async def test_a_unit_that_failed_is_started(site: Site, old: str) -> None:
    """A better version may be the remedy."""
    site.played.active = "failed"
    file, new = site.build("new")
    site.played.serves[new] = FULL

    async def heals() -> None:
        site.played.active = "active"
        await Played.restart(site.played)

    site.played.restart = heals  # type: ignore[method-assign]
    assert (await site.go(file)).outcome == "upgraded"


async def test_a_unit_that_runs_something_else(site: Site, old: str) -> None:
    site.played.program = "/opt/venv/bin/edged"
    file, _ = site.build("new")
    with pytest.raises(UpgradeImpossible, match="/opt/venv/bin/edged"):
        await site.go(file)
    assert site.versions.all() == [old]


@pytest.mark.parametrize("good", [True, False], ids=["good", "bad"])
@pytest.mark.parametrize("at", range(12))
async def test_killed_anywhere(site: Site, old: str, at: int, good: bool) -> None:
    """At each call of systemctl and of the node: the command leads to a whole version, and a second run ends well.

    The node served a session before, which the second run has to know although it finds a node that is half up.
    """
    file, new = site.build("new")
    if not good:
        site.played.does_not_start = {new}
    site.played.calls, site.played.kill_at = 0, at
    was_killed = False
    try:
        await site.go(file)
    except Killed:
        was_killed = True
    except EdgedError:
        pass
    current = site.versions.current()
    assert current is not None
    assert site.versions.is_whole(current)
    site.played.kill_at = -1
    if not was_killed:
        assert current == (new if good else old)
        return
    way = site.record.read().under_way
    if site.played.restarted:
        assert way is not None
        assert way.expected is not None
        assert way.expected.sessions == ("ams",)
    if good:
        ended = await site.go(file)
        assert (ended.outcome, ended.before) == ("upgraded", old)
        assert site.played.running == site.versions.current() == new
        assert site.record.read() == Record(new, old)
    else:
        with pytest.raises(UpgradeUndone):
            await site.go(file)
        assert site.played.running == site.versions.current() == old
        assert site.record.read() == Record(old)


async def test_killed_then_back(site: Site, old: str) -> None:
    file, new = site.build("new")
    site.played.calls, site.played.kill_at = 0, 4
    with pytest.raises(Killed):
        await site.go(file)
    assert site.versions.current() == new
    site.played.kill_at = -1
    assert (await site.go("")).sha256 == old
    assert site.played.running == site.versions.current() == old


async def test_killed_then_a_third_version(site: Site, old: str) -> None:
    """The way back is to what served, not to what was never proven."""
    (bad, _), (third, last) = site.build("bad"), site.build("third")
    site.played.calls, site.played.kill_at = 0, 4
    with pytest.raises(Killed):
        await site.go(bad)
    site.played.kill_at = -1
    site.played.does_not_start = {last}
    with pytest.raises(UpgradeUndone):
        await site.go(third)
    assert site.versions.current() == old
