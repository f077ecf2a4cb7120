"""An app behind hypercorn's own HTTP/1.1: `python -m benchmarks.requests.behind_hypercorn FOLDER`. The peer."""

from __future__ import annotations

import json
import sys
import tempfile
from functools import partial
from pathlib import Path

import trio

from edged import manifest
from edged.app import LoadOptions
from edged.http.gateway import serve_behind_hypercorn
from edged.worker.worker import Served, open_worker


async def main(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as name:
        cache = Path(name)
        async with open_worker(cache) as worker, trio.open_nursery() as nursery:
            worker.set([Served(await worker.load(manifest.load(folder), LoadOptions(sources=cache / "sources")))])
            urls = await nursery.start(partial(serve_behind_hypercorn, worker.handle, "127.0.0.1", 0))
            print(json.dumps({"url": urls[0]}), flush=True)


trio.run(main, Path(sys.argv[1]))
