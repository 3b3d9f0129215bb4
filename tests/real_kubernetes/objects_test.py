"""What deploy/ applies, on a real API server: taken whole, strictly and without a warning, by kubectl and by helm."""

import json
import os
import subprocess
import unittest
from pathlib import Path
from typing import Any

import kubernetes_tools
import servers
from cluster import wait_until
from helm_test import CHART
from kustomize_test import KUSTOMIZE, all_documents, render

# Of modules of Go that scripts/real-kubernetes has fetched.
OPERATORS = [Path(each) for each in os.environ.get("KUBERNETES_OPERATORS", "").split(":") if each]
ALL_VALUES = ("--set", "scaled.enabled=true,pods.enabled=true,pods.namespace=chart-tasks")


def of_an_operator(one: dict[str, Any]) -> bool:
    return one["apiVersion"].startswith(("monitoring.coreos.com/", "keda.sh/"))


class Objects(unittest.TestCase):
    maxDiff = None

    def setUp(self) -> None:
        if why := servers.missing():
            self.skipTest(f"SKIPPED: {why}")
        self.api = servers.kubernetes()

    def expect_taken(self, objects: list[dict[str, Any]]) -> None:
        """Tried, made, and tried again as a change: each is said to be taken, in a line of its own, and nothing else is said."""
        if namespaces := [one for one in objects if one["kind"] == "Namespace"]:
            self.api.apply(*namespaces)  # What is in them can be tried only then.
        for dry in (True, False, True):
            said = self.api.apply(*objects, dry=dry)
            self.assertEqual(len(said.splitlines()), len(objects), said)
            self.assertNotIn("Warning", said)

    def test_the_kustomizations_are_taken(self) -> None:
        self.apply_operators()
        folders = sorted(file.parent for file in KUSTOMIZE.rglob("kustomization.yaml"))
        self.assertGreater(len(folders), 3)
        for folder in folders:
            with self.subTest(folder.name):
                self.expect_taken(render(folder))
        self.addCleanup(self.api.kubectl, "-n", "chappe", "delete", "statefulset,deployment,pdb", "--all")

    def apply_operators(self) -> None:
        """The kinds of a Prometheus operator and of KEDA, from their own definitions."""
        if not OPERATORS:
            self.skipTest("SKIPPED: no definitions of a Prometheus operator and of KEDA")
        files = [str(file) for folder in OPERATORS for file in sorted(folder.glob("*.yaml"))
                 if file.stem.rpartition("_")[2] in ("servicemonitors", "podmonitors", "prometheusrules", "scaledobjects")]
        self.assertEqual(len(files), 4)
        self.api.kubectl("apply", "--server-side", *[word for file in files for word in ("-f", file)])
        self.api.kubectl("wait", "--for=condition=Established", "--timeout=60s", *[word for file in files for word in ("-f", file)])

    def test_what_is_misspelt_is_refused(self) -> None:
        """Or those above would say nothing."""
        objects = render(KUSTOMIZE / "base")
        (worker,) = [one for one in objects if one["kind"] == "Deployment"]
        worker["spec"]["template"]["spec"]["terminationGracePeriod"] = 90
        self.api.apply(*[one for one in objects if one["kind"] == "Namespace"])
        with self.assertRaisesRegex(AssertionError, r"unknown field .*terminationGracePeriod"):
            self.api.apply(worker, dry=True)
        del worker["spec"]["template"]["spec"]["terminationGracePeriod"]
        worker["spec"]["template"]["spec"]["hostNetwork"] = True
        self.assertIn("would violate PodSecurity", self.api.apply(worker, dry=True))

    def test_the_monitors_and_the_scaler_of_the_guide_are_taken(self) -> None:
        self.apply_operators()
        page = (servers.ROOT / "docs/guide/kubernetes.md").read_text()
        (scaler,) = [one for block in page.split("```yaml\n")[1:] for one in all_documents(block.partition("```")[0])
                     if one.get("kind") == "ScaledObject"]
        self.api.make_namespace("chappe")
        monitors = [one for one in render(KUSTOMIZE / "overlays" / "monitoring") if of_an_operator(one)]
        self.expect_taken([*monitors, scaler])

    def test_the_chart_is_installed_changed_and_taken_away(self) -> None:
        program = kubernetes_tools.helm()
        if program is None:
            self.skipTest("SKIPPED: no helm")
        self.apply_operators()
        self.api.make_namespace("chart-tasks")
        self.api.make_namespace("chart")

        def helm(*words: str) -> str:
            done = subprocess.run([program, *words, "--namespace", "chart", "--kubeconfig", str(self.api.kubeconfig)],
                                  capture_output=True, text=True, timeout=120)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertNotIn("arning", done.stderr)
            return done.stdout

        rendered = all_documents(helm("template", "one", str(CHART), *ALL_VALUES, "--set", "monitoring.enabled=true"))
        self.expect_taken(rendered)
        self.api.kubectl("delete", "-f", "-", given=json.dumps({"apiVersion": "v1", "kind": "List", "items": rendered}))
        helm("install", "one", str(CHART))
        helm("upgrade", "one", str(CHART), *ALL_VALUES, "--set", "monitoring.enabled=true,worker.replicas=1")
        self.assertEqual(json.loads(helm("list", "--output", "json"))[0]["revision"], "2")
        helm("uninstall", "one", "--wait")
        kinds = "all,role,rolebinding,networkpolicy,pdb,servicemonitor,podmonitor"
        wait_until("nothing to be left", lambda: self.api.kubectl("get", kinds, "-A", "-l", "app.kubernetes.io/instance=one", "-o", "name").split(),
                   lambda left: not left)


if __name__ == "__main__":
    unittest.main()
