"""A worker: one engine, the apps it serves, and the listeners in front of them."""

from edged.worker.worker import Site, Worker, WorkerStatistics, open_worker, pool_for

__all__ = ["Site", "Worker", "WorkerStatistics", "open_worker", "pool_for"]
