"""Imports point one way, and what is dear is not loaded before it is needed."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LEVELS = [
    {"errors"},
    {"genome", "noise"},
    {"search", "plastic", "learned", "pathnet"},
    {"tasks"},
    {"evaluate"},
    {"learners"},
    {"experiment"},
    {"view"},
    {"cli"},
    {"__main__"},
]
LEVEL = {name: level for level, names in enumerate(LEVELS) for name in names}
GPU = ("front", "functions", "kernel", "layer", "sampled")
OWNERS = {  # libraries that only these files may import
    "numba": {
        "neuroplastic/noise.py",
        "neuroplastic/plastic/kernels/convolution.py",
        "neuroplastic/plastic/kernels/cpu.py",
        "neuroplastic/tasks/lives.py",
        "neuroplastic/tasks/spaces.py",
        "envs/neuroplastic_envs/quadruped/stock.py",
        "envs/neuroplastic_envs/car_racing/compiled.py",
        "envs/neuroplastic_envs/changing/physics.py",
    },
    "pybullet": {"envs/neuroplastic_envs/quadruped/bullet.py"},
    "matplotlib": {f"neuroplastic/view/{name}.py" for name in ("learning", "panel", "paths", "plot")},
    "pygame": set(),
    "fsspec": {"neuroplastic/experiment/store.py"},
    "triton": {f"neuroplastic/plastic/kernels/gpu/{name}.py" for name in GPU},
    "ray": set(),  # imported when a cluster is asked for
}


def imports(file: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "." * node.level)
            if node.module == "neuroplastic":
                found |= {f"neuroplastic.{alias.name}" for alias in node.names}
    return found


def sources(folder: str) -> list[Path]:
    files = sorted((ROOT / folder).rglob("*.py"))
    assert files
    return files


@pytest.mark.parametrize("file", sources("neuroplastic"), ids=lambda file: str(file.relative_to(ROOT)))
def test_imports_point_one_way(file: Path) -> None:
    own = file.relative_to(ROOT / "neuroplastic").parts[0].removesuffix(".py")
    if own == "__init__":
        assert not any(name.startswith("neuroplastic") for name in imports(file))
        return
    for name in imports(file):
        package, _, rest = name.partition(".")
        part = rest.partition(".")[0]
        if package == "neuroplastic" and part and part != own and part != "__version__":
            assert LEVEL[part] < LEVEL[own], f"{own} imports {name}"
        assert package != "neuroplastic_envs", "environments are reached by their Gymnasium id only"


@pytest.mark.parametrize("file", sources("envs"), ids=lambda file: file.name)
def test_environments_know_nothing_of_the_rest(file: Path) -> None:
    assert not any(name.partition(".")[0] == "neuroplastic" for name in imports(file))


@pytest.mark.parametrize("library", OWNERS)
def test_a_library_is_imported_only_where_it_is_owned(library: str) -> None:
    users = {
        str(file.relative_to(ROOT))
        for folder in ("neuroplastic", "envs")
        for file in sources(folder)
        if any(name.partition(".")[0] == library for name in imports(file))
    }
    assert users <= OWNERS[library]


@pytest.mark.parametrize(
    "statement",
    ["import neuroplastic", "import sys; sys.argv = ['neuroplastic', '--help']; import neuroplastic.cli"],
)
def test_starting_loads_nothing_dear(statement: str) -> None:
    dear = ["torch", "numba", "gymnasium", "pybullet", "pydantic", "matplotlib", "numpy", "ray", "triton"]
    check = f"{statement}\nimport sys; print([name for name in {dear} if name in sys.modules])"
    out = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"


def test_environments_do_not_load_their_physics_when_imported() -> None:
    check = "import neuroplastic_envs, sys; print('pybullet' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "False"
