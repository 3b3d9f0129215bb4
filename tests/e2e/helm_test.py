"""The Helm chart, rendered by helm: the same objects as the kustomizations, and values that are checked."""

import json
import re
import subprocess
import unittest
from typing import Any

import kubernetes_tools
from cluster import ROOT, chappe_binary
from kustomize_test import KUSTOMIZE, all_documents, render

CHART = ROOT / "deploy" / "helm" / "chappe"
HELMS_OWN = ("app.kubernetes.io/instance", "app.kubernetes.io/managed-by", "helm.sh/chart")


def helm(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(kubernetes_tools.helm()), *words], capture_output=True, text=True, timeout=60)


def template(*options: str, release: str = "chappe") -> list[dict[str, Any]]:
    done = helm("template", release, str(CHART), "--namespace", "chappe", "--kube-version", "1.32.0", *options)
    if done.returncode != 0:
        raise AssertionError(done.stderr)
    return all_documents(done.stdout)


def plain(objects: list[dict[str, Any]]) -> dict[str, Any]:
    """By kind and name, without what only one of the two tools adds."""
    names = {one["metadata"]["name"]: re.sub(r"-[0-9a-z]{10}$", "", one["metadata"]["name"]) for one in objects if one["kind"] == "ConfigMap"}

    def strip(value: Any) -> Any:
        if isinstance(value, list):
            return [strip(each) for each in value]
        if not isinstance(value, dict):
            return names.get(value, value) if isinstance(value, str) else value
        out = {key: strip(each) for key, each in value.items() if key not in HELMS_OWN and not key.startswith("checksum/")}
        return {key: each for key, each in out.items() if not (key == "annotations" and not each)}

    found = {}
    for one in map(strip, objects):
        one["metadata"].pop("namespace", None)
        if one["kind"] == "ConfigMap":
            one["metadata"].pop("labels", None)
            for name in {"chappe.yaml", "pod.yaml"} & set(one.get("data", {})):
                (one["data"][name],) = all_documents(one["data"][name])
        else:
            for label in ("app.kubernetes.io/name", "app.kubernetes.io/component", "app.kubernetes.io/part-of"):
                one["metadata"].get("labels", {}).pop(label, None)
            if not one["metadata"].get("labels"):
                one["metadata"].pop("labels", None)
        found[f"{one['kind']}/{one['metadata']['name']}"] = one
    return found


