"""A worker: one engine, the apps it serves, and the listeners in front of them."""

from edged.worker.worker import Counted, Served, Worker, WorkerStatistics, open_worker, pool_for

__all__ = ["Counted", "Served", "Worker", "WorkerStatistics", "open_worker", "pool_for"]
