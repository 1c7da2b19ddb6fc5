"""Runs on a real S3 server, which runs here: moto's."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w
from runs import Quiet, assert_same, create, recipe_of, run

from neuroplastic import cli
from neuroplastic.experiment import remote
from neuroplastic.experiment.manifest import Manifest, manifest_names, read_manifest
from neuroplastic.experiment.publisher import Publisher, Snapshot, TakenError
from neuroplastic.experiment.run import RunFolder, read_metrics
from neuroplastic.experiment.store import Store, located

if find_spec("s3fs") is None or find_spec("moto") is None:
    pytest.skip("s3fs or moto is not installed: pip install 'neuroplastic[dev]'", allow_module_level=True)


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[subprocess.Popen, int]]:
    """An S3 server's process and port."""
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 600
        while True:
            with suppress(OSError):
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield process, port
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def address(server: tuple[subprocess.Popen, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Of a run in a bucket that is there and empty; the surroundings name the server as people name theirs."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "FSSPEC_S3_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server[1]}",
        "AWS_ACCESS_KEY_ID": "somebody",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_MAX_ATTEMPTS": "1",
        "NO_PROXY": "127.0.0.1",
    }.items():
        monkeypatch.setenv(name, value)
    spools = tmp_path / "spools"
    spools.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(spools))
    import fsspec

    bucket = f"bucket-{uuid.uuid4()}"
    fsspec.filesystem("s3", skip_instance_cache=True).mkdir(bucket)
    return f"s3://{bucket}/runs/x"


def store_of(address: str) -> Store:
    store = located(address)
    assert isinstance(store, Store)
    return store


def newest(address: str) -> Manifest:
    store = store_of(address)
    return read_manifest(store, manifest_names(store.names())[0])


def typed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str | Path) -> tuple[int, str]:
    """Exit status and all that was printed."""
    monkeypatch.setattr(sys, "argv", ["neuroplastic", *map(str, words)])
    try:
        cli.main()
        code = 0
    except SystemExit as end:
        code = int(end.code or 0)
    return code, "".join(capsys.readouterr())


@pytest.mark.slow
def test_kill_9_at_any_moment_and_another_machine_goes_on(address: str, tmp_path: Path, tiny: dict[str, Any]) -> None:
    values = {**tiny, "generations": 150}
    assert run(create(tmp_path / "whole", values))
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(tomli_w.dumps(values))
    rng, store = np.random.default_rng(), store_of(address)

    def start(machine: str) -> subprocess.Popen:
        disk = tmp_path / machine
        disk.mkdir()
        command = [sys.executable, "-m", "neuroplastic", "evolve", recipe, "--run", address, "--resume", "auto"]
        with (disk / "printed").open("wb") as printed:
            return subprocess.Popen(
                command, cwd=disk, env={**os.environ, "TMPDIR": str(disk)}, stdout=printed, stderr=subprocess.STDOUT
            )

    def published() -> int:
        return max((int(name[:8]) for name in manifest_names(store.names(new=True))), default=0)

    first = start("first")
    deadline = time.monotonic() + 600
    while published() < 2 and first.poll() is None:  # its first checkpoint
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(rng.uniform(0, 0.3))
    first.kill()
    assert first.wait() == -signal.SIGKILL, "it was not done"
    second = start("second")
    assert second.wait(timeout=600) == 0, (tmp_path / "second" / "printed").read_text()
    assert "going on after generation" in (tmp_path / "second" / "printed").read_text()
    assert_same(address, tmp_path / "whole")
    assert list((tmp_path / "first").glob("neuroplastic-*")), "nobody tidied up behind the one that was killed"
    assert not list((tmp_path / "second").glob("neuroplastic-*")), "what is published needs no spool"


