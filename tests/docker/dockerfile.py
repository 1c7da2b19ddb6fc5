"""Reads a Dockerfile, and carries out what it installs in a folder instead of an image."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from string import Template

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "docker" / "Dockerfile"


def instructions(text: str) -> list[tuple[str, str]]:
    """(FROM, RUN, ...; what follows it on its logical line), in their order."""
    text = re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ")
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in text.splitlines()) if word]


@dataclass
class Installed:
    """What a build left.

    Attributes:
        root: the folder that stands for / of all stages.
        environment: of the last stage.
        left_out: RUN steps that need an image: those that make users or install Debian's packages.
    """

    root: Path
    environment: dict[str, str]
    left_out: list[str] = field(default_factory=list)

    def place(self, text: str) -> str:
        """The text, with the image's paths in the folder."""
        return re.sub(r"(?<![\w./:-])/(?=(opt|src|wheels|runs|home|tmp)\b)", f"{self.root}/", text)


def install(text: str, context: Path, root: Path, arguments: Mapping[str, str]) -> Installed:
    """Carries out ARG, ENV, WORKDIR, COPY and RUN; stages share one root, so that COPY --from has nothing to do.

    Args:
        text: of the Dockerfile.
        context: the folder that COPY copies from.
        root: an empty folder.
        arguments: build arguments.

    Raises:
        ValueError: an instruction that this does not know.
        subprocess.CalledProcessError: a step failed.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    base = kept | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    built = Installed(root, base)
    folder = root
    (root / "tmp").mkdir()
    for word, rest in instructions(text):
        match word:
            case "FROM":
                built.environment, folder = dict(base), root
            case "ARG":
                name, _, value = rest.partition("=")
                built.environment[name] = arguments.get(name, value.strip('"'))
            case "ENV":
                for pair in shlex.split(rest):
                    name, _, value = pair.partition("=")
                    built.environment[name] = Template(built.place(value)).substitute(built.environment)
            case "WORKDIR":
                folder = Path(built.place(rest))
                folder.mkdir(parents=True, exist_ok=True)
            case "COPY":
                *sources, target = rest.split()
                if not sources[0].startswith("--from="):
                    _copy([context / source for source in sources], folder / target, into=target.endswith("/"))
            case "RUN":
                if rest.startswith("useradd ") or "apt-get" in rest:
                    built.left_out.append(rest)
                    continue
                _run(built.place(rest), folder, built.environment)
            case "USER" | "EXPOSE" | "CMD":
                pass
            case _:
                raise ValueError(f"{word}: expected an instruction that this file knows")
    return built


def _run(command: str, folder: Path, environment: dict[str, str]) -> None:
    words = ["sh", "-c", command]
    subprocess.run(words, cwd=folder, env=environment, check=True, capture_output=True, text=True, timeout=600)


def _copy(sources: list[Path], target: Path, into: bool) -> None:
    for source in sources:
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
        elif into:
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
        else:
            shutil.copy(source, target)
