"""Giving up root: what talks to routers or runs guests needs no power over the machine.

A speaker only connects: TCP-MD5, GTSM and, since Linux 5.7, binding a fresh socket to an interface are open to anybody.
"""

from __future__ import annotations

import ctypes
import os
import pwd

from bgp.errors import SpeakerFailed

_NOBODY = 65534
_PR_SET_DUMPABLE = 4
_PR_SET_NO_NEW_PRIVS = 38
_CAPABILITY_VERSION_3 = 0x20080522  # linux/capability.h: two sets of three words of 32 bits


def give_up() -> None:
    """This process is nobody's from now on, with no capability and no way to any, and writes no core with secrets.

    One that is not root's keeps its user.

    Raises:
        SpeakerFailed: the kernel did not let it, so it must not go on.
    """
    try:
        if os.geteuid() == 0:
            _become_nobody()
        give_up_capabilities()
        libc = ctypes.CDLL(None, use_errno=True)
        for done in (libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)):
            if done != 0:
                raise OSError(ctypes.get_errno(), "prctl")
    except OSError as error:
        raise SpeakerFailed(
            f"the speaker cannot give up its privileges: {error}",
            remedy="Let the node change users (CAP_SETUID, CAP_SETGID), or do not run it as root.",
        ) from None


def give_up_capabilities() -> None:
    """This process has no capability from now on, and what it executes as a user other than root has none.

    To be called before there is another thread: each has its own.

    Raises:
        OSError: the kernel did not let it.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    if libc.capset(header, (ctypes.c_uint32 * 6)()) != 0:
        raise OSError(ctypes.get_errno(), "capset")


def _become_nobody() -> None:
    try:
        nobody = pwd.getpwnam("nobody")
        uid, gid = nobody.pw_uid, nobody.pw_gid
    except KeyError:
        uid = gid = _NOBODY
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