@pytest.mark.slow
def test_every_verb(
    address: str, tmp_path: Path, tiny: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.toml").write_text(tomli_w.dumps(tiny))
    for words, message in [
        (["evolve", "mine.toml", "generations=2", "--run", address], f"neuroplastic replay {address}"),
        (["evolve", "--resume", address, "generations=3"], "going on after generation 2"),
        (["evolve", "mine.toml", "--run", address, "--resume", "auto"], "going on after generation 3"),
        (["evaluate", address, "--episodes", "3", "--workers", "1", "--which", "best"], "interval"),
        (["plot", address, "-o", "curves.png"], "curves.png"),
        (["replay", address, "--video", "life.gif", "--steps", "20"], "life.gif"),
    ]:
        code, printed = typed(monkeypatch, capsys, *words)
        assert (code, message in printed) == (0, True), printed
    assert Path("curves.png").read_bytes().startswith(b"\x89PNG")
    assert Path("life.gif").read_bytes().startswith(b"GIF89a")
    assert run(create(tmp_path / "whole", tiny))
    assert_same(address, tmp_path / "whole")
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(
        ["mine.toml", "curves.png", "life.gif", "whole", "spools"]
    )


def test_what_cannot_work_is_refused_before_it_starts(
    address: str, tmp_path: Path, tiny: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.toml").write_text(tomli_w.dumps(tiny))
    bucket = f"s3://none-{uuid.uuid4()}/x"

    def refused(message: str, *words: str) -> None:
        code, printed = typed(monkeypatch, capsys, *words)
        assert code == 1
        assert message in printed
        assert printed.startswith("error: ")
        assert "Traceback" not in printed
        assert not list((tmp_path / "spools").iterdir())

    refused(f"{bucket}: expected a store that can be reached", "evolve", "mine.toml", "--run", bucket)
    refused("bucket does not exist", "evolve", "mine.toml", "--run", bucket, "--resume", "auto")
    refused("bucket does not exist", "evolve", "--resume", bucket)
    refused("bucket does not exist", "plot", bucket)
    refused("expected a run there, with a manifest", "evolve", "--resume", address)
    refused("center.safetensors: it is missing", "evaluate", f"{address}/center.safetensors")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    refused("Could not connect to the endpoint URL", "evolve", "mine.toml", "--run", address)
    refused("Could not connect to the endpoint URL", "replay", address, "--video", "x.gif")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    refused("Unable to locate credentials", "evolve", "mine.toml", "--run", address)


def test_a_missing_extra_is_named() -> None:
    check = (
        "import sys; sys.modules['s3fs'] = None\n"
        "from neuroplastic.errors import MissingExtraError\n"
        "from neuroplastic.experiment.store import located\n"
        "try: located('s3://bucket/run')\n"
        "except MissingExtraError as error: print(error)"
    )
    out = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True).stdout
    assert "s3://bucket/run" in out
    assert "pip install 'neuroplastic[s3]'" in out


def test_of_drivers_that_publish_at_once_one_succeeds(address: str) -> None:
    class Blind(Store):
        """Lists what was there before the others came."""

        def names(self, *, new: bool = False) -> list[str]:
            return []

    outcomes: list[str] = []
    together = threading.Barrier(8)

    def publish(number: int) -> None:
        store = located(address)
        store.__class__ = Blind
        assert isinstance(store, Blind)
        together.wait()
        try:
            Publisher(store).publish(Snapshot(b"%d" % number, {}, {}, b""))
            outcomes.append(f"{number}")
        except TakenError:
            outcomes.append("taken")

    threads = [threading.Thread(target=publish, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes)[1:] == ["taken"] * 7
    assert store_of(address).read(newest(address).recipe.name) == sorted(outcomes)[0].encode()
    assert len(store_of(address).names()) == 2, "the others took back what they had sent"


def test_the_driver_that_resumed_last_goes_on(address: str, tiny: dict[str, Any], tmp_path: Path) -> None:
    class Overtaken(Quiet):
        def generation(self, metrics) -> None:
            overtaken = metrics["generation"] != 1
            while not overtaken:
                with suppress(TakenError):  # who opens it while the first publishes is told so
                    overtaken = run(RunFolder.open_or_create(address, recipe_of(tiny)))

    with pytest.raises(TakenError, match="another driver"):
        run(create(address, tiny), Overtaken())
    assert run(create(tmp_path / "whole", tiny))
    assert_same(address, tmp_path / "whole")


def test_what_is_damaged_is_named_and_what_was_before_it_used(
    address: str, tiny: dict[str, Any], tmp_path: Path
) -> None:
    store = store_of(address)
    for generations in (1, 2, 3):
        assert run(RunFolder.open_or_create(store, recipe_of(tiny, f"generations={generations}")))
    third, second, _ = newest(address).checkpoints.values()
    store.remove(third.name)
    store.write(second.name, b"damaged")
    reporter = Quiet()
    assert run(RunFolder.open(address, ["generations=4"]), reporter)
    for entry, what in ((third, "missing"), (second, "expected")):
        assert any(f"{address}/{entry.name}" in note and what in note for note in reporter.notes), reporter.notes
    assert run(create(tmp_path / "whole", tiny))
    assert_same(address, tmp_path / "whole")


def test_a_server_that_stands_still_holds_no_run(
    server: tuple[subprocess.Popen, int], address: str, tiny: dict[str, Any], tmp_path: Path
) -> None:
    class Standing(Quiet):
        def generation(self, metrics) -> None:
            if metrics["generation"] in (2, 12):  # a run that waited for it would never come to 12
                server[0].send_signal(signal.SIGSTOP if metrics["generation"] == 2 else signal.SIGCONT)

    reporter = Standing()
    try:
        assert run(create(address, tiny, "generations=15"), reporter)
    finally:
        server[0].send_signal(signal.SIGCONT)
    assert reporter.notes == []
    assert run(create(tmp_path / "whole", tiny, "generations=15"))
    assert_same(address, tmp_path / "whole")


class Cable:
    """Carries connections to a port until it is pulled out; then they are refused, and those that are open break."""

    def __init__(self, port: int) -> None:
        self.target, self.port, self.ends = port, 0, []
        self.plug()

    def plug(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()

    def pull(self) -> None:
        for end in (self.listener, *self.ends):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        self.ends = []

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                near, _ = listener.accept()
                far = socket.create_connection(("127.0.0.1", self.target))
                self.ends += [near, far]
                for a, b in ((near, far), (far, near)):
                    threading.Thread(target=self._carry, args=(a, b), daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(2**16):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)


def test_a_network_that_is_away_for_a_while_ends_nothing(
    server: tuple[subprocess.Popen, int],
    address: str,
    tiny: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cable = Cable(server[1])
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{cable.port}")

    class Watching(Quiet):
        def generation(self, metrics) -> None:
            assert isinstance(folder, remote.RemoteRun)
            if folder._thread is not None:
                folder._thread.join()  # so that publications fall into the time without a network
            if metrics["generation"] == 2:
                cable.pull()
            if metrics["generation"] == 5:
                cable.plug()

    reporter, folder = Watching(), create(address, tiny, "generations=8")
    try:
        assert run(folder, reporter)
        assert [note for note in reporter.notes if "published again" in note]
        assert sum("each checkpoint tries to publish it again" in note for note in reporter.notes) == 1
        assert run(create(tmp_path / "whole", tiny, "generations=8"))
        assert_same(address, tmp_path / "whole")
        assert len(read_metrics(address)) == 8
    finally:
        cable.pull()
