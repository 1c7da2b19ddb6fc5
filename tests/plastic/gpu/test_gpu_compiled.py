"""What Triton makes of the fused step for compute capability 9.0, which needs no GPU: registers and loads."""

import json

import pytest

PROGRAM = r"""
import json, re, sys
import numpy as np, torch, triton
from triton.backends.compiler import GPUTarget
from neuroplastic.genome import Layout, Sample
from neuroplastic.plastic.kernels.gpu import HebbianLayer, made
from neuroplastic.plastic.kernels.gpu.kernel import tile_of

class Absent:
    # a GPU that is not there
    def get_current_target(self):
        return GPUTarget("cuda", 90, 32)

    def get_current_device(self):
        return 0

    def get_current_stream(self, device):
        return 0

compiled, run = [], triton.JITFunction.run

def compile_only(self, *arguments, grid, warmup, **options):
    compiled.append(run(self, *arguments, grid=grid, warmup=True, **options))

triton.runtime.driver.set_active(Absent())
triton.JITFunction.run = compile_only

for setting in json.loads(sys.argv[1]):
    inputs, outputs, group = (setting[name] for name in ("inputs", "outputs", "group"))
    shape, lives, storage = (outputs, inputs), 2 * group, setting["storage"]
    layout = Layout((("others", (4,)), *((name, shape) for name in setting["terms"])))
    streams = np.arange(2, dtype=np.uint64).repeat(group)
    sample = Sample(torch.zeros(layout.size), 0.1, streams, np.ones(lives, np.int8))
    dense = layout.split(torch.zeros(lives, layout.size))
    arrays = dict(sample.split(layout) if storage == "made" else dense)
    others, weights = arrays.pop("others"), torch.zeros(lives, *shape)
    if setting["fixed"]:
        arrays |= {"fixed": weights, "gain": weights}
    layer = HebbianLayer(weights, arrays, "tanh", setting["normaliser"], storage=storage, **setting["options"])
    compiled.clear()
    pre, signal, rows = torch.zeros(lives, inputs), torch.zeros(lives), torch.arange(lives)
    layer.step(pre, signal, rows)
    if setting["options"].get("modulated"):  # perhaps by a unit of the network, which all layers wait for
        layer.learn(pre, layer.forward(pre, rows), signal, rows)
    if storage == "made":
        made(others, torch.device("cpu"))
    block, chunk, chunks, warps = tile_of(inputs, outputs)
    for kernel in compiled:
        usage, code = told(kernel, "-res-usage"), told(kernel, "-sass")
        found = {name.lower(): int(number) for name, number in re.findall(r"(REG|STACK|LOCAL):(\d+)", usage)}
        found |= {"name": kernel.metadata.name, "each": block * chunk * chunks // (32 * kernel.metadata.num_warps)}
        found |= {"loads": len(re.findall(r"LDG\S*\.128", code)), "stores": len(re.findall(r"STG\S*\.128", code))}
        print(json.dumps(setting | found))
"""

QUADRUPED = [(28, 128), (128, 64), (64, 8)]
CAR_RACING = [(648, 128), (128, 64), (64, 3)]
TERMS = ["A", "B", "C", "D", "lr"]


def setting(size, storage="float32", normaliser="none", group=1, terms=TERMS, fixed=False, **options):
    """The step of a layer as the program is told of it; ``group``: lives of one stream."""
    inputs, outputs = size
    return {
        "inputs": inputs,
        "outputs": outputs,
        "storage": storage,
        "normaliser": normaliser,
        "group": group,
        "terms": terms,
        "fixed": fixed,
        "options": options,
    }


@pytest.fixture
def compiled(compiling):
    """What becomes of the kernels of some settings."""

    def run(settings):
        found = [json.loads(line) for line in compiling(PROGRAM, json.dumps(settings)).splitlines()]
        assert sum(kernel["name"] == "step" for kernel in found) >= len(settings)
        return found

    return run


def check(found):
    """Nothing that a thread holds is spilled to memory."""
    for kernel in found:
        assert (kernel["stack"], kernel["local"]) == (0, 0), kernel
        assert kernel["reg"] <= 255


@pytest.mark.slow
def test_stored_coefficients_are_read_in_the_widest_words(compiled):
    """Of the two networks that the project is measured by: weights and coefficients, four floats at a time."""
    sizes = [(size, "none") for size in QUADRUPED] + [(size, "max") for size in CAR_RACING]
    storages = ("float32", "bfloat16")
    found = compiled([setting(size, storage, normaliser) for size, normaliser in sizes for storage in storages])
    check(found)
    for kernel in found:
        words = kernel["each"] // 4
        arrays = 1 + (4 if kernel["storage"] == "float32" else 0)
        assert kernel["loads"] >= arrays * words, kernel
        assert kernel["stores"] >= words, kernel


@pytest.mark.slow
@pytest.mark.parametrize("group", [1, 2])
def test_made_coefficients_stay_in_registers(compiled, group):
    """Of the same networks; of members alone and of antithetic pairs. Norms of rows take the most."""
    some = QUADRUPED + CAR_RACING[-1:] if group == 1 else QUADRUPED[:1] + CAR_RACING
    settings = [setting(size, "made", "none" if size in QUADRUPED else "max", group) for size in some]
    check(compiled([*settings, *(setting(size, "made", "row", group) for size in QUADRUPED[:2])]))


@pytest.mark.slow
def test_every_switch_compiles(compiled):
    found = compiled(
        [
            *(setting((28, 128), normaliser=name) for name in ("row", "clip", "standardise")),
            setting((28, 128), trace=0.5),
            setting((28, 128), every=3),
            setting((28, 128), fixed=True),
            setting((28, 128), modulated=True, every=2, trace=0.5, fixed=True, terms=[*TERMS, "decay"]),
            setting((64, 3), "made", "standardise", 2, modulated=True, every=2, terms=["A", "decay"]),
            setting((28, 128), terms=[]),
            setting((1, 1), "bfloat16", "max", terms=["B"]),
        ]
    )
    check(found)
    assert {kernel["name"] for kernel in found} == {"step", "tick", "_perturb"}
