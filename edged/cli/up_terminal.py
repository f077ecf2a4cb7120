"""`edged up` for a person: what takes long moves, what is ready has an address, what failed says what to do."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress, ProgressColumn, SpinnerColumn, Task, TaskID, TextColumn
from rich.table import Table
from rich.text import Text

from edged.cli.failure import Failure
from edged.event import Event
from edged.limits import KiB, MiB
from edged.readable import readable
from edged.up import event as events
from edged.up.trigger import Route, Scheduled, Trigger


class TerminalView:
    """Shows events to a person, on stdout. Without a terminal nothing moves, and no line is cut.

    Args:
        quiet: only the address, warnings and errors.
        verbose: also every refused import by name.
    """

    def __init__(self, *, quiet: bool = False, verbose: bool = False, console: Console | None = None) -> None:
        self._console = Console(highlight=False) if console is None else console
        self._verbose = verbose
        self._progress: Progress | None = None
        self._compiling: dict[str, TaskID] = {}
        self._refused: dict[str, None] = {}
        self._calls: Sequence[Route | Trigger] = ()
        self._shows: dict[type[Event], Callable[[Any], None]] = {
            events.Warned: self._warned,
            events.ReloadFailed: self._reload_failed,
            events.Listening: self._listening_quietly if quiet else self._listening,
        }
        if not quiet:
            self._shows |= {
                events.Loading: self._loading,
                events.Building: self._building,
                events.Compiling: self._compile,
                events.Loaded: self._loaded,
                events.Changed: self._changed,
                events.Swapped: self._swapped,
                events.Stopping: self._stopping,
                events.Stopped: self._stopped,
            }

    def show(self, event: Event) -> None:
        show = self._shows.get(type(event))
        if show is not None:
            # A terminal that went away must not end what is served.
            with suppress(OSError):
                show(event)

    def fail(self, _error: Failure) -> None:
        """The command says it on stderr."""

    def close(self) -> None:
        """Take the progress display down."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None
            self._compiling.clear()

    # --- before the app serves ---

    def _loading(self, event: events.Loading) -> None:
        if not self._calls:
            self._print(Text.assemble((event.app, "bold"), "  ", (_short(event.manifest), "dim")))

    def _building(self, event: events.Building) -> None:
        self._print(Text.assemble("  ", ("building ", "cyan"), event.component, ("  $ " + event.command, "dim")))

    def _compile(self, event: events.Compiling) -> None:
        text = f"compiling {event.component} ({_size(event.bytes)})"
        if not self._console.is_terminal:
            self._print(Text(f"  {text}"))
            return
        if self._progress is None:
            columns = (TextColumn(" "), SpinnerColumn(), TextColumn("{task.description}", markup=False), _Elapsed())
            self._progress = Progress(*columns, console=self._console, transient=True)
            self._progress.start()
        self._compiling[event.component] = self._progress.add_task(text, total=None)

    def _loaded(self, event: events.Loaded) -> None:
        task = self._compiling.pop(event.component, None)
        if self._progress is not None and task is not None:
            self._progress.remove_task(task)
            if not self._compiling:
                self.close()
        self._refused |= dict.fromkeys(event.refused)
        if event.compiled or not self._calls:
            how = "compiled" if event.compiled else "loaded"
            self._print(Text.assemble(("  ✓ ", "green"), event.component, (f"  {how} in {event.seconds:.1f} s", "dim")))

    def _listening_quietly(self, event: events.Listening) -> None:
        for url in event.urls:
            self._print(Text(url))

    def _listening(self, event: events.Listening) -> None:
        self._calls = (*event.routes, *event.triggers)
        self._table(self._calls)
        if self._refused:
            self._print_refused()
        self._print(Text())
        public = [route for route in event.routes if route.route is not None]
        if public:
            self._print(Text.assemble(("  Try it: ", "bold"), _curl(public[0].url)))
        also = ["Edit a file and save it to swap the new app in."] if event.watching else []
        self._print(Text("  " + " ".join([*also, "Ctrl-C stops."]), "dim"))
        self._print(Text())

    def _table(self, calls: Sequence[Route | Trigger]) -> None:
        table = Table(box=None, show_header=False, padding=(0, 2))
        for call in calls:
            table.add_row(*(_route(call) if isinstance(call, Route) else _trigger(call)))
        self._print(Text())
        self._console.print(table, soft_wrap=not self._console.is_terminal)

    def _print_refused(self) -> None:
        names = list(self._refused)
        count = "1 import is" if len(names) == 1 else f"{len(names)} imports are"
        self._print(Text())
        if self._verbose:
            self._print(Text(f"  {count} linked, but refused when called:", "dim"))
            for name in names:
                self._print(Text(f"    {name}", "dim"))
        else:
            line = Text(f"  {count} linked, but refused when called (--verbose): {', '.join(names)}", "dim")
            if self._console.is_terminal:
                line.truncate(self._console.width, overflow="ellipsis")
            self._print(line)

    # --- while it serves ---

    def _changed(self, event: events.Changed) -> None:
        more = event.count - len(event.paths)
        names = ", ".join(event.paths) + (f" and {more} more" if more else "")
        self._print(Text.assemble(_clock(), ("changed ", "cyan"), readable(names)))

    def _swapped(self, event: events.Swapped) -> None:
        self.close()
        self._print(Text.assemble(_clock(), ("✓ swapped in", "green"), f" after {event.seconds:.1f} s"))
        calls = (*event.routes, *event.triggers)
        if calls != tuple(call for call in self._calls if call.app == event.app):
            self._table(calls)
        self._calls = (*(call for call in self._calls if call.app != event.app), *calls)

    def _reload_failed(self, event: events.ReloadFailed) -> None:
        self.close()
        error = event.error
        first, *more = error.message.split("\n")
        self._print(Text.assemble(_clock(), (f"✗ {readable(first)}", "red"), f"  [{error.code}]"))
        for line in more:
            self._print(Text(f"           {readable(line)}", "red"))
        self._print(Text(f"         -> {readable(error.remedy)} Until then the app from before keeps serving."))

    def _warned(self, event: events.Warned) -> None:
        self._print(Text.assemble(("  warning ", "yellow"), readable(event.message)))

    def _stopping(self, event: events.Stopping) -> None:
        self._print(Text())  # past the ^C of the terminal
        if event.requests_active:
            requests = "1 request" if event.requests_active == 1 else f"{event.requests_active} requests"
            wait = f"up to {event.grace_s:g} s for {requests}; Ctrl-C again cuts"
            self._print(Text.assemble(_clock(), ("stopping ", "cyan"), wait))

    def _stopped(self, event: events.Stopped) -> None:
        requests = "1 request" if event.requests_served == 1 else f"{event.requests_served} requests"
        self._print(Text.assemble(_clock(), ("stopped ", "cyan"), f"after {requests}"))

    def _print(self, text: Text) -> None:
        self._console.print(text, soft_wrap=True)


