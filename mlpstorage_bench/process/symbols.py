"""Functions of the C library that move and flush data, and the objects that have them here.

A library that was loaded before the C library (LD_PRELOAD, LD_AUDIT, /etc/ld.so.preload) may have
functions of the same names, which then do something else for Python and this package as well.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass, field

FUNCTIONS = (
    *("fsync", "fdatasync", "posix_fadvise", "open", "pread", "pwrite", "preadv", "pwritev"),
    *("posix_fadvise64", "open64", "pread64", "pwrite64", "preadv64", "pwritev64"),
    *("preadv2", "pwritev2", "preadv64v2", "pwritev64v2", "sync_file_range", "syscall"),
)
"""Functions that are looked up. Programs for large files, as Python is, call those with 64."""

_C_LIBRARY = ("libc.so.6", "libpthread.so.0")
"""Names of the C library's objects; before glibc 2.34, some functions are in the second. musl takes
both for itself."""
_ONLY_LOADED = 4
"""RTLD_NOLOAD: an object that is not loaded is an error."""


class _Place(ctypes.Structure):
    """Dl_info of dladdr(3)."""

    _fields_ = (
        ("object", ctypes.c_char_p),
        ("base", ctypes.c_void_p),
        ("symbol", ctypes.c_char_p),
        ("address", ctypes.c_void_p),
    )


@dataclass(frozen=True)
class ResolvedFunctions:
    """The objects of functions, by their paths."""

    c_library: tuple[str, ...] = ()
    """The C library's own objects."""
    objects: dict[str, str] = field(default_factory=dict)
    """Path of the object by function; functions that this C library lacks are absent."""
    problem: str = ""
    """Reason why nothing could be looked up; '' if it could."""

    @property
    def replaced(self) -> dict[str, str]:
        """Functions that are not the C library's, with their objects."""
        return {name: path for name, path in self.objects.items() if path not in self.c_library}


def resolve_functions() -> ResolvedFunctions:
    """Return the object of each function, as this process resolves it (dlsym(3), dladdr(3))."""
    own = [library for name in _C_LIBRARY if (library := _loaded(name)) is not None]
    if not own:
        return ResolvedFunctions(
            problem="the C library cannot be looked up: it is linked statically"
        )
    everywhere = ctypes.CDLL(None)
    # dladdr was in a library of its own before glibc 2.34
    look_up = (own[0] if hasattr(own[0], "dladdr") else everywhere).dladdr
    objects = {name: _object_of(everywhere, name, look_up) for name in FUNCTIONS}
    of_library = {_object_of(library, name, look_up) for library in own for name in FUNCTIONS}
    return ResolvedFunctions(
        tuple(sorted(path for path in of_library if path)),
        {name: path for name, path in objects.items() if path},
    )


def _loaded(name: str) -> ctypes.CDLL | None:
    try:
        return ctypes.CDLL(name, mode=_ONLY_LOADED)
    except OSError:
        return None


def _object_of(library: ctypes.CDLL, name: str, look_up: Callable[..., int]) -> str:
    """Return the path of the object that has a function; '' if there is no such function."""
    try:
        function = library[name]
    except AttributeError:
        return ""
    place = _Place()
    found = look_up(ctypes.cast(function, ctypes.c_void_p), ctypes.byref(place))
    return (place.object or b"").decode(errors="replace") if found else ""
