"""The command line: verbs that parse, call and print."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from neuroplastic import __version__
from neuroplastic.errors import NeuroplasticError

if TYPE_CHECKING:
    from neuroplastic.experiment.agent import Agent

app = typer.Typer(
    name="neuroplastic",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Evolve how networks change while they live, and look at what was found.\n\n"
    "A first walk: [bold]neuroplastic recipes[/], then [bold]neuroplastic evolve cartpole-hebbian[/], "
    "[bold]neuroplastic evaluate runs/cartpole-hebbian[/] and "
    "[bold]neuroplastic replay runs/cartpole-hebbian --video cartpole.mp4[/].",
)

AgentArgument = Annotated[
    str, typer.Argument(metavar="AGENT", help="A run folder or an agent file; s3://bucket/runs/x and the like, too.")
]
Trust = Annotated[
    bool, typer.Option("--trust", help="Load code that the agent's recipe names and that is not of this project.")
]
Which = Annotated[
    str, typer.Option(help="Of a run folder: 'center' (what the search would return) or 'best' (the best member).")
]
Cluster = Annotated[
    str | None,
    typer.Option(
        metavar="auto|ADDRESS",
        help="Work on a Ray cluster: 'auto' joins that of a Ray job or of this machine, or else starts one here; "
        "ray://host:10001 joins that one.",
    ),
]

Transplant = Annotated[
    str | None,
    typer.Option(metavar="ENV_ID", help="Let it live in another body or environment of the same interface."),
]
EnvOption = Annotated[
    list[str] | None,
    typer.Option(metavar="KEY=VALUE", help="What that environment is made with; may be repeated."),
]


def main() -> None:
    """Runs the command line; an error that is meant for people is one line and exit status 1."""
    sys.path.append(str(Path.cwd()))  # so that a recipe can name a module of the person's own
    try:
        app()
    except NeuroplasticError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)


def _version(asked: bool) -> None:
    if asked:
        print(f"neuroplastic {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Say which.")] = False,
) -> None: ...


@app.command()
def recipes(
    name: Annotated[str | None, typer.Argument(help="Print this recipe, to read or to begin your own from.")] = None,
) -> None:
    """What can be evolved: name, one line, and what it costs.

    Steps are of environments at most (lives may end before), or updates of networks that learn, or minibatches.
    [bold]neuroplastic evolve[/] says how long that takes on your machine before it starts.
    """
    from rich.console import Console
    from rich.table import Table

    from neuroplastic.experiment.recipe import load_recipe, recipe_files

    if name is not None:
        load_recipe(name)
        print(recipe_files().get(name, Path(name)).read_text(encoding="utf-8"), end="")
        return
    from neuroplastic.experiment.kinds import KINDS

    table = Table("recipe", "what it is", "generations", "steps at most", box=None, header_style="bold")
    for shipped in recipe_files():
        recipe = load_recipe(shipped)
        kind = KINDS[recipe.kind]
        table.add_row(
            shipped,
            recipe.description,
            str(kind.resolved(recipe).generations),
            f"{kind.nominal_steps(recipe):.1e}",
        )
    Console().print(table)


@app.command()
def rules(
    network: Annotated[
        str, typer.Option(help="Units of its layers, for the numbers that evolve in it.", metavar="I-H-…-O")
    ] = "28-128-64-8",
) -> None:
    """How synapses can change: name, formula, how many numbers evolve, and the paper.

    i is the unit before the synapse, j the one after it. A recipe names one by rule.name; "hebbian" has every switch of
    these for itself, module:Class is yours.
    """
    from rich.console import Console
    from rich.table import Table

    from neuroplastic.errors import ArgumentError
    from neuroplastic.plastic.published import PUBLISHED

    sizes = network.split("-")
    if not all(size.isdecimal() for size in sizes):
        raise ArgumentError(f"--network: expected sizes of layers, such as 28-128-64-8; got {network!r}")
    table = Table("rule", "formula", f"numbers in {network}", "paper", box=None, header_style="bold")
    table.columns[2].justify = "right"
    for name, published in PUBLISHED.items():
        table.add_row(name, published.formula, published.numbers([int(size) for size in sizes]), published.paper)
    Console().print(table)


@app.command()
def strategies(
    size: Annotated[int, typer.Option(help="Numbers in a genome, D.", min=1)] = 61_440,
    population: Annotated[int, typer.Option(help="Members of a generation, P.", min=2)] = 200,
) -> None:
    """What can search: name, when to use it, memory at a genome's length, and the paper.

    A recipe names one by search.name; evotorch:NAME and cma:CMA are those of other libraries, module:Class is yours.
    """
    from rich.console import Console
    from rich.table import Table

    from neuroplastic import search

    table = Table(
        "search.name", "use it", f"MB at D = {size:,}", "paper", box=None, header_style="bold", pad_edge=False
    )
    for name, strategy in search.strategies.items():
        needed = strategy.megabytes(size, population)
        table.add_row(name, strategy.summary, "-" if needed != needed else f"{needed:,.1f}", strategy.paper)
    Console().print(table)


@app.command()
def evolve(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RECIPE]... [KEY=VALUE]...",
            help="A recipe's name or a .toml file of yours (or several), and changes to it, such as "
            "search.sigma=0.05 seed=3.",
        ),
    ] = None,
    run: Annotated[
        str | None,
        typer.Option(help="The run folder; s3://bucket/runs/x and the like, too; runs/RECIPE unless said otherwise."),
    ] = None,
    resume: Annotated[
        str | None,
        typer.Option(
            metavar="RUN|auto",
            help="Go on with this run; it may be given more generations: generations=600. 'auto': with that of --run "
            "if it has begun, and begin it if it has not.",
        ),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Evolve each recipe N times, with its seed and those after it: side by side, each in a folder of its "
            "own below --run. What has begun before goes on.",
        ),
    ] = None,
    cluster: Cluster = None,
) -> None:
    """Evolve a recipe; Ctrl-C stops it with a checkpoint, --resume goes on.

    Examples:

      neuroplastic evolve quadruped-quick

      neuroplastic evolve quadruped-hebbian search.sigma=0.05 generations=300 --run runs/small-sigma

      neuroplastic evolve --resume runs/small-sigma

      neuroplastic evolve quadruped-hebbian --run s3://bucket/runs/quadruped --resume auto --cluster auto

      neuroplastic evolve quadruped-hebbian quadruped-static --seeds 5 --run runs/legs --cluster auto
    """
    import torch
    from rich.console import Console

    from neuroplastic.errors import RecipeError
    from neuroplastic.experiment import loop
    from neuroplastic.experiment.kinds import checked
    from neuroplastic.experiment.recipe import load_recipe, recipe_files
    from neuroplastic.experiment.report import LiveReporter, PlainReporter
    from neuroplastic.experiment.run import RunFolder

    torch.set_num_threads(1)
    recipes, overrides = [], []
    for word in words or []:
        named = "=" not in word and (not (recipes or overrides) or word in recipe_files() or word.endswith(".toml"))
        (recipes if named else overrides).append(word)
    if seeds is not None or len(recipes) > 1:
        return _evolve_several(recipes, overrides, seeds or 1, run or "runs", resume, cluster)
    recipe = recipes[0] if recipes else None
    if resume not in (None, "auto"):
        if run is not None:
            raise RecipeError(
                "evolve: --run names a new run and --resume one that is there; expected one of them, or --resume auto"
            )
        if recipe is not None:
            raise RecipeError(f"evolve: --resume RUN has its recipe; expected key=value words only; got {recipe!r}")
        folder = RunFolder.open(resume, overrides)
    elif recipe is None:
        raise RecipeError("evolve: expected a recipe, or --resume RUN; see: neuroplastic recipes")
    else:
        resolved = checked(load_recipe(recipe, overrides))  # before a folder is made
        start = RunFolder.open_or_create if resume else RunFolder.create
        folder = start(run or Path("runs") / Path(recipe).stem, resolved)
    console = Console()
    reporter = LiveReporter(console) if console.is_terminal else PlainReporter(console)
    again = f"neuroplastic evolve --resume {folder.address}"
    with folder:
        try:
            complete = loop.evolve(folder, reporter, cluster)
        except KeyboardInterrupt:
            reporter.close()
            reporter.note(f"stopped at once; go on from the last checkpoint by: {again}")
            raise typer.Exit(130) from None
        finally:
            reporter.close()
    if complete:
        look = "plot --found" if folder.recipe.kind in ("learning", "recall") else "replay"
        reporter.note(f"done: {folder.address}\nlook at it: neuroplastic {look} {folder.address}")
    else:
        reporter.note(f"stopped, with a checkpoint; go on by: {again}")
        raise typer.Exit(130)


def _evolve_several(
    recipes: list[str], overrides: list[str], seeds: int, parent: str, resume: str | None, cluster: str | None
) -> None:
    from rich.console import Console

    from neuroplastic.errors import RecipeError
    from neuroplastic.experiment.several import STOPPED, evolve_several, plan

    if resume not in (None, "auto"):
        raise RecipeError(f"evolve: several runs go on by themselves where they stopped; got --resume {resume}")
    if not recipes:
        raise RecipeError("evolve: expected a recipe for --seeds; see: neuroplastic recipes")
    runs, console = plan(recipes, overrides, seeds, parent), Console()
    ended = evolve_several(runs, cluster, console)
    unfinished = [run for run in runs if ended.get(run.name, STOPPED)]
    if unfinished:
        failed = [run.name for run in runs if ended.get(run.name, 0) not in (0, STOPPED)]
        console.print(f"{len(runs) - len(unfinished)} of {len(runs)} runs are complete", highlight=False)
        if failed:
            console.print(f"failed: {', '.join(failed)}", markup=False, highlight=False, soft_wrap=True)
        console.print("the same command goes on with the others", highlight=False)
        raise typer.Exit(1 if failed else STOPPED)
    console.print(f"done; compare them: neuroplastic plot {' '.join(run.folder for run in runs)}", soft_wrap=True)


@app.command()
def evaluate(
    agent: AgentArgument,
    episodes: Annotated[int, typer.Option(help="Episodes in each row of the table.")] = 20,
    damage: Annotated[
        list[str] | None, typer.Option(help="A damage, such as front_left:shorten, or 'none'; may be repeated.")
    ] = None,
    controls: Annotated[
        bool, typer.Option(help="Question its plasticity: freeze it, take its rule or its layers, damage it.")
    ] = True,
    control: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ACT",
            help="A control of yours, such as zero_layer=layer0@100, or several at once, joined by commas: freeze=T, "
            "swap_initial=DISTRIBUTION, zero_layer=LAYER@T, shuffle_layer=LAYER@T, random_rule; may be repeated.",
        ),
    ] = None,
    freeze: Annotated[
        list[int] | None,
        typer.Option(metavar="T", min=0, help="Freeze the weights at this step instead; may be repeated."),
    ] = None,
    moment: Annotated[
        int, typer.Option(metavar="T", min=0, help="When layers are lost and damage strikes; 0 = in mid-life.")
    ] = 0,
    transplant: Transplant = None,
    env_option: EnvOption = None,
    seed: Annotated[int, typer.Option(help="Chooses the test episodes.")] = 0,
    workers: Annotated[int, typer.Option(help="Processes; 0 = one for each core.", min=0)] = 0,
    which: Which = "center",
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures to this file, too.")] = None,
    trust: Trust = False,
) -> None:
    """How good an agent is: mean, spread, and the mean's 95 % bootstrap interval, over episodes no evolution has seen.

    A body that knows damages, such as a quadruped, is tried undamaged and with each of them, unless --damage says
    otherwise. Then the controls: what its plasticity is worth, as differences to the same episodes left alone, and
    when its reward rate is back to 90 % after the loss of a layer or a damage in mid-life.
    """
    import torch
    from rich.console import Console
    from rich.progress import Progress

    from neuroplastic.errors import check_output
    from neuroplastic.evaluate.processes import cores
    from neuroplastic.experiment.agent import Agent
    from neuroplastic.experiment.examine import Asked, examine

    torch.set_num_threads(1)
    if json_file is not None:
        check_output("--json", json_file)
    found = _transplanted(Agent.load(agent, which, trust=trust), transplant, env_option)
    asked = Asked(episodes, seed, workers or cores(), damage or (), controls, control or (), freeze or (), moment)
    console = Console()
    with Progress(transient=True, console=console) as bar:
        task = bar.add_task("episodes", total=None)
        answer = examine(
            found, asked, lambda what, done, total: bar.update(task, description=what, completed=done, total=total)
        )
    title = f"{agent}: {answer.where}, {episodes} episodes each, generation {found.generation}"
    console.print(title, markup=False, soft_wrap=True, highlight=False)
    for table in answer.tables:
        console.print(table)
    for line in answer.lines:
        console.print(line, markup=False, soft_wrap=True, highlight=False)
    if json_file is not None:
        json_file.write_text(json.dumps(answer.figures, indent=2) + "\n", encoding="utf-8")


@app.command()
def replay(
    agent: AgentArgument,
    video: Annotated[Path | None, typer.Option(help="Write a video instead: FILE.mp4 or FILE.gif.")] = None,
    damage: Annotated[str | None, typer.Option(help="A damage, such as front_left:shorten.")] = None,
    episode: Annotated[int, typer.Option(help="Which test episode.", min=0)] = 0,
    steps: Annotated[int, typer.Option(help="At most so many steps; 0 = to the end.", min=0)] = 0,
    control: Annotated[
        list[str] | None,
        typer.Option(metavar="ACT", help="What is done to it, such as freeze=200, zero_layer=layer0@100; repeatable."),
    ] = None,
    transplant: Transplant = None,
    env_option: EnvOption = None,
    which: Which = "center",
    trust: Trust = False,
) -> None:
    """Watch an agent live: its body, and beside it the weights as they change; of a path through a super-network, the
    rounds in which it was found."""
    import torch

    from neuroplastic.experiment.agent import Agent
    from neuroplastic.view import replay as view

    torch.set_num_threads(1)
    if video is not None:
        view.check_video(video)
    found = Agent.load(agent, which, trust=trust)
    found = _transplanted(found, transplant, env_option)
    fps = 15 if video and video.suffix == ".gif" else 30
    words = [word for text in control or [] for word in text.split(",")]
    rate, pictures = view.frames(found, {"damage": damage} if damage else {}, episode, steps, fps, words)
    if video is None:
        view.show_window(f"{agent} {damage or ''}", rate, pictures)
    else:
        print(f"{video}: {view.write_video(video, rate, pictures)} pictures")


def _transplanted(agent: Agent, env: str | None, options: list[str] | None) -> Agent:
    from neuroplastic.errors import ArgumentError
    from neuroplastic.experiment.controls import transplanted
    from neuroplastic.experiment.recipe import override

    if env is not None:
        return transplanted(agent, env, override({}, options or []))
    if options:
        raise ArgumentError(f"--env-option: expected none without --transplant ENV_ID; got {' '.join(options)}")
    return agent


@app.command()
def plot(
    runs: Annotated[list[str], typer.Argument(metavar="RUN...", help="Run folders; s3://bucket/runs/x, too.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The picture to write.")] = Path("curves.png"),
    found: Annotated[
        bool,
        typer.Option(
            "--found",
            help="Of one run or agent file: what was found. An update rule's accuracy over updates beside SGD's and "
            "Adam's, what a recall rule remembers, or the paths through a super-network.",
        ),
    ] = False,
    episodes: Annotated[int, typer.Option(help="With --found: test episodes of an update rule.", min=1)] = 20,
    which: Which = "center",
    trust: Trust = False,
) -> None:
    """Draw the learning curves of runs into one picture; or, with --found, what one of them found."""
    from neuroplastic.view.plot import draw_found, plot_runs, write

    if not found:
        plot_runs(runs, output)
        print(output)
        return
    import torch
    from rich.progress import Progress

    from neuroplastic.errors import ArgumentError
    from neuroplastic.experiment.agent import Agent

    torch.set_num_threads(1)
    if len(runs) > 1:
        raise ArgumentError(f"--found: expected one run or agent file; got {len(runs)}")
    agent = Agent.load(runs[0], which, trust=trust)
    with Progress(transient=True) as bar:
        task = bar.add_task("episodes", total=None)
        write(
            output,
            lambda: draw_found(agent, episodes, lambda done, total: bar.update(task, completed=done, total=total)),
        )
    print(output)