class _Elapsed(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.elapsed or 0.0:.1f} s", "dim")


def _clock() -> tuple[str, str]:
    return (time.strftime("%H:%M:%S "), "dim")


def _size(count: int) -> str:
    if count < KiB:
        return f"{count} bytes"
    return f"{count / MiB:.1f} MiB" if count >= MiB else f"{count / KiB:.0f} KiB"


def _short(path: str) -> str:
    """A path below the current folder or the home as a person would write it."""
    for base, prefix in ((Path.cwd(), ""), (Path(os.path.expanduser("~")), "~/")):
        with suppress(ValueError):
            return f"{prefix}{Path(path).relative_to(base)}"
    return path


def _route(route: Route) -> tuple[Text, Text]:
    """What is requested, and who answers."""
    if route.target is None:
        return Text(route.url, "bold"), Text("(static response)", "dim")
    notes = [*(["wagi"] if route.executor == "wagi" else []), *(["private"] if route.route is None else [])]
    note = f"  ({', '.join(notes)})" if notes else ""
    return Text(route.url, "dim" if route.route is None else "bold"), Text.assemble(route.target, (note, "dim"))


def _trigger(trigger: Trigger) -> tuple[Text, Text]:
    """What is waited for, and who is called."""
    if isinstance(trigger, Scheduled):
        when = "never again" if trigger.next is None else f"next at {trigger.next}"
        what = f'cron   "{trigger.expression}", {when}'
    else:
        what = f"redis  {readable(trigger.channel)} on {readable(trigger.server)}"
    return Text(what, "bold"), Text(trigger.component or "")


def _curl(url: str) -> str:
    """A command that gets an answer from a route."""
    for wildcard in ("...", "*"):
        url = url.removesuffix(wildcard)
    scheme, _, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    sample = "/".join(part.removeprefix(":") for part in path.split("/"))
    return f"curl {'-k ' if scheme == 'https' else ''}{scheme}://{authority}{slash}{sample}"
