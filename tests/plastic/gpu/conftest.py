"""Kernels of a GPU are tested where triton is installed; without a GPU, its interpreter runs them on the CPU."""

import os
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest
import torch

collect_ignore_glob = [] if find_spec("triton") else ["test_*.py"]

CUOBJDUMP = """
import subprocess, tempfile
import triton

def told(kernel, what):
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(kernel.asm["cubin"])
        file.flush()
        words = [triton.knobs.nvidia.cuobjdump.path, what, file.name]
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout
"""


@pytest.fixture
def compiling(tmp_path):
    """Runs a program in a process without the interpreter, where ``told`` is what cuobjdump says of a compiled kernel;
    gives what it prints.
    """
    nvidia = pytest.importorskip("triton.knobs").nvidia
    try:
        assert nvidia.ptxas.path
        assert nvidia.cuobjdump.path
    except RuntimeError as missing:
        pytest.skip(str(missing))
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}

    def run(program, *arguments):
        ran = subprocess.run(
            [sys.executable, "-c", CUOBJDUMP + program, *arguments],
            env=environment | {"TRITON_CACHE_DIR": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    return run


@pytest.fixture(autouse=True, scope="module")
def poisoned():
    """What is not written is NaN."""
    torch.use_deterministic_algorithms(True)
    assert torch.zeros(1).new_empty(3).isnan().all()
    yield
    torch.use_deterministic_algorithms(False)


@pytest.fixture
def random(generator):
    """Fresh random numbers each time; the seed is printed, so that a failure can be repeated."""
    return np.random.default_rng(generator.initial_seed())


@pytest.fixture
def audited(monkeypatch):
    """From its call on, programs run in a fresh order, and what they touch must lie in the arrays of the launch."""
    if torch.cuda.is_available():
        pytest.skip("looks into Triton's interpreter")
    from triton.runtime import interpreter

    builder, executor = interpreter.InterpreterBuilder, interpreter.GridExecutor
    random, spans, order = np.random.default_rng(), [], []
    begin, load, store = executor._init_args_hst, builder.create_masked_load, builder.create_masked_store
    grid, place = builder.set_grid_dim, builder.set_grid_idx

    def beginning(self, arguments, options):
        arrays = [argument for argument in arguments if isinstance(argument, torch.Tensor)]
        spans[:] = [(array.data_ptr(), array.data_ptr() + array.nbytes) for array in arrays]
        return begin(self, arguments, options)

    def check(pointers, mask, size):
        touched = np.broadcast_to(pointers.data, np.shape(mask.data))[mask.data]
        inside = [(first <= touched) & (touched + np.uint64(size) <= last) for first, last in spans]
        assert np.all(np.any(inside, axis=0)), "an address beyond the arrays of the launch"

    def loading(self, pointers, mask, *others):
        check(pointers, mask, interpreter._get_np_dtype(pointers.get_element_ty()).itemsize)
        return load(self, pointers, mask, *others)

    def storing(self, pointers, value, mask, *others):
        check(pointers, mask, value.data.itemsize)
        return store(self, pointers, value, mask, *others)

    def sized(self, x, y, z):
        order[:] = random.permutation(x).tolist()
        grid(self, x, y, z)

    def begin_audit():
        monkeypatch.setattr(executor, "_init_args_hst", beginning)
        monkeypatch.setattr(builder, "create_masked_load", loading)
        monkeypatch.setattr(builder, "create_masked_store", storing)
        monkeypatch.setattr(builder, "set_grid_dim", sized)
        monkeypatch.setattr(builder, "set_grid_idx", lambda self, x, y, z: place(self, order[x], y, z))

    return begin_audit