class Helm(unittest.TestCase):
    maxDiff = 4000

    def setUp(self) -> None:
        if kubernetes_tools.helm() is None:
            self.skipTest("SKIPPED: no helm: the chart was not rendered")

    def expect_same(self, folder: str, *options: str, without_replicas: bool = False) -> None:
        theirs = plain(render(KUSTOMIZE / folder))
        if without_replicas:
            theirs["Deployment/chappe-worker"]["spec"].pop("replicas")
        theirs.pop("Namespace/chappe")  # That is for `helm install --create-namespace`.
        theirs.pop("Namespace/chappe-tasks", None)  # And this for whoever puts Secrets into it.
        ours = plain(template(*options))
        self.assertEqual(sorted(ours), sorted(theirs))
        for name in ours:
            self.assertEqual(ours[name], theirs[name], name)

    def test_it_has_nothing_that_helm_complains_of(self) -> None:
        done = helm("lint", "--strict", str(CHART))
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn("0 chart(s) failed", done.stdout)
        version = subprocess.run([chappe_binary(), "version"], capture_output=True, text=True, check=True).stdout.strip()
        self.assertIn(f"\nversion: {version}\nappVersion: {version}\n", (CHART / "Chart.yaml").read_text())

    def test_it_renders_what_the_kustomizations_do(self) -> None:
        self.expect_same("base")
        self.expect_same("overlays/monitoring", "--set", "monitoring.enabled=true")
        self.expect_same("overlays/scaled", "--set", "scaled.enabled=true", without_replicas=True)
        self.expect_same("overlays/pods", "--set", "pods.enabled=true")

    def test_two_releases_share_nothing(self) -> None:
        """Nor does one's Service, policy or budget take the other's pods in."""
        all_of_it = ("--set", "pods.enabled=true,scaled.enabled=true")
        one, other = template(*all_of_it), template(*all_of_it, release="other")
        names = [{f"{each['kind']}/{each['metadata']['name']}" for each in objects} for objects in (one, other)]
        self.assertEqual(names[0] & names[1], set())
        text = json.dumps(other).replace("app.kubernetes.io/name\": \"chappe", "").replace("part-of\": \"chappe", "")
        self.assertNotIn('"chappe-worker', text.replace('"chappe-worker-keys"', ""))
        for selector in re.findall(r'"matchLabels": (\{.*?\})', json.dumps(other)):
            if selector != '{"kubernetes.io/metadata.name": "chappe-tasks"}':  # Of a namespace.
                self.assertEqual(json.loads(selector)["app.kubernetes.io/instance"], "other")

    def test_values_reach_their_places(self) -> None:
        digest = "sha256:" + "a" * 64
        objects = plain(template(
            "--set", f"image.repository=registry.example/chappe,image.digest={digest},worker.image=registry.example/tasks:3",
            "--set", "worker.replicas=7,scheduler.storage=50Gi,scheduler.storageClass=fast,networkPolicy.enabled=false",
            "--set", "imagePullSecrets={registry},worker.tolerations[0].key=nvidia.com/gpu,worker.tolerations[0].operator=Exists",
            "--set", "settings.object_store=s3://mine/chappe,settings.worker.label.zone=north", "--set-string", "dags.a\\.yaml=name: a",
        ))
        worker, scheduler = objects["Deployment/chappe-worker"]["spec"], objects["StatefulSet/chappe-scheduler"]["spec"]
        self.assertEqual(worker["replicas"], 7)
        self.assertEqual(worker["template"]["spec"]["containers"][0]["image"], "registry.example/tasks:3")
        self.assertEqual(worker["template"]["spec"]["initContainers"][0]["image"], f"registry.example/chappe@{digest}")
        self.assertEqual(worker["template"]["spec"]["tolerations"], [{"key": "nvidia.com/gpu", "operator": "Exists"}])
        self.assertEqual(worker["template"]["spec"]["imagePullSecrets"], [{"name": "registry"}])
        self.assertEqual(scheduler["volumeClaimTemplates"][0]["spec"]["storageClassName"], "fast")
        self.assertEqual(scheduler["volumeClaimTemplates"][0]["spec"]["resources"]["requests"], {"storage": "50Gi"})
        settings = objects["ConfigMap/chappe"]["data"]["chappe.yaml"]
        self.assertEqual((settings["object_store"], settings["worker"]["label"]), ("s3://mine/chappe", {"zone": "north"}))
        self.assertEqual(settings["worker"]["scheduler"], "tcp://chappe:7331")
        self.assertEqual(objects["ConfigMap/chappe-dags"]["data"], {"a.yaml": "name: a"})
        self.assertEqual([name for name in objects if name.startswith("NetworkPolicy")], [])

    def test_pods_of_tasks_are_as_the_values_say(self) -> None:
        """And their role is in their namespace, the scheduler's token where it is used and nowhere else."""
        objects = template("--set", "pods.enabled=true,scaled.enabled=true,pods.namespace=work,pods.image=registry.example/chappe:2", "--set",
                           "pods.most=7,pods.defaultExecutor=kubernetes,pods.template.spec.containers[0].name=task", "--set",
                           "pods.template.spec.containers[0].image=registry.example/ml:3")
        found = plain(objects)
        pod = found["StatefulSet/chappe-scheduler"]["spec"]["template"]["spec"]
        self.assertEqual({each["name"]: each["value"] for each in pod["containers"][0]["env"]}, {
            "CHAPPE_KUBERNETES_NAMESPACE": "work", "CHAPPE_KUBERNETES_IMAGE": "registry.example/chappe:2",
            "CHAPPE_KUBERNETES_SCHEDULER": "tcp://chappe.chappe.svc:7331", "CHAPPE_KUBERNETES_TEMPLATE": "/etc/chappe/pods/pod.yaml",
            "CHAPPE_KUBERNETES_PODS": "7", "CHAPPE_DEFAULT_EXECUTOR": "kubernetes",
            "CHAPPE_KUBERNETES_WORKERS": "chappe-worker", "CHAPPE_KUBERNETES_WORKERS_MIN": "0", "CHAPPE_KUBERNETES_WORKERS_MAX": "10"})
        self.assertIs(pod["automountServiceAccountToken"], True)
        self.assertEqual(found["ConfigMap/chappe-pods"]["data"]["pod.yaml"]["spec"]["containers"], [{"name": "task", "image": "registry.example/ml:3"}])
        where = {f"{one['kind']}/{one['metadata']['name']}": one["metadata"].get("namespace") for one in objects}
        self.assertEqual({name for name, namespace in where.items() if namespace == "work"},
                         {"Role/chappe-launcher", "RoleBinding/chappe-launcher", "NetworkPolicy/chappe-pods"})
        self.assertEqual(found["RoleBinding/chappe-launcher"]["subjects"],
                         [{"kind": "ServiceAccount", "name": "chappe-scheduler", "namespace": "chappe"}])
        self.assertIs(plain(template())["StatefulSet/chappe-scheduler"]["spec"]["template"]["spec"]["automountServiceAccountToken"], False)

    def test_values_that_are_none_are_refused(self) -> None:
        for wrong, where in (("worker.replicas=many", "replicas"), ("image.digest=latest", "digest"), ("replicas=3", "replicas"),
                             ("scheduler.storage=large", "storage"), ("scaled.min=-1", "min"), ("pods.most=0", "most"), ("pods.defaultExecutor=docker", "defaultExecutor"), ("pods.template.kind=Job", "template"), ("worker.resources.limits=null", "limits")):
            with self.subTest(wrong):
                done = helm("template", "chappe", str(CHART), "--set", wrong)
                self.assertNotEqual(done.returncode, 0)
                self.assertIn(where, done.stderr)

    def test_kubernetes_takes_its_objects(self) -> None:
        objects = template("--set", "monitoring.enabled=true,scaled.enabled=true,pods.enabled=true,scheduler.storageClass=fast", "--set",
                           "imagePullSecrets={registry},worker.tolerations[0].key=a", "--set-string", "dags.a\\.yaml=name: a")
        self.assertEqual(kubernetes_tools.complaints(objects), [])


if __name__ == "__main__":
    unittest.main()
