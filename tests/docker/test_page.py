"""What docker/README.md and the files beside it tell people to type is what the programs understand."""

import re
from pathlib import Path

import pytest
import yaml
from commands import after, blocks, files, parse, parse_ray, shell
from dockerfile import DOCKERFILE, ROOT

FOLDER = ROOT / "docker"
PAGE = (FOLDER / "README.md").read_text(encoding="utf-8")


def typed() -> list[list[str]]:
    """The words of all commands of the page, and of the comments at the head of the files."""
    comments = [re.findall(r"^#  +(.*)", file.read_text(encoding="utf-8"), re.M) for file in FOLDER.glob("*.yaml")]
    return [*shell(blocks(PAGE)), *shell("\n".join(line for lines in comments for line in lines))]


COMMANDS = [words for words in typed() if after(words, "neuroplastic")]
RAYS = [words for words in typed() if after(words, "ray")]
COMPOSE = [words for words in typed() if words[:2] == ["docker", "compose"]]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_neuroplastic_understands(words: list[str]) -> None:
    options = after(words, "neuroplastic")
    assert options is not None
    parse(options)


@pytest.mark.parametrize("words", RAYS, ids=" ".join)
def test_ray_understands(words: list[str]) -> None:
    options = after(words, "ray")
    assert options is not None
    parse_ray(options)


@pytest.mark.parametrize("words", COMPOSE, ids=" ".join)
def test_compose_has_these_services(words: list[str]) -> None:
    services = yaml.safe_load((FOLDER / "compose.yaml").read_text(encoding="utf-8"))["services"]
    verb, *rest = words[4:]
    named = [word.partition(":")[0] for word in rest if not word.startswith("-")][:1]
    assert words[2:4] == ["--file", "docker/compose.yaml"]
    assert verb in ("up", "down") or named[0] in services


def test_there_is_something_of_each_to_parse() -> None:
    assert min(len(COMMANDS), len(RAYS), len(COMPOSE)) >= 8


def test_files_that_are_named_are_there() -> None:
    links = re.findall(r"\]\((?!http|#)([^)]+)\)", PAGE)
    assert links
    for place in [*files(PAGE), *(Path("docker", link) for link in links)]:
        assert (ROOT / place).exists(), place
    for anchor in re.findall(r"\]\(#([^)]+)\)", PAGE):
        assert anchor in [title.lower().replace(" ", "-") for title in re.findall(r"^## (.+)", PAGE, re.M)]


def test_build_arguments_on_the_page_are_those_of_the_dockerfile() -> None:
    known = set(re.findall(r"^ARG (\w+)=", DOCKERFILE.read_text(encoding="utf-8"), re.M))
    assert set(re.findall(r"^\| `([A-Z_]+)` \|", PAGE, re.M)) == known
    assert set(re.findall(r"--build-arg (\w+)=", PAGE)) <= known


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["evolve", "cartpole-hebbian", "--resumed", "auto"], "--resumed"),
        (["evolv", "cartpole-hebbian"], "evolv"),
        (["evolve", "cartpole-hebbian", "evaluate.workrs=1"], "did you mean 'workers'"),
        (["evolve", "cartpole-hebian"], "did you mean 'cartpole-hebbian'"),
    ],
)
def test_the_parser_refuses_what_the_program_refuses(words: list[str], message: str) -> None:
    with pytest.raises(Exception, match=message):
        parse(words)
