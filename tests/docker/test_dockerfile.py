"""The Dockerfile: linted, and its steps carried out in a clean virtual environment."""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from dockerfile import DOCKERFILE, ROOT, install, instructions
from safetensors.torch import load_file

BIN = Path(sys.executable).parent
NAMESPACES = ("unshare", "--user", "--map-root-user", "--net", "--pid", "--fork", "--kill-child", "--mount-proc")

LOOPBACK = """
import fcntl, os, socket, struct, sys
IFF_UP, IFF_RUNNING, SIOCSIFFLAGS = 0x1, 0x40, 0x8914
lo = struct.pack("16sh", b"lo", IFF_UP | IFF_RUNNING)
fcntl.ioctl(socket.socket(socket.AF_INET, socket.SOCK_DGRAM), SIOCSIFFLAGS, lo)
os.execvp(sys.argv[1], sys.argv[1:])
"""

TINY = ("generations=2", "search.population=4", "task.horizon=50")
CLUSTER = """
set -e
ray start --head --node-ip-address=127.0.0.1 --num-cpus=1 --temp-dir={temporary}
RAY_ADDRESS=127.0.0.1:6379 neuroplastic evolve cartpole-hebbian {tiny} --run there --cluster auto
"""


def test_hadolint_finds_nothing() -> None:
    found = subprocess.run([BIN / "hadolint", DOCKERFILE], capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (0, "")


def test_what_is_copied_is_not_ignored_and_nothing_else_is_sent() -> None:
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = [rest.split()[:-1] for word, rest in instructions(DOCKERFILE.read_text()) if word == "COPY"]
    sources = {name.partition("/")[0] for names in copied for name in names if not names[0].startswith("--")}
    assert sources == kept
    assert all((ROOT / name).exists() for name in kept)


def test_nobody_is_root_at_run_time() -> None:
    steps = instructions(DOCKERFILE.read_text())
    last = max(number for number, (word, _) in enumerate(steps) if word == "FROM")
    users = [rest for word, rest in steps[last:] if word == "USER"]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", users[-1]), users  # a number: what Kubernetes' runAsNonRoot can check


def test_python_is_pinned_by_tag() -> None:
    steps = instructions(DOCKERFILE.read_text())
    assert steps[0][0] == "ARG"
    assert re.fullmatch(r"PYTHON=3\.11-slim-\w+", steps[0][1])
    assert {rest.split(" ")[0] for word, rest in steps if word == "FROM"} == {"python:${PYTHON}"}


@pytest.mark.slow
def test_the_steps_install_what_then_needs_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a network namespace where that is allowed; elsewhere what honours proxies is refused."""
    monkeypatch.setenv("PIP_NO_COMPILE", "1")  # half a minute less
    arguments = {"TORCH_INDEX": "", "WARM": "cartpole-hebbian"}  # torch from where pip is configured to look
    try:
        image = install(DOCKERFILE.read_text(), ROOT, tmp_path, arguments)
    except subprocess.CalledProcessError as error:
        pytest.fail(f"{error.cmd[-1]}\n{error.stdout}\n{error.stderr}")
    assert [step.split()[0] for step in image.left_out] == ["if", "useradd"]

    home = tmp_path / "home" / "evolver"
    environment = image.environment | {"HOME": str(home)}

    def run(*words: str) -> str:
        done = subprocess.run(words, cwd=home, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    assert "evolve" in run("neuroplastic", "--help")
    for package in ("neuroplastic", "neuroplastic_envs"):
        place = run("python", "-c", f"import {package}; print({package}.__file__)")
        assert Path(place).is_relative_to(tmp_path / "opt" / "venv"), place
    assert run("neuroplastic", "recipes", "quadruped-quick") == (
        ROOT / "neuroplastic" / "recipes" / "quadruped-quick.toml"
    ).read_text(encoding="utf-8")

    cache = Path(environment["NUMBA_CACHE_DIR"])
    warm = sorted(cache.rglob("*.nbc"))
    assert warm
    alone = [*NAMESPACES, "python", "-c", LOOPBACK]
    if subprocess.run([*NAMESPACES, "true"], capture_output=True, check=False).returncode:
        alone = []
        environment |= dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    run(*alone, "neuroplastic", "evolve", "cartpole-hebbian", *TINY, "evaluate.workers=2", "--run", "here")
    if alone:  # a cluster in a namespace of its own ends with it, and disturbs no other
        with tempfile.TemporaryDirectory(prefix="ray") as temporary:  # short: sockets lie in it
            run(*alone, "sh", "-c", CLUSTER.format(temporary=temporary, tiny=" ".join(TINY)))
        here, there = (load_file(home / run / "center.safetensors")["genome"] for run in ("here", "there"))
        assert here.equal(there)
    assert sorted(cache.rglob("*.nbc")) == warm
