"""What recipes say, section by section, for each kind of them."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, Literal

import tomli_w
from pydantic import BaseModel, ConfigDict, Field

FREE = (
    "generations",
    "checkpoint_seconds",
    "max_failed",
    "evaluate.workers",
    "evaluate.limit",
    "evaluate.tries",
    "evaluate.megabytes",
    "evaluate.cpus",
    "evaluate.gpus",
    "device",
    "task.crews",
)
"""Keys of a recipe that may change when a run goes on: they do not touch its numbers."""

LATER = {"policy.kind": "feedforward", "policy.bias": False, "policy.controls": [], "policy.coefficients": "float32"}
"""Keys that there were not always, and what they say where there was nothing: so that runs of before can go on."""

OURS = ("neuroplastic_envs:", "ipop:", "evotorch:", "cma:")
"""What names with a colon begin with that load no code but this project's, or of libraries it knows."""


class _Section(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class _OptionsSection(BaseModel):
    """A section whose further keys are the constructor arguments of a class."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True)

    @property
    def options(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


class _NamedSection(_OptionsSection):
    """One that names the class."""

    name: str


class SearchSection(_NamedSection):
    """``name``: a strategy. ``center_std``: the search starts at numbers drawn from N(0, center_std²), around what a
    learned rule starts from where that is what evolves."""

    center_std: float = Field(1.0, ge=0, allow_inf_nan=False)


class RuleSection(_NamedSection):
    """``name``: a plasticity rule, or a learned update rule where that is what lives or is searched for."""


class FrontSection(_Section):
    """Convolutions before the network, for observations that are pictures; see `ConvolutionalFront`."""

    channels: list[int] = [6, 8]
    kernels: list[int] = [3, 5]
    strides: list[int] = [1, 2]
    pools: list[int] = [2, 2]


class LearnedSection(_Section):
    """A network whose rule is a learned update rule; see `LearnedPolicy`."""

    told: str = "reward-prediction-error"
    mean_rate: float = 0.01
    initial: str = "life"


class PolicySection(_Section):
    """The network: what comes before it, its hidden layers, what its units do, and what is done to it (`Controls`)."""

    front: FrontSection | None = None
    learned: LearnedSection | None = None
    hidden: list[int] = []
    activation: str = "tanh"
    output_activation: str = "tanh"
    kind: str = "feedforward"
    bias: bool = False
    backend: str = "cpu"
    coefficients: Literal["float32", "bfloat16", "made"] = "float32"
    controls: list[str] = []


class TaskSection(_Section):
    """Where it lives; see `RolloutTask` and `LifeRules`. Of "auto" crews there are two where networks are on a GPU."""

    env: str
    env_options: dict[str, Any] = {}
    variations: list[dict[str, Any]] = [{}]
    episodes: int = 1
    horizon: int = 0
    idle: int = 0
    grace: int = 0
    patience: int = 0
    squash: list[Literal["tanh", "sigmoid"]] = []
    batch: int = 8
    crews: int | Literal["auto"] = "auto"
    measures: list[str] = []
    normalise: bool = False
    fresh: bool = False


class SelectionSection(_Section):
    """How ``best`` is chosen; see `Selection`."""

    every: int = 10
    top: int = 3
    episodes: int = 4


class MergeSection(_Section):
    """At the start of a generation, counted from 0, the rules of synapses become so many; see `Merging`."""

    generation: int = Field(ge=0)
    groups: int = Field(ge=1)


class EvaluateSection(_Section):
    """Where trials run; nothing here touches the numbers.

    Attributes:
        workers: processes of one thread each; "auto" = one for each core, 1 = none beside the driver. On a Ray cluster
            they are actors, and "auto" = as many as it has room for.
        limit: seconds that the trials of one member may take before its worker is replaced and they are tried again.
        tries: times that a member may end its worker before it is failed.
        megabytes: that the bodies of all workers of this machine may take, where their environment says what one takes.
        cpus: cores that each worker takes in the books of a Ray cluster; it computes in one thread.
        gpus: GPUs, or a fraction of one, that each worker takes there.
    """

    workers: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    limit: float = Field(default=600.0, gt=0)
    tries: int = Field(default=3, ge=1)
    megabytes: int = Field(default=8192, ge=1)
    cpus: float = Field(default=1.0, gt=0)
    gpus: float = Field(default=0.0, ge=0)


class Recipe(_Section):
    """What every kind of experiment has.

    Attributes:
        kind: of experiment.
        description: one line for ``neuroplastic recipes``.
        seed: all that is random follows from it.
        generations: steps of the learner.
        checkpoint_seconds: time between checkpoints; one is always written at the end and on Ctrl-C.
        max_failed: the run stops when a larger share of a generation's members failed.
        evaluate: where trials run.
        versions: of what computed the numbers; filled in when a run starts.
    """

    kind: str
    description: str = ""
    seed: int = Field(1, ge=0)
    generations: int = Field(ge=1)
    checkpoint_seconds: float = Field(30.0, ge=0)
    max_failed: float = Field(0.5, ge=0, le=1)
    evaluate: EvaluateSection = EvaluateSection()
    versions: dict[str, str] = {}

    def to_toml(self) -> str:
        return tomli_w.dumps(self.model_dump(exclude_none=True))

    def fingerprint(self) -> str:
        """The same for recipes that give the same numbers: a run may only go on from checkpoints of its own."""
        values = self.model_dump(mode="json", exclude={"description", "versions"}, exclude_none=True)
        for key in (*FREE, *LATER):
            *sections, last = key.split(".")
            section = values
            for name in sections:
                section = section.get(name, {})
            if last in section and (key not in LATER or section[last] == LATER[key]):
                del section[last]
        return hashlib.blake2b(json.dumps(values, sort_keys=True).encode(), digest_size=16).hexdigest()

    @property
    def named(self) -> dict[str, str]:
        """Key -> name of what may be code: a strategy, a rule, an environment."""
        return {}

    def code_of_others(self) -> list[str]:
        """The names in this recipe that load code from outside this project."""
        return [f"{key} = {name!r}" for key, name in self.named.items() if ":" in name and not name.startswith(OURS)]


class EvolutionRecipe(Recipe):
    """Agents live in environments, and their genomes evolve.

    Attributes:
        device: where networks compute: "cpu", "cuda", "cuda:1", …, or "auto", a GPU if the process that starts the run
            sees one. Like a CPU's kind, it changes the last bits of numbers.
        search, policy, rule, task, selection: as of their sections.
        merge: when rules are merged; None: never.
    """

    kind: str = "evolution"
    device: str = "cpu"
    search: SearchSection
    policy: PolicySection = PolicySection()
    rule: RuleSection
    task: TaskSection
    selection: SelectionSection = SelectionSection()
    merge: list[MergeSection] | None = Field(None, min_length=1)

    @property
    def named(self) -> dict[str, str]:
        return {"search.name": self.search.name, "rule.name": self.rule.name, "task.env": self.task.env}


class StartedSearchSection(_NamedSection):
    """``name``: a strategy. ``center_std``: the search starts that far (σ) around what the rule itself starts from."""

    center_std: float = Field(0.0, ge=0, allow_inf_nan=False)


class GradientSection(_NamedSection):
    """Genomes follow the gradient of what they reach; see `MetaGradient`.

    Attributes:
        name: "unroll", "pes" or "truncated-es"; further keys are the constructor arguments of that estimator.
        genomes: that go down side by side; the best by meta-validation is kept.
        optimizer, learning_rate, clip: of each.
        first: updates of a life in the first generation; they grow to those of a whole life.
        growing: generations over which they grow; 0: all lives are whole.
        validate_every: generations from one meta-validation to the next.
        validation_episodes: of each.
    """

    genomes: int = Field(4, ge=1)
    optimizer: str = "adam"
    learning_rate: float = 5e-4
    clip: float = 10.0
    first: int = 1
    growing: int = 0
    validate_every: int = 25
    validation_episodes: int = 8


class LearningSection(_Section):
    """What fresh networks learn by a rule, and how that is scored; see `LearningTask`.

    Attributes:
        family: one of `families`, or
        train, validation, held_out: your own: name of a task -> its ``source`` and the arguments of it (`sources`).
    """

    family: str = ""
    train: dict[str, dict[str, Any]] = {}
    validation: dict[str, dict[str, Any]] = {}
    held_out: dict[str, dict[str, Any]] = {}
    hidden: list[list[int]] | None = None
    held_out_hidden: list[list[int]] = []
    updates: int = 10
    samples: int = 128
    exam: int = 256
    fitness: str = "accuracy"
    episodes: int = 1
    batch: int = 8


class RecallSection(_Section):
    """What networks remember by a rule; see `RecallTask` and `Snippets`. A network has a neuron for each number."""

    numbers: int = 24
    missing: float = 0.5
    length: int = 8
    episodes: int = 1
    batch: int = 8


class _FoundRuleRecipe(Recipe):
    """Update rules are found: by a search, or down a gradient.

    Attributes:
        search: the strategy, or
        gradient: how genomes follow what they reach; one of the two.
        rule: whose genomes are found.
        selection: how a search chooses ``best``.
    """

    search: StartedSearchSection | None = None
    gradient: GradientSection | None = None
    rule: RuleSection = RuleSection(name="blur")
    selection: SelectionSection = SelectionSection()

    @property
    def named(self) -> dict[str, str]:
        return {"rule.name": self.rule.name} | ({"search.name": self.search.name} if self.search else {})


class LearningRecipe(_FoundRuleRecipe):
    """Update rules are found by what networks learn with them."""

    kind: str = "learning"
    task: LearningSection


class RecallRecipe(_FoundRuleRecipe):
    """Update rules are found by what networks remember with them."""

    kind: str = "recall"
    rule: RuleSection = RuleSection(name="recall")
    task: RecallSection = RecallSection()


class SequenceSection(_NamedSection):
    """``name``: of `sequences`; further keys are its arguments.

    Attributes:
        rounds: of each task at most.
        threshold: a task is learned when a path reaches this fitness; None: when its rounds are over.
    """

    rounds: int = Field(ge=1)
    threshold: float | None = None


class NetworkSection(_Section):
    """The super-network: ``layers``, each a kind of module and its arguments, and M ``modules`` in each."""

    layers: list[dict[str, Any]]
    modules: int = 10
    readout_gain: float = 1.0


class TournamentSection(_OptionsSection):
    """How paths evolve: the arguments of `Tournament`."""


class DescentSection(_OptionsSection):
    """How modules learn: the arguments of `Descent`."""


class PathNetRecipe(Recipe):
    """Paths through a super-network evolve on one task after the other, and gradients teach their modules.

    Attributes:
        generations: rounds in all; 0: those of all tasks.
        task: the sequence.
        network, tournament, descent: as of their sections.
        always_active: what is frozen takes part in every path.
    """

    kind: str = "pathnet"
    generations: int = Field(0, ge=0)
    task: SequenceSection
    network: NetworkSection
    tournament: TournamentSection = TournamentSection()
    descent: DescentSection = DescentSection()
    always_active: bool = False


KINDS: dict[str, type[Recipe]] = {
    "evolution": EvolutionRecipe,
    "learning": LearningRecipe,
    "recall": RecallRecipe,
    "pathnet": PathNetRecipe,
}
"""Kind -> what such a recipe says."""
