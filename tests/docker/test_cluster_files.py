"""The compose file, the Kubernetes files and the one for `ray up`: against their schemas, and against each other."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from commands import after, parse, parse_ray, shell
from dockerfile import DOCKERFILE, ROOT, instructions

FOLDER = ROOT / "docker"
KUBERNETES = {"rayjob.yaml": "ray.io_rayjobs.yaml", "raycluster.yaml": "ray.io_rayclusters.yaml"}
CRDS = os.environ.get("KUBERAY_CRDS")


@cache
def read(name: str) -> Any:
    return yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))


def cluster_of(name: str) -> dict[str, Any]:
    spec = read(name)["spec"]
    return spec.get("rayClusterSpec", spec)


def pods(name: str) -> Iterator[dict[str, Any]]:
    """Of all pods: their specifications."""
    cluster = cluster_of(name)
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        yield group["template"]["spec"]
    if "submitterPodTemplate" in read(name)["spec"]:
        yield read(name)["spec"]["submitterPodTemplate"]["spec"]


def user() -> int:
    return int([rest for word, rest in instructions(DOCKERFILE.read_text()) if word == "USER"][-1].partition(":")[0])


def strict(schema: Any) -> Any:
    """A CRD's schema as JSON Schema: what it does not name is refused, as `kubectl --validate=strict` does."""
    if isinstance(schema, list):
        return [strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    changed = {key: strict(value) for key, value in schema.items()}
    if schema.get("x-kubernetes-int-or-string"):
        changed["type"] = ["integer", "string"]
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object":
        changed.setdefault("additionalProperties", bool(schema.get("x-kubernetes-preserve-unknown-fields")))
    return changed


def test_compose_file_fits_its_schema() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    checked = subprocess.run([*command, FOLDER / "compose.yaml"], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_ray_up_file_fits_rays_schema() -> None:
    import ray

    schema = json.loads((Path(ray.__file__).parent / "autoscaler" / "ray-schema.json").read_text())
    jsonschema.validate(read("cluster.yaml"), schema)


@pytest.mark.parametrize("name", KUBERNETES)
def test_rays_autoscaler_reads_the_kubernetes_files(name: str) -> None:
    from ray.autoscaler._private.kuberay.autoscaling_config import _derive_autoscaling_config_from_ray_cr
    from ray.autoscaler._private.util import validate_config

    resource = {"metadata": {"name": "any", "namespace": "any"}, "spec": cluster_of(name)}
    config = _derive_autoscaling_config_from_ray_cr(resource)
    validate_config(config)
    kinds = config["available_node_types"]
    assert kinds["headgroup"]["resources"]["CPU"] == 0  # it holds the run
    assert kinds["spot"]["resources"]["CPU"] >= 1
    assert kinds["spot"]["max_workers"] > 0


@pytest.mark.skipif(not CRDS, reason="KUBERAY_CRDS: a folder with the CRDs of KubeRay's helm chart, which is not given")
@pytest.mark.parametrize("name", KUBERNETES)
def test_kubernetes_files_fit_kuberays_schema(name: str) -> None:
    definition = yaml.load((Path(CRDS or "") / KUBERNETES[name]).read_text(encoding="utf-8"), yaml.CSafeLoader)
    (schema,) = (v["schema"]["openAPIV3Schema"] for v in definition["spec"]["versions"] if v["name"] == "v1")
    schema = strict(schema)
    schema["properties"]["metadata"] = {"type": "object"}  # its fields are Kubernetes' own
    assert [error.message for error in jsonschema.Draft7Validator(schema).iter_errors(read(name))] == []


@pytest.mark.parametrize("name", KUBERNETES)
def test_strangers_cannot_run_code_on_the_cluster(name: str) -> None:
    assert cluster_of(name)["authOptions"] == {"mode": "token"}


@pytest.mark.parametrize("name", KUBERNETES)
def test_pods_have_no_rights_and_say_what_they_need(name: str) -> None:
    for pod in pods(name):
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] == user()
        (container,) = pod["containers"]
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
        assert "memory" in container["resources"]["limits"]
    assert len({pod["containers"][0]["image"] for pod in pods(name)}) == 1


@pytest.mark.parametrize("name", KUBERNETES)
def test_nodes_that_may_be_taken_away_are_for_workers_only(name: str) -> None:
    cluster = cluster_of(name)
    assert cluster["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    assert "tolerations" not in cluster["headGroupSpec"]["template"]["spec"]
    for group in cluster["workerGroupSpecs"]:
        assert group["template"]["spec"]["tolerations"]
        assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]


@pytest.mark.parametrize("name", KUBERNETES)
def test_rays_version_is_that_of_the_image(name: str) -> None:
    pinned = re.search(r"^ray==(.+)$", (ROOT / "constraints.txt").read_text(), re.M)
    assert pinned is not None
    assert cluster_of(name)["rayVersion"] == pinned[1]


def test_what_ray_runs_in_compose_is_what_ray_knows() -> None:
    for name, service in read("compose.yaml")["services"].items():
        words = service["command"]
        assert words[0] == "ray", name
        parse_ray([re.sub(r"\$\{\w+:-(\w+)\}", r"\1", word) for word in words[1:]])


def test_what_ray_up_runs_is_what_ray_knows() -> None:
    config = read("cluster.yaml")
    lines = [*config["head_start_ray_commands"], *config["worker_start_ray_commands"]]
    commands = [after(words, "ray") for line in lines for words in shell(line)]
    begun = [words for words in commands if words]
    assert [words[0] for words in begun] == ["stop", "start", "stop", "start"]
    for words in begun:
        parse_ray(words)


def test_jobs_go_on_by_themselves() -> None:
    compose = read("compose.yaml")["services"]["job"]
    job = read("rayjob.yaml")["spec"]
    for words in (compose["command"], shlex.split(job["entrypoint"])):
        options = parse(words[words.index("neuroplastic") + 1 :])
        assert (options["cluster"], options["resume"]) == ("auto", "auto")
        assert options["run"].startswith(("/runs/", "s3://"))
    assert compose["restart"] == "on-failure"
    assert job["backoffLimit"] > 0
    assert job["shutdownAfterJobFinishes"] is True


def test_run_folder_in_compose_outlives_its_containers() -> None:
    compose = read("compose.yaml")
    for name in ("head", "job"):
        assert compose["services"][name]["volumes"] == ["runs:/runs"]
    assert "runs" in compose["volumes"]
    steps = " ".join(rest for word, rest in instructions(DOCKERFILE.read_text()) if word == "RUN")
    assert re.search(r"install --directory --owner evolver .*/runs", steps)  # a new volume takes its owner from there


@pytest.mark.parametrize("name", ["compose.yaml", *KUBERNETES])
def test_images_are_those_that_the_page_builds(name: str) -> None:
    built = set(re.findall(r"docker build .*--tag (\S+)", (FOLDER / "README.md").read_text(encoding="utf-8")))
    named = re.findall(r"image: (?:&image )?(neuroplastic\S+)", (FOLDER / name).read_text(encoding="utf-8"))
    assert named
    assert {re.sub(r"\$\{TAG:-(\w+)\}", r"\1", image) for image in named} <= built
