"""`wasi_snapshot_preview1` as a `CoreModule`: all of its 46 functions, so that any module links."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edged.host.core_module import Signature
from edged.host.files.tree import Directory
from edged.host.interface import Invocation
from edged.host.memory import Memory
from edged.host.preview1.descriptors import Descriptors
from edged.host.preview1.paths import Paths
from edged.host.preview1.polling import Polling
from edged.host.preview1.process import Process
from edged.host.preview1.state import c_strings, c_variables

_PARAMS: Mapping[str, str] = {
    "args_get": "ii",
    "args_sizes_get": "ii",
    "clock_res_get": "ii",
    "clock_time_get": "iIi",
    "environ_get": "ii",
    "environ_sizes_get": "ii",
    "fd_advise": "iIIi",
    "fd_allocate": "iII",
    "fd_close": "i",
    "fd_datasync": "i",
    "fd_fdstat_get": "ii",
    "fd_fdstat_set_flags": "ii",
    "fd_fdstat_set_rights": "iII",
    "fd_filestat_get": "ii",
    "fd_filestat_set_size": "iI",
    "fd_filestat_set_times": "iIIi",
    "fd_pread": "iiiIi",
    "fd_prestat_dir_name": "iii",
    "fd_prestat_get": "ii",
    "fd_pwrite": "iiiIi",
    "fd_read": "iiii",
    "fd_readdir": "iiiIi",
    "fd_renumber": "ii",
    "fd_seek": "iIii",
    "fd_sync": "i",
    "fd_tell": "ii",
    "fd_write": "iiii",
    "path_create_directory": "iii",
    "path_filestat_get": "iiiii",
    "path_filestat_set_times": "iiiiIIi",
    "path_link": "iiiiiii",
    "path_open": "iiiiiIIii",
    "path_readlink": "iiiiii",
    "path_remove_directory": "iii",
    "path_rename": "iiiiii",
    "path_symlink": "iiiii",
    "path_unlink_file": "iii",
    "poll_oneoff": "iiii",
    "proc_raise": "i",
    "random_get": "ii",
    "sched_yield": "",
    "sock_accept": "iii",
    "sock_recv": "iiiiii",
    "sock_send": "iiiii",
    "sock_shutdown": "ii",
}


class Preview1Session(Process, Descriptors, Paths, Polling):
    """The functions of one guest."""


class Preview1:
    """What one component gets of it.

    Args:
        root: its files, mounted at `/`. None: there are none, and no directory either.
        arguments, environment: of the component, for calls that bring none of their own.
    """

    name = "wasi_snapshot_preview1"
    functions: Mapping[str, Signature] = {
        **{name: Signature(params, "i") for name, params in _PARAMS.items()},
        "proc_exit": Signature("i", ""),
    }
    session = Preview1Session

    def __init__(
        self, root: Directory | None, arguments: Sequence[str] = (), environment: Mapping[str, str] | None = None
    ) -> None:
        self._root = root
        self._arguments = c_strings(arguments)
        self._environment = c_variables(environment or {})

    def open(self, invocation: Invocation, memory: Memory) -> Preview1Session:
        return Preview1Session(invocation, memory, self._root, self._arguments, self._environment)
