"""Finds the commands on a page or in a file, and parses them as the real programs do, without running them."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import typer

from neuroplastic.cli import app
from neuroplastic.experiment.recipe import load_recipe

PLACE = re.compile(r"\b(?:docker|tests|neuroplastic|benchmarks)/[\w./-]+\.\w+|\bdocker/Dockerfile")


def shell(text: str) -> list[list[str]]:
    """The words of each command in the text: lines, and parts of lines, between &&, ||, ;, | and comments."""
    found = []
    for line in text.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        words: list[str] = []
        for word in [*lexer, ";"]:
            if not set(word) <= set("();<>|&"):
                words.append(word)
            elif words:
                found.append(words)
                words = []
    return found


def blocks(page: str) -> str:
    """All that stands in a page's ```sh blocks, without their indentation."""
    return "\n".join(re.sub(r"^ +", "", block, flags=re.M) for block in re.findall(r"```sh\n(.*?)```", page, re.S))


def after(words: list[str], program: str) -> list[str] | None:
    """The program's own words, however the command begins: with variables, a folder, or another program."""
    names = [Path(word).name if word.endswith(f"/{program}") else word for word in words]
    return words[names.index(program) + 1 :] if program in names[:-1] and names[0] != "kubectl" else None


def parse(words: list[str]) -> dict[str, Any]:
    """Parses the words after ``neuroplastic``; of ``evolve`` also the recipe and its overrides are checked.

    Raises:
        KeyError: a verb that is not there.
        UsageError: an option or argument that the verb does not have; typer's own.
        NeuroplasticError: a recipe that is not there, or that does not take an override.
    """
    group: Any = typer.main.get_command(app)
    if words[0].startswith("-"):
        return group.make_context("neuroplastic", words).params
    options = group.commands[words[0]].make_context(words[0], words[1:]).params
    if words[0] == "evolve":
        changes = [word for word in options["words"] if "=" in word]
        for recipe in set(options["words"]) - set(changes):
            load_recipe(recipe, changes)
    return options


def parse_ray(words: list[str]) -> None:
    """Parses the words after ``ray``, and those of what a job is to run."""
    from ray.scripts.scripts import cli

    command: Any = cli
    while words and hasattr(command, "commands"):
        command, words = command.commands[words[0]], words[1:]
    entrypoint = command.make_context("ray", words).params.get("entrypoint")
    if entrypoint and entrypoint[0] == "neuroplastic":
        parse(list(entrypoint[1:]))


def files(text: str) -> list[Path]:
    """The files of this project that the text names."""
    return [Path(name) for name in PLACE.findall(text)]
