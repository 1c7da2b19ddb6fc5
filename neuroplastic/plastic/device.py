"""Where a network computes, how numbers get there and back, and how much room there is."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neuroplastic.errors import ArgumentError, DeviceError, require

_SPARE = 0.05  # share of a device's memory that is left to torch's allocator and to what passes through
_WARM = 3  # steps of all lives before theirs is recorded: kernels are compiled, and workspaces made


def named_device(name: str) -> torch.device:
    """The device of a name: "cpu", "cuda", "cuda:1", …, or "auto": a GPU if there is one. Others need not be here.

    Raises:
        ArgumentError: no such name.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if not re.fullmatch(r"cpu|cuda(:(0|[1-9][0-9]{0,3}))?", name):
        raise ArgumentError(f"device: expected 'cpu', 'cuda', 'cuda:N' or 'auto'; got {name!r}")
    return torch.device(name)


def check_device(device: torch.device) -> None:
    """Refuses a GPU that is not there.

    Raises:
        DeviceError: it is not.
    """
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device.type == "cuda" and (device.index or 0) >= count:
        raise DeviceError(f"device: expected one of the {count} GPUs that torch sees; got {str(device)!r}")


def interpreted() -> bool:
    """Whether Triton's kernels are interpreted: then they run without a GPU, thousands of times slower, for tests."""
    return os.environ.get("TRITON_INTERPRET", "") in ("1", "true", "on")


def device_of(backend: str, device: str | None) -> torch.device:
    """Where a backend computes: "cpu" on the cpu, "gpu" on a GPU, "reference" on any device. It need not be here.

    Raises:
        ArgumentError: no such device's name, or the backend does not compute there.
        MissingExtraError: the backend is "gpu", and Triton is not installed.
    """
    if backend == "gpu":
        require("triton", "gpu")
        if interpreted():
            return torch.device("cpu")
    found = named_device(device or ("cuda" if backend == "gpu" else "cpu"))
    if backend != "reference" and (backend == "gpu") != (found.type == "cuda"):
        raise ArgumentError(
            f"device: expected {'cuda' if backend == 'gpu' else 'cpu'!r} for backend {backend!r}; got {device!r}"
        )
    return found


def check_room(device: torch.device, lives: int, life_bytes: int, fixed_bytes: int = 0, processes: int = 1) -> None:
    """Refuses more lives than a GPU has memory for.

    Args:
        lives: B, in each process.
        life_bytes: memory of each.
        fixed_bytes: memory of a process that does not grow with lives.
        processes: that share the GPU.

    Raises:
        DeviceError: the GPU is not there; or it has not enough memory: then the error names the batch that would fit.
    """
    check_device(device)
    free = torch.cuda.mem_get_info(device)[0]
    held = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)  # by torch's allocator, unused
    refuse_too_many(str(device), free + held, lives, life_bytes, fixed_bytes, processes)


