"""Files that are whole or absent, and safe to open: safetensors with one JSON metadata key. Nothing is unpickled."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from neuroplastic.errors import DamagedFileError, RunError

KEY = "neuroplastic"
FORMAT = 1


def write_bytes(path: Path, content: bytes) -> None:
    """Writes beside the place, syncs, renames: at every moment the file is the old one or the new one.

    Raises:
        RunError: the disk is full or refuses; the old file is as it was.
    """
    beside = path.with_name(f".{path.name}.part")
    try:
        with beside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise write_error(path, error) from error


def write_error(path: Path, error: OSError) -> RunError:
    """The one line for a file that could not be written."""
    reason = "no space left on its disk" if error.errno in (errno.ENOSPC, errno.EDQUOT) else str(error)
    return RunError(f"{path}: cannot be written: {reason}; what was written before is untouched")


def save(path: Path, kind: str, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> None:
    """Writes tensors and plain values.

    Raises:
        RunError: the disk is full or refuses.
    """
    header = json.dumps({"format": FORMAT, "kind": kind, **meta})
    # Safetensors silently mis-saves arrays that are not contiguous, and refuses those that share their memory.
    dense = torch.contiguous_format
    whole = {name: tensor.detach().cpu().clone(memory_format=dense) for name, tensor in tensors.items()}
    write_bytes(path, safetensors.torch.save(whole, {KEY: header}))


def load(path: Path, kind: str, name: str | None = None) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Reads what `save` wrote under that kind.

    Args:
        path: of the file.
        kind: of file.
        name: what people know the file by, if not by its path.

    Raises:
        DamagedFileError: the file is missing, cut, foreign, or of another kind or a later format.
    """
    name = name or str(path)
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {}).get(KEY, "null"))
            # A tensor lies where the file has it; cloned, it is aligned as when it was saved. Sums round by that.
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, ValueError, RecursionError) as error:
        raise DamagedFileError(f"{name}: cannot be read: {error}") from error
    if not isinstance(header, dict) or header.get("kind") != kind:
        found = header.get("kind") if isinstance(header, dict) else "a file of another program"
        raise DamagedFileError(f"{name}: expected a neuroplastic {kind}; got {found!r}")
    if header.get("format") != FORMAT:
        raise DamagedFileError(f"{name}: expected file format {FORMAT}; got {header.get('format')!r}")
    return tensors, header
