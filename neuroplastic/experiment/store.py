"""Places that are no disk of this machine: any address that fsspec knows, such as ``s3://bucket/runs/x``.

Endpoints and credentials are those of fsspec and of the protocol's own library: ``AWS_ENDPOINT_URL``,
``FSSPEC_S3_ENDPOINT_URL``, ``~/.aws``, ``~/.config/fsspec``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from neuroplastic.errors import ArgumentError, DamagedFileError, MissingExtraError, RunError

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem


class StoreError(RunError):
    """A store cannot be reached, or refuses."""


class Store:
    """The objects under an address.

    Attributes:
        address: as a person gave it.
    """

    def __init__(self, address: str, files: AbstractFileSystem, root: str) -> None:
        self.address = address.rstrip("/")
        self._files, self._root = files, root.rstrip("/")

    def __str__(self) -> str:
        return self.address

    def names(self, *, new: bool = False) -> list[str]:
        """Of all objects, relative to the address; "" is an object at the address itself.

        Args:
            new: whether an address that is not there counts as one with nothing in it.

        Raises:
            StoreError: it cannot be listed.
        """
        with self._reached("listed"):
            self._files.invalidate_cache()
            try:
                found = list(self._files.find(self._root))
            except FileNotFoundError:
                if not new:
                    raise
                found = []
        return sorted(path.removeprefix(self._root).lstrip("/") for path in found)

    def read(self, name: str = "") -> bytes:
        """The object of that name; of no name: that at the address itself.

        Raises:
            DamagedFileError: it is missing.
            StoreError: it cannot be read.
        """
        with self._reached("read"):
            try:
                return bytes(self._files.cat_file(self._path(name)))  # pyright: ignore[reportArgumentType]
            except FileNotFoundError as error:
                raise DamagedFileError(f"{self.address}{'/' * bool(name)}{name}: it is missing") from error

    def write(self, name: str, content: bytes) -> None:
        """Makes an object, whole or not at all where the store promises that.

        Raises:
            StoreError: it cannot be written.
        """
        with self._reached("written"):
            self._pipe(name, content, "overwrite")

    def create(self, name: str, content: bytes) -> bool:
        """Makes an object unless there is one of that name.

        Where the store itself can do that (S3, Google's, Azure's, most that speak S3), at most one of several drivers
        succeeds; elsewhere two that try within a moment may both.

        Returns:
            Whether it was made.

        Raises:
            StoreError: it cannot be written.
        """
        with self._reached("written"):
            self._files.invalidate_cache()
            if self._files.exists(self._path(name)):  # all that there is where a store knows no exclusive writing
                return False
            try:
                self._pipe(name, content, "create")
            except FileExistsError:
                return False
            return True

    def remove(self, name: str) -> None:
        """Removes an object, if it is there.

        Raises:
            StoreError: it cannot be removed.
        """
        with self._reached("removed"), suppress(FileNotFoundError):
            self._files.rm_file(self._path(name))

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}" if name else self._root

    def _pipe(self, name: str, content: bytes, mode: str) -> None:
        try:
            self._files.pipe_file(self._path(name), content, mode=mode)
        except FileNotFoundError:  # no folder yet, where there are folders; this makes no bucket
            with suppress(FileExistsError):
                self._files.mkdir(self._root, create_parents=False)
            self._files.pipe_file(self._path(name), content, mode=mode)

    @contextmanager
    def _reached(self, doing: str) -> Iterator[None]:
        try:
            yield
        except DamagedFileError:
            raise
        except Exception as error:  # every protocol's library has errors of its own
            raise StoreError(
                f"{self.address}: expected a store that can be reached with the credentials given; "
                f"it cannot be {doing}: {type(error).__name__}: {error}"
            ) from error


Address = str | Path | Store
"""A path of this machine, or an address that fsspec knows, such as ``s3://bucket/runs/x``; that only as text."""


def located(address: Address) -> Path | Store:
    """Where that is: a path of this machine (``file://`` too), or a store. Nothing is asked of the store yet.

    Raises:
        ArgumentError: no protocol has that name, or nothing follows it.
        MissingExtraError: the library for that protocol is not installed.
    """
    if isinstance(address, Store):
        return address
    text = str(address)
    if "://" not in text:
        if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", text):  # one letter is a disk
            raise ArgumentError(
                f"address: expected PROTOCOL://… as text; got {text!r} (a slash is lost by pathlib.Path, too)"
            )
        return Path(address)
    import fsspec
    from fsspec.implementations.local import LocalFileSystem

    try:
        files, root = fsspec.url_to_fs(text, skip_instance_cache=True)
    except ImportError as error:
        extra = "; it comes with: pip install 'neuroplastic[s3]'" if text.startswith(("s3:", "s3a:")) else ""
        raise MissingExtraError(f"{text}: {error}{extra}") from error
    except Exception as error:  # some connect at once
        raise ArgumentError(
            f"{text}: expected a path, or an address that fsspec can open, such as s3://bucket/runs/x; "
            f"{type(error).__name__}: {error}"
        ) from error
    if not root.strip("/"):
        raise ArgumentError(f"{text}: expected an address such as s3://bucket/runs/x; got nothing behind the protocol")
    return Path(root) if isinstance(files, LocalFileSystem) else Store(text, files, root)
