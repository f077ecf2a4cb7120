"""A push for a person: a bar for the upload and one for each region; without a terminal a line for each step."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TaskID, TextColumn
from rich.table import Column
from rich.text import Text

from edged.cli.words import listed, plural, short, size
from edged.publish import event as events
from edged.publish.regions import HELD, REMOVED, STAGES
from edged.readable import readable
from edged.status.view import FAILED
from edged.up import event as up_events

_BAR_COLUMNS = 20
_MARKS = {
    "live": ("✓", "green"), "failed": ("✗", "red"), "reverted": ("✗", "red"), "held": ("!", "yellow"),
    "silent": ("!", "yellow"), "removed": ("✓", "green"),
}  # fmt: skip


class PushView:
    """Shows the events of a push, a rollback or another change of an app, on stdout."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = Console(highlight=False) if console is None else console
        self._progress: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._said: dict[str, str] = {}
        self._errors: dict[str, str] = {}
        self._wave_count = 0
        self._shows: dict[type[object], Callable[[Any], None]] = {
            up_events.Building: self._building,
            up_events.Built: lambda _event: None,
            events.Warned: self._warned,
            events.Packing: self._packing,
            events.Packed: self._packed,
            events.Connected: self._connected,
            events.Uploading: self._uploading,
            events.Published: self._published,
            events.RegionChanged: self._region,
            events.PuttingBack: self._putting_back,
            events.Finished: self._finished,
        }

    def show(self, event: object) -> None:
        # A terminal that went away must not end a push half-way.
        with suppress(OSError):
            self._shows[type(event)](event)

    def close(self) -> None:
        """Leave the bars as they are."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    # --- before anything runs anywhere ---

    def _building(self, event: up_events.Building) -> None:
        self._print(Text.assemble("  ", ("building ", "cyan"), event.component, ("  $ " + event.command, "dim")))

    def _packing(self, event: events.Packing) -> None:
        if self._console.is_terminal:
            self._bar("pack", event.bytes_done, event.bytes_total, _of(event.bytes_done, event.bytes_total))

    def _packed(self, event: events.Packed) -> None:
        if self._console.is_terminal:
            self._bar("pack", 1, 1, plural(event.files, "file") + f", {size(event.bytes)}", mark="live")
        name = f"{event.app} {event.version}".strip()
        self._print(Text.assemble((readable(name), "bold"), f"  {short(event.digest)}  ", (size(event.bytes), "dim")))

    def _connected(self, event: events.Connected) -> None:
        self._print(Text.assemble("  to ", event.fleet, (f" by {event.node} at {event.address}", "dim")))

    def _uploading(self, event: events.Uploading) -> None:
        saved = f", {size(event.bytes_saved)} saved" if event.bytes_saved else ""
        if self._console.is_terminal:
            done, total = (event.bytes_done, event.bytes_total) if event.bytes_total else (1, 1)
            mark = "live" if event.bytes_done == event.bytes_total else ""
            self._bar("upload", done, total, f"{size(event.bytes_sent)} sent{saved}", mark=mark)
        elif not event.bytes_total:
            self._print(Text(f"  nothing to upload: all of {size(event.bytes_saved)} is there already"))
        elif event.bytes_done == event.bytes_total:
            self._print(Text(f"  uploaded: {size(event.bytes_sent)} sent{saved}"))

    # --- from the record on ---

    def _published(self, event: events.Published) -> None:
        what = f"release {short(event.digest)}" if event.digest else f"{event.app} is removed"
        self._print(Text.assemble("  published as sequence ", (str(event.sequence), "bold"), (f"  {what}", "dim")))
        self._wave_count = len(event.waves)
        if event.waves:
            order = ", then ".join(listed(wave) for wave in event.waves)
            self._print(Text(f"  in {len(event.waves)} waves, {event.soak_s} s apart: {order}"))

    def _region(self, event: events.RegionChanged) -> None:
        note = _nodes(event)
        if event.stage == "fetch" and event.bytes_total:
            note = _of(event.bytes_done, event.bytes_total)
        if event.wave and event.stage not in ("live", "silent"):
            note += f", wave {event.wave} of {self._wave_count}"
        if self._console.is_terminal:
            self._bar(event.region, int(_steps(event) * 100), 100 * (len(STAGES) - 1), note, mark=event.stage)
        elif self._said.get(event.region) != event.stage:
            self._said[event.region] = event.stage
            self._print(Text(f"  {event.region}: {event.stage}  {note}".rstrip()))
        # The first of a region, as the command ends with all; one that is held only says again why another failed.
        if event.error and event.region not in self._errors and not (event.stage == HELD and self._errors):
            self._errors[event.region] = event.error
            self._print(Text.assemble(("  ✗ ", "red"), f"{event.region}: ", (readable(event.error), "red")))

    def _putting_back(self, event: events.PuttingBack) -> None:
        what = f"release {short(event.digest)} again" if event.digest else "the app is removed again"
        self._print(Text.assemble(("  interrupted ", "yellow"), f"sequence {event.sequence}: {what}"))

    def _finished(self, event: events.Finished) -> None:
        self.close()
        for kept in (self._tasks, self._said, self._errors):  # another app may follow, in the same regions
            kept.clear()
        live = [region for region, stage in event.regions.items() if stage == "live"]
        if live:
            where = listed(live)
            self._print(Text.assemble(("  ✓ live", "green"), f" in {where} after {event.seconds:.1f} s"))
        if not event.regions or set(event.regions.values()) == {REMOVED}:
            self._print(Text.assemble(("  ✓ ", "green"), f"{event.app} is in no region any more"))
        if live and event.url:
            self._print(Text())
            self._print(Text.assemble("  ", (event.url, "bold")))
            self._print(Text())
        if live and event.bytes_total:  # a push: who changes an app otherwise knows the commands
            self._print(Text(f"  next: edged logs -f {event.app}   edged status   edged rollback {event.app}", "dim"))

    def _warned(self, event: events.Warned) -> None:
        self._print(Text.assemble(("  warning ", "yellow"), readable(event.message)))

    # --- bars ---

    def _bar(self, name: str, done: int, total: int, note: str, mark: str = "") -> None:
        if self._progress is None:
            self._progress = Progress(
                TextColumn(" "),
                TextColumn("{task.description}", markup=False),
                BarColumn(_BAR_COLUMNS),
                _Mark(),
                TextColumn("{task.fields[note]}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis")),
                console=self._console,
            )
            self._progress.start()
        if name not in self._tasks:
            self._tasks[name] = self._progress.add_task(readable(name), total=total, note=note, mark=mark)
        self._progress.update(self._tasks[name], completed=done, total=total, note=note, mark=mark)

    def _print(self, text: Text) -> None:
        self._console.print(text, soft_wrap=True)


class _Mark(ProgressColumn):
    """The stage of a region, with a sign that can be read without colours; what moves, turns."""

    def __init__(self) -> None:
        super().__init__()
        self._spinner = SpinnerColumn()

    def render(self, task: Task) -> Text:
        stage = task.fields["mark"]
        sign, colour = _MARKS.get(stage, ("", ""))
        if sign:
            word = "done" if task.description in ("pack", "upload") else stage
            return Text(f"{sign} {word}".ljust(10), colour)
        turning = self._spinner.render(task)
        return Text.assemble(turning if isinstance(turning, Text) else " ", f" {stage}".ljust(9))


def _steps(event: events.RegionChanged) -> float:
    """How far a region came, in stages; a failed one stays empty."""
    if event.stage == REMOVED:
        return float(len(STAGES) - 1)
    if event.stage in FAILED or event.stage not in STAGES:
        return 0.0
    step = float(STAGES.index(event.stage))
    if event.stage == "fetch" and event.bytes_total:
        step += min(event.bytes_done / event.bytes_total, 1.0)
    return step


def _nodes(event: events.RegionChanged) -> str:
    silent = f", {event.nodes_silent} not heard of" if event.nodes_silent else ""
    if not event.nodes_total:
        return "no node"
    if event.nodes_live == event.nodes_total:
        return plural(event.nodes_total, "node")
    return f"{event.nodes_live} of {plural(event.nodes_total, 'node')}{silent}"


def _of(done: int, total: int) -> str:
    return f"{size(done)} of {size(total)}"
