"""Giving up root: what talks to routers needs no power over the machine, since it only connects.

TCP-MD5, GTSM and binding a fresh socket to an interface are open to anybody on Linux (since 5.7 the last one).
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
        libc = ctypes.CDLL(None, use_errno=True)
        header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
        for done in (
            libc.capset(header, (ctypes.c_uint32 * 6)()),
            libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
            libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0),
        ):
            if done != 0:
                raise OSError(ctypes.get_errno(), "prctl or capset")
    except OSError as error:
        raise SpeakerFailed(
            f"the speaker cannot give up its privileges: {error}",
            remedy="Let the node change users (CAP_SETUID, CAP_SETGID), or do not run it as root.",
        ) from None


def _become_nobody() -> None:
    try:
        nobody = pwd.getpwnam("nobody")
        uid, gid = nobody.pw_uid, nobody.pw_gid
    except KeyError:
        uid = gid = _NOBODY
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
