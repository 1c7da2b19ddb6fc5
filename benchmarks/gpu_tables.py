"""The tables of `gpu.py`: what was asked and what was reached, and all figures."""

from __future__ import annotations

from typing import Any

ASKED = {
    "float32": "75 % of the floor",
    "torch": "2.3 x as fast as torch",
    "compiled": "as fast as torch.compile",
    "bfloat16": "1.4 x float32",
    "made": "1.3 x float32",
    "steps": "12 million agent-steps/s",
    "car racing": "under 1.5 s",
}


def verdicts(lines: list[dict[str, Any]]) -> list[tuple[str, str, str, bool]]:
    """(what, asked, reached, whether it is enough) of each figure that is asked for."""
    found: list[tuple[str, str, str, bool]] = []

    def of(what: str, how: str) -> dict[str, Any] | None:
        return next((line for line in lines if line["what"] == what and line["how"] == how), None)

    for plain in [line for line in lines if line["what"].startswith("step ") and line["how"] == "float32"]:
        name, share = plain["what"].removeprefix("step "), plain["floor/step"]
        found.append((f"step {name}, float32", ASKED["float32"], f"{share:.0%}", share >= 0.75))
        for how, least in (("torch", 2.3), ("compiled", 1.0)):
            if other := of(f"step {name}", how):
                times = other["us"] / plain["us"]
                found.append((f"step {name}, against {how}", ASKED[how], f"{times:.2f} x", times >= least))
        for how, least in (("bfloat16", 1.4), ("made", 1.3), ("made, 4 episodes", 1.3)):
            if other := of(f"step {name}", how):
                times = other["x float32"]
                asked = ASKED[how.partition(",")[0]]
                found.append((f"step {name}, {how}", asked, f"{times:.2f} x", times >= least))
    if line := of("agent-steps", "float32"):
        rate = line["million/s"]
        found.append(("28-128-64-8, agent-steps", ASKED["steps"], f"{rate:.1f} million/s", rate >= 12))
    if line := of("car racing", "float32"):
        seconds = line["seconds"]
        what = f"CarRacing's network, {line['agents']} agents x {line['steps']:,} steps"
        found.append((what, ASKED["car racing"], f"{seconds:.2f} s", seconds < 1.5))
    return found


def markdown(facts: dict[str, Any], lines: list[dict[str, Any]]) -> str:
    """The tables that people read."""
    parts = [f"# Plastic networks on {facts['device']}\n"]
    parts.append(", ".join(f"{name}: {value}" for name, value in facts.items() if name != "device") + "\n")
    parts.append("| | asked | reached | |\n| --- | --- | --- | --- |")
    parts += [f"| {what} | {asked} | {got} | {'yes' if ok else '**no**'} |" for what, asked, got, ok in verdicts(lines)]
    kinds = dict.fromkeys(line["what"].partition(" ")[0] for line in lines)
    for kind in kinds:
        some = [line for line in lines if line["what"].partition(" ")[0] == kind]
        parts.append("\n| " + " | ".join(some[0]) + " |\n|" + " --- |" * len(some[0]))
        parts += ["| " + " | ".join(map(cell, line.values())) + " |" for line in some]
    return "\n".join(parts) + "\n"


def cell(value: Any) -> str:
    return "" if value is None else f"{value:,.3g}" if isinstance(value, float) else str(value)
