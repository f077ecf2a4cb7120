"""What the functions of one guest share: its memory, its descriptors, lists of buffers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edged.host.cli import AtEnd
from edged.host.files.descriptor import READ
from edged.host.files.filesystem import Descriptor
from edged.host.files.tree import Directory as Tree
from edged.host.interface import Invocation
from edged.host.memory import Memory
from edged.host.preview1.abi import FILESTAT, IOVEC, RIGHT_READ, RIGHT_WRITE, RIGHTS_ALL, Errno, Failure
from edged.host.preview1.opened import Directory, Input, Log, Opened, Output, Stat
from edged.limits import PATH_BYTES_MAX, PREVIEW1_BUFFER_COUNT_MAX, PREVIEW1_DESCRIPTOR_COUNT_MAX

FIRST_PREOPEN = 3


class State:
    """Base of the interface's groups of functions.

    Args:
        root: the component's files, which are descriptor 3. None: there are none.
        arguments, environment: of the component; those of `invocation.command` take their place.
    """

    def __init__(
        self,
        invocation: Invocation,
        memory: Memory,
        root: Tree | None,
        arguments: Sequence[bytes],
        environment: Sequence[bytes],
    ) -> None:
        self.invocation = invocation
        self.memory = memory
        self.opened: dict[int, Opened] = {2: Log(invocation.stderr, RIGHT_WRITE)}
        command = invocation.command
        if command is None:
            self.arguments, self.environment = arguments, environment
            self.opened[0] = Input(AtEnd(), RIGHT_READ)
            self.opened[1] = Log(invocation.stdout, RIGHT_WRITE)
        else:
            self.arguments, self.environment = c_strings(command.arguments), c_variables(command.environment)
            self.opened[0] = Input(command.stdin, RIGHT_READ)
            self.opened[1] = Output(command.stdout, RIGHT_WRITE)
        if root is not None:
            descriptor = Descriptor(root, READ, invocation.budget)
            self.opened[FIRST_PREOPEN] = Directory(descriptor, 0, RIGHTS_ALL, preopened=True)

    def close(self) -> None:
        """Release every descriptor that the guest left open."""
        while self.opened:
            self.opened.popitem()[1].close()

    def at(self, fd: int) -> Opened:
        opened = self.opened.get(fd)
        if opened is None:
            raise Failure(Errno.BADF)
        return opened

    def add(self, opened: Opened) -> int:
        """The lowest number that is free, as POSIX has it."""
        if len(self.opened) >= PREVIEW1_DESCRIPTOR_COUNT_MAX:
            opened.close()
            raise Failure(Errno.MFILE)
        fd = next(fd for fd in range(PREVIEW1_DESCRIPTOR_COUNT_MAX + 1) if fd not in self.opened)
        self.opened[fd] = opened
        return fd

    def buffers(self, address: int, count: int) -> list[tuple[int, int]]:
        """Addresses and lengths of an array of `iovec` or `ciovec`, each of them inside memory."""
        if count > PREVIEW1_BUFFER_COUNT_MAX:
            raise Failure(Errno.INVAL)
        self.memory.check(address, IOVEC.size * count)
        buffers = list(IOVEC.iter_unpack(self.memory.read(address, IOVEC.size * count)))
        for start, length in buffers:
            self.memory.check(start, length)
        return buffers

    def gather(self, buffers: list[tuple[int, int]], bytes_max: int) -> bytes:
        """The first bytes of buffers to write."""
        pieces = []
        for start, length in buffers:
            piece = self.memory.read(start, min(length, bytes_max))
            bytes_max -= len(piece)
            pieces.append(piece)
        return b"".join(pieces)

    def scatter(self, buffers: list[tuple[int, int]], data: bytes) -> None:
        """Fill buffers with what was read."""
        left = memoryview(data)
        for start, length in buffers:
            self.memory.write(start, left[:length])
            left = left[length:]

    def store_stat(self, buffer: int, stat: Stat) -> None:
        """Write a `filestat`. Only the time of the last change of the content is told."""
        self.memory.pack(FILESTAT, buffer, 0, stat.inode, stat.file_type, 1, stat.size, 0, stat.modified_ns, 0)

    def path(self, address: int, length: int) -> str:
        if length > PATH_BYTES_MAX:
            raise Failure(Errno.NAMETOOLONG)
        try:
            return self.memory.read(address, length).decode()
        except UnicodeDecodeError:
            raise Failure(Errno.ILSEQ) from None


def c_strings(strings: Sequence[str]) -> list[bytes]:
    """Strings with a NUL at their end. One inside would end them all the same, so they are cut there."""
    return [string.partition("\0")[0].encode("utf-8", "surrogateescape") + b"\0" for string in strings]


def c_variables(variables: Mapping[str, str]) -> list[bytes]:
    return c_strings([f"{name}={value}" for name, value in variables.items()])
