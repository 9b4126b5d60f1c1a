"""Choice of one process of a user on a host, among processes that share no other resource."""

from __future__ import annotations

import os
import socket
import struct
import time

_CREDENTIALS = struct.Struct("3i")
"""struct ucred: process, user and group (unix(7))."""
_ATTEMPTS, _PAUSE_S = 10, 0.02
"""A name that was bound just now is not listened to yet: the question is repeated."""


def is_first_of_user(name: str) -> bool:
    """Return whether this is the first running process of this user here that asks for a name.

    The name is an abstract socket, which the kernel releases when the process ends. Where another
    user holds it, or its owner cannot be determined, each process is taken for the first: several
    are better than none.
    """
    claim = socket.socket(socket.AF_UNIX)
    try:
        claim.bind(f"\0{name}")
        claim.listen(socket.SOMAXCONN)
    except OSError:
        claim.close()
    else:
        claim.detach()  # it stays open until this process ends
        return True
    for _ in range(_ATTEMPTS):
        if _is_held_by_this_user(name):
            return False
        time.sleep(_PAUSE_S)
    return True


def _is_held_by_this_user(name: str) -> bool:
    with socket.socket(socket.AF_UNIX) as asking:
        asking.settimeout(0)  # a listener of another user may let a connection wait
        try:
            asking.connect(f"\0{name}")
            credentials = asking.getsockopt(
                socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size
            )
        except OSError:
            return False
    _process_id, user, _group = _CREDENTIALS.unpack(credentials)
    return bool(user == os.geteuid())