def refuse_too_many(device: str, free: int, lives: int, life_bytes: int, fixed_bytes: int, processes: int = 1) -> None:
    """`check_room`, of a device with so many bytes ``free``."""
    fits = max(0, int((1 - _SPARE) * free - processes * fixed_bytes) // (processes * life_bytes))
    if lives > fits:
        each = f" in each of {processes} processes" if processes > 1 else ""
        raise DeviceError(
            f"batch: expected at most {fits:,} lives{each}, for which {device} has room ({free / 1e9:.1f} GB are free, "
            f"and a life takes {life_bytes / 1e6:.2f} MB); got {lives:,}"
        )


class Ferry:
    """Takes observations to a device and outputs back, and keeps the device's step of all lives on record.

    On a GPU the way there, the step and the way back are queued on a stream of their own; the caller is free meanwhile.
    Copies go through pinned memory. From the fourth step of all lives on, in the same order, kernels are not launched
    one by one: what they do stands in a CUDA graph. The lives of some rows may be replaced in place meanwhile.

    Args:
        step: observations [b, I], rewards [b] and rows int64 [b] on the device -> outputs [b, O].
        inputs: I.
        device: where.
        dtype: of the numbers there.
    """

    def __init__(
        self, step: Callable[[Tensor, Tensor, Tensor], Tensor], inputs: int, device: torch.device, dtype: torch.dtype
    ) -> None:
        self._step, self._inputs, self.device, self._dtype = step, inputs, device, dtype
        self._queued = device.type == "cuda"
        self._own: torch.cuda.Stream | None = None
        self.forget()

    def __getstate__(self) -> dict[str, Any]:
        """Without what lies on the device: a copy records steps of its own."""
        copied = object.__new__(Ferry)
        copied.__dict__ |= {name: getattr(self, name) for name in ("_step", "_inputs", "device", "_dtype", "_queued")}
        copied._own = None
        copied.forget()
        return copied.__dict__

    def forget(self) -> None:
        """What is on record holds no more: other lives were born, or none live. Waits for a step that nobody took."""
        if self._own:
            self._own.synchronize()
        self._graph: Any = None
        self._outputs: Tensor | None = None  # of the graph
        self._steps = 0  # of all lives since then, in the order of `_whole`
        self._whole: Tensor | None = None
        self._there: tuple[Tensor, Tensor] | None = None  # all observations and rewards, where the graph reads them
        self._here: dict[str, Tensor] = {}  # pinned

    def start(self, observations: Any, rewards: Any, rows: Tensor, whole: bool) -> Callable[[], NDArray[Any]]:
        """Begins a step; who calls what comes back waits for the outputs [b, O].

        Args:
            observations: array [b, I].
            rewards: array [b].
            rows: int64 [b], on the device; the same tensor as long as its numbers stay the same.
            whole: whether these are all lives, and their step may be recorded.
        """
        if not self._queued:
            outputs = self.act(torch.from_numpy(observations), torch.from_numpy(rewards), rows, whole)
            return outputs.numpy
        stream = self._own = self._own or torch.cuda.Stream(self.device)
        stream.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(stream):
            outputs = self.act(
                self._pinned("observations", observations), self._pinned("rewards", rewards), rows, whole
            )
            here = self._buffer("outputs", outputs.shape, outputs.dtype)
            here.copy_(outputs, non_blocking=True)
            arrived = torch.cuda.Event()
            arrived.record(stream)

        def finish() -> NDArray[Any]:
            arrived.synchronize()
            return here.numpy().copy()

        return finish

    def act(self, observations: Tensor, rewards: Tensor, rows: Tensor, whole: bool) -> Tensor:
        """A step on the present stream; outputs [b, O] on the device hold until the next one."""
        if not self._queued or not whole:
            return self._step(self._sent(observations), self._sent(rewards), rows)
        if self._whole is not rows:
            self._graph, self._steps, self._whole, self._there = None, 0, rows, None
        if self._there is None:
            self._there = self._sent(observations).clone(), self._sent(rewards).clone()
        else:
            for there, numbers in zip(self._there, (observations, rewards), strict=True):
                there.copy_(numbers, non_blocking=True)
        self._steps += 1
        if self._graph is None and self._steps <= _WARM:
            return self._step(*self._there, rows)
        if self._graph is None:
            graph, stream = torch.cuda.CUDAGraph(), torch.cuda.Stream(self.device)
            with (
                torch.cuda.device(self.device),
                torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"),
            ):
                self._outputs = self._step(*self._there, rows)
            self._graph = graph
        self._graph.replay()
        assert self._outputs is not None
        return self._outputs

    def _sent(self, numbers: Tensor) -> Tensor:
        return numbers.to(self.device, self._dtype, non_blocking=True).contiguous()

    def _pinned(self, name: str, numbers: NDArray[Any]) -> Tensor:
        here = self._buffer(name, numbers.shape, self._dtype)
        return here.copy_(torch.from_numpy(np.ascontiguousarray(numbers)))

    def _buffer(self, name: str, shape: Any, dtype: torch.dtype) -> Tensor:
        """Pinned memory that the step before has read already: its outputs have arrived."""
        found = self._here.get(name)
        if found is None or found.shape != shape:
            found = self._here[name] = torch.empty(shape, dtype=dtype, pin_memory=True)
        return found
