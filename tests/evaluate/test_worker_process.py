"""Whole programs that make workers: however they end, nobody is left behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

START = """
import os, signal, sys, threading, time
from pathlib import Path
sys.path.insert(0, {here!r})
import numpy as np
import scripted_task as script
from neuroplastic.evaluate.processes import ProcessEvaluator

RNG = np.random.default_rng()
SEEDS = RNG.integers(2**62, size=2)

class Mine(script.Scripted):
    pass

def evaluator(workers, **options):
    return ProcessEvaluator(Mine(Path({folder!r}), batch=1), workers, **options)

def evaluate(evaluator, *faults, progress=None):
    return evaluator.evaluate(script.population(faults, RNG), SEEDS, progress=progress)
"""
Program = Callable[[str], subprocess.Popen[str]]


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    """Starts a program in a process group of its own; in the end nobody of the group may be left."""
    started: list[subprocess.Popen[str]] = []

    def start(body: str) -> subprocess.Popen[str]:
        file = tmp_path / "program.py"
        file.write_text(START.format(here=str(Path(__file__).parent), folder=str(tmp_path)) + body)
        started.append(
            subprocess.Popen(
                [sys.executable, str(file)],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
        )
        return started[-1]

    yield start
    for process in started:
        try:
            until(lambda process=process: not group(process.pid))
        finally:
            for pid in group(process.pid):
                os.kill(pid, signal.SIGKILL)
            process.communicate()


def group(leader: int) -> list[int]:
    """Processes of the group, zombies left out."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, pgrp = stat.read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue
        if int(pgrp) == leader and state != "Z":
            found.append(int(stat.parent.name))
    return found


def until(condition: Callable[[], object], seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def test_an_ordinary_script_that_forgets_to_close(program: Program) -> None:
    """Its task is its own class; it ends by itself and says nothing."""
    process = program("""
if __name__ == "__main__":
    workers = evaluator(2)
    print(np.isfinite(evaluate(workers, script.FINE, script.FINE, script.FINE).fitness).all())
""")
    assert process.communicate(timeout=300) == ("True\n", "")
    assert process.returncode == 0


def test_a_script_without_a_guard_is_told_so(program: Program) -> None:
    process = program("""
evaluate(evaluator(1, tries=1), script.FINE)
""")
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 1
    assert "WorkerError: workers cannot start (exit status 1)" in errors
    assert "if __name__ == '__main__'" in errors.splitlines()[-1]


@pytest.mark.parametrize("thread", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["main", "another"])
def test_a_driver_that_is_killed_takes_its_workers_along(program: Program, tmp_path: Path, thread: bool) -> None:
    """One is in the middle of a trial. If the main thread has made them also: one is stuck in C, one is stopped."""
    process = program(f"""
def run():
    evaluate(evaluator({1 if thread else 3}), script.WAIT, script.STUCK, script.WAIT)

if __name__ == "__main__":
    thread = threading.Thread(target=run)
    {"thread.start(), thread.join()" if thread else "run()"}
""")
    notes = [tmp_path / f"at-{member}" for member in range(1 if thread else 3)]
    until(lambda: all(note.exists() for note in notes))
    workers = [int(note.read_text()) for note in notes]
    if not thread:
        os.kill(workers[2], signal.SIGSTOP)
    assert set(workers) < set(group(process.pid))
    process.kill()
    process.wait()
    until(lambda: not set(workers).intersection(group(process.pid)))


def test_a_driver_killed_while_its_workers_start(program: Program) -> None:
    process = program("""
if __name__ == "__main__":
    workers = evaluator(2)
    print("made", flush=True)
    evaluate(workers, script.WAIT)
""")
    assert process.stdout is not None
    assert process.stdout.readline() == "made\n"
    process.kill()  # the fixture sees to the rest


def test_signals_to_the_group_are_for_the_driver(program: Program, tmp_path: Path) -> None:
    """Ctrl-C and SIGTERM, while workers start and in the middle of a trial; the last one the driver heeds."""
    process = program("""
if __name__ == "__main__":
    asked = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, frame: asked.append(number))
    with evaluator(2) as workers:
        print("made", flush=True)
        print(np.isfinite(evaluate(workers, script.WAIT, script.WAIT, script.FINE).fitness).all(), workers.faults)
        print(sorted(map(int, asked)), flush=True)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        print("again", flush=True)
        (workers.task.folder / "go").unlink()
        evaluate(workers, script.WAIT)
""")
    assert process.stdout is not None
    assert process.stdout.readline() == "made\n"
    os.killpg(process.pid, signal.SIGINT)
    until((tmp_path / "at-0").exists)
    os.killpg(process.pid, signal.SIGTERM)
    (tmp_path / "go").touch()
    assert process.stdout.readline() == "True {'killed': 0, 'hung': 0, 'nonsense': 0}\n"
    assert process.stdout.readline() == f"{sorted([signal.SIGINT.value, signal.SIGTERM.value])}\n"
    assert process.stdout.readline() == "again\n"
    until(lambda: not (tmp_path / "go").exists())
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=300)
    assert errors.count("Traceback") == 1
    assert errors.endswith("KeyboardInterrupt\n")
