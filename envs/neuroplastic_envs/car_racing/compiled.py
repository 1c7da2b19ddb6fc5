"""How the functions of this folder are compiled: for one thread, and kept on disk for as long as no file here changes.

What numba keeps of a function holds the functions that it calls and the constants that it names, but numba looks for
changes only in the function's own file. So the name under which a function is kept tells the contents of all files.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba import njit


def _contents(folder: Path) -> str:
    """A short hash of all Python files of a folder."""
    files = sorted(folder.glob("*.py"))
    return hashlib.sha256(b"".join(file.name.encode() + file.read_bytes() for file in files)).hexdigest()[:16]


CONTENTS = _contents(Path(__file__).parent)


def compiled(function: Callable[..., Any]) -> Any:
    """Compiles a function when it is first called. It releases the GIL, and divides as C does."""
    function.__qualname__ = f"{function.__qualname__}-{CONTENTS}"
    return njit(nogil=True, cache=True, error_model="numpy")(function)
