"""What runs Chappe on Kubernetes, rendered: whole, without more rights than it needs, with settings that there are."""

import json
import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path
from typing import Any

import kubernetes_tools
from cluster import ROOT, chappe_binary

KUSTOMIZE = ROOT / "deploy" / "kustomize"


def all_documents(text: str) -> list[dict[str, Any]]:
    """Of YAML; Debian's Python has a parser of it."""
    script = "import json, sys, yaml; json.dump([each for each in yaml.safe_load_all(sys.stdin) if each], sys.stdout)"
    return json.loads(subprocess.run(["/usr/bin/python3", "-c", script], input=text, capture_output=True, text=True, check=True).stdout)


def render(folder: Path) -> list[dict[str, Any]]:
    """The objects of a kustomization, as maps."""
    done = subprocess.run(["kubectl", "kustomize", "-o", "/dev/stdout", str(folder)], capture_output=True, text=True)
    if done.returncode != 0:
        raise AssertionError(done.stderr)
    return all_documents(done.stdout)


def pods(objects: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    templates = [one for one in objects if one["kind"] in ("Deployment", "StatefulSet")]
    return {one["metadata"]["name"]: one["spec"]["template"]["spec"] for one in templates}


@unittest.skipIf(shutil.which("kubectl") is None, "SKIPPED: no kubectl: the kustomizations were not rendered")
class Kustomizations(unittest.TestCase):
    def test_all_render(self) -> None:
        folders = [file.parent for file in KUSTOMIZE.rglob("kustomization.yaml")]
        self.assertGreater(len(folders), 1)
        for folder in folders:
            with self.subTest(folder.name):
                kinds = [one["kind"] for one in render(folder)]
                self.assertIn("StatefulSet", kinds)
                self.assertIn("NetworkPolicy", kinds)

    def test_kubernetes_takes_their_objects(self) -> None:
        for file in KUSTOMIZE.rglob("kustomization.yaml"):
            with self.subTest(file.parent.name):
                self.assertEqual(kubernetes_tools.complaints(render(file.parent)), [])

    def test_kubernetes_would_complain_of_what_is_misspelt(self) -> None:
        objects = render(KUSTOMIZE / "base")
        (worker,) = [one for one in objects if one["kind"] == "Deployment"]
        worker["spec"]["template"]["spec"]["terminationGracePeriod"] = 90
        (complaint, *_) = kubernetes_tools.complaints(objects)
        self.assertIn("Deployment/chappe-worker: spec/template/spec: ", complaint)
        self.assertIn("terminationGracePeriod", complaint)

    def test_its_pods_are_restricted(self) -> None:
        """The rules of Pod Security's level `restricted`, which the namespace enforces."""
        for name, pod in pods(render(KUSTOMIZE / "base")).items():
            security = pod["securityContext"]
            self.assertTrue(security["runAsNonRoot"], name)
            self.assertGreaterEqual(security["runAsUser"], 10000, name)
            self.assertEqual(security["seccompProfile"], {"type": "RuntimeDefault"}, name)
            self.assertIs(pod["automountServiceAccountToken"], False, name)
            for forbidden in ("hostNetwork", "hostPID", "hostIPC"):
                self.assertNotIn(forbidden, pod, name)
            self.assertEqual([volume for volume in pod["volumes"] if "hostPath" in volume], [], name)
            for container in pod["containers"] + pod["initContainers"]:
                own = container["securityContext"]
                self.assertIs(own["allowPrivilegeEscalation"], False, container["name"])
                self.assertIs(own["readOnlyRootFilesystem"], True, container["name"])
                self.assertEqual(own["capabilities"], {"drop": ["ALL"]}, container["name"])
                self.assertIn("memory", container["resources"]["limits"], container["name"])

    def test_they_name_only_what_there_is(self) -> None:
        objects = render(KUSTOMIZE / "base")
        maps = {one["metadata"]["name"] for one in objects if one["kind"] == "ConfigMap"}
        accounts = {one["metadata"]["name"] for one in objects if one["kind"] == "ServiceAccount"}
        read_me = (KUSTOMIZE / "base" / "kustomization.yaml").read_text()
        for pod in pods(objects).values():
            self.assertIn(pod["serviceAccountName"], accounts)
            for volume in pod["volumes"]:
                if "configMap" in volume:
                    self.assertIn(volume["configMap"]["name"], maps)
                if "secret" in volume:
                    self.assertIn(f"create secret generic {volume['secret']['secretName']} ", read_me)
            for container in pod["containers"] + pod["initContainers"]:
                volumes = {volume["name"] for volume in pod["volumes"]} | {"state"}
                self.assertLessEqual({mount["name"] for mount in container["volumeMounts"]}, volumes)

    def test_their_settings_are_settings_and_their_commands_commands(self) -> None:
        objects = render(KUSTOMIZE / "base")
        (settings,) = [one["data"]["chappe.yaml"] for one in objects if "chappe.yaml" in one.get("data", {})]
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write(settings)
            file.flush()
            told = subprocess.run([chappe_binary(), "--config", file.name, "config", "show", "--output", "json"],
                                  capture_output=True, text=True)
            self.assertEqual(told.returncode, 0, told.stderr)
        for pod in pods(objects).values():
            for container in pod["containers"]:
                helped = subprocess.run([chappe_binary(), *container["args"], "--help"], capture_output=True, text=True)
                self.assertEqual(helped.returncode, 0, container["args"])

    def test_what_they_set_by_environment_are_settings(self) -> None:
        for file in KUSTOMIZE.rglob("kustomization.yaml"):
            scheduler = pods(render(file.parent))["chappe-scheduler"]["containers"][0]
            given = {each["name"]: each["value"] for each in scheduler.get("env", [])}
            shown = subprocess.run([chappe_binary(), "config", "show", "--origin", "--output", "json"], capture_output=True, text=True, check=True,
                                   env={**os.environ, **given}).stdout
            taken = {each["origin"]: each["value"] for each in json.loads(shown)["items"]}
            for name, value in given.items():
                self.assertEqual(taken.get(name), value, file.parent.name)
