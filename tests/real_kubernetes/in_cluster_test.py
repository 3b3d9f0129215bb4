"""All of Chappe inside a real Kubernetes, as the chart installs it: scheduler, workers that come and go, pods of tasks. What
finds names and hands connections on in a cluster, a DNS and a proxy, the tests do themselves."""

import contextlib
import json
import re
import shutil
import subprocess
import unittest
from pathlib import Path

import kubernetes_tools
import node as nodes
import servers
import static_worker_test
from cluster import Cluster, chappe_binary, has_failed, wait_until
from helm_test import CHART
from node import TASKS, WORKER, busybox_root
from pods_test import SLOW, Forward
from servers import HOST, run
from static_worker_test import Resolver
from store_away_test import FakeS3

IMAGE = "localhost/chappe:1"
NAMESPACE, TASKS_NAMESPACE = "whole", "whole-tasks"
USER = f"system:serviceaccount:{NAMESPACE}:chappe-scheduler"
VALUES = {
    "image": {"repository": "localhost/chappe", "tag": "1"}, "settings": {"object_store": "s3://office/chappe", "scheduler": {
        "kubernetes_workers_idle": "5s", "kubernetes_workers_every": "1s"}},
    "scheduler": {"storage": "1Gi", "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "1Gi"}}},
    "worker": {"resources": {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"cpu": "1", "memory": "256Mi"}}},
    "scaled": {"enabled": True, "max": 3}, "pods": {"enabled": True, "namespace": TASKS_NAMESPACE},
}


def chappe_root(root: Path) -> Path:
    """An image of Chappe's own: the command with its libraries, the static worker, a shell."""
    busybox_root(root)
    run("strip", "-o", str(root / "bin/chappe"), chappe_binary())
    shutil.copy(WORKER, root / "bin/chappe-worker")
    curl = "/usr/lib/x86_64-linux-gnu/libcurl.so.4"  # Which is loaded when it is first used.
    (root / "lib").mkdir()
    shutil.copy(curl, root / "lib")
    for library in set(re.findall(r"(?:=> |^\s+)(/\S+)", run("ldd", chappe_binary(), curl), re.M)):
        at = root / library.lstrip("/")
        at.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(library, at)
    (root / "usr/share").mkdir(parents=True, exist_ok=True)
    shutil.copytree("/usr/share/zoneinfo", root / "usr/share/zoneinfo", symlinks=True)
    return root


class InCluster(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        if why := servers.missing() or nodes.missing() or ("" if kubernetes_tools.helm() else "no helm"):
            raise unittest.SkipTest(f"SKIPPED: {why}")
        cls.api, cls.node = servers.kubernetes(), nodes.node()
        cls.node.import_image(chappe_root(cls.node.images / "all"), IMAGE, entry_point=["chappe"],
                              environment=["CHAPPE_STATE_DIR=/var/lib/chappe", "HOME=/var/lib/chappe"])  # As deploy/container has it.

    def setUp(self) -> None:
        static_worker_test.DOMAIN = "svc.cluster.local"
        Resolver(self, HOST)
        store = FakeS3(self)
        endpoint = f"http://{HOST}:{Forward(self, int(store.endpoint.rpartition(':')[2])).port}"
        self.cluster = Cluster.of(self)
        self.cluster.directory.chmod(0o755)
        self.cluster.state.mkdir()
        shutil.chown(self.cluster.state, 10001, 10001)
        for namespace in (NAMESPACE, TASKS_NAMESPACE):
            self.api.make_namespace(namespace)
            self.make_secret(namespace, "chappe-object-store", *[f"--from-literal={name}={value}" for name, value in {
                **store.environment(), "AWS_ENDPOINT_URL_S3": endpoint}.items()])
        self.make_keys()
        self.api.apply({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "state"}, "spec": {
            "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOncePod"], "hostPath": {"path": str(self.cluster.state)},
            "persistentVolumeReclaimPolicy": "Retain"}})
        self.addCleanup(self.clean)
        self.addCleanup(lambda: self.show() if has_failed(self) else None)
        values = self.cluster.directory / "values.json"
        values.write_text(json.dumps(VALUES))
        run(str(kubernetes_tools.helm()), "install", "chappe", str(CHART), "--namespace", NAMESPACE, "--kubeconfig", str(self.api.kubeconfig),
            "--values", str(values))
        self.services = [Forward(self, port, port) for port in (7330, 7331)]
        self.follow_scheduler()

    def show(self) -> None:
        print(self.api.kubectl("get", "pods,events", "-A"))
        for words in (["chappe-scheduler-0"], ["chappe-scheduler-0", "--previous"], ["--selector=app.kubernetes.io/component=worker", "--prefix"]):
            with contextlib.suppress(AssertionError):
                print(self.api.kubectl("-n", NAMESPACE, "logs", "--tail=30", *words))

    def make_secret(self, namespace: str, name: str, *what: str) -> None:
        self.api.kubectl("-n", namespace, "delete", "secret", name, "--ignore-not-found")
        self.api.kubectl("-n", namespace, "create", "secret", "generic", name, *what)

    def make_keys(self) -> None:
        """As the first lines of deploy/kustomize/base/kustomization.yaml say."""
        keys = self.cluster.directory / "keys"
        self.cluster.chappe("worker-key", "scheduler", "--directory", str(keys))
        (keys / "authorized_workers").write_text(self.cluster.chappe("worker-key", "worker", "--directory", str(keys)).stdout)

        def files(*names: str) -> list[str]:
            return [f"--from-file={keys / name}" for name in names]

        self.make_secret(NAMESPACE, "chappe-scheduler-keys", *files("scheduler.key", "scheduler.pub", "worker.key", "worker.pub", "authorized_workers"))
        self.make_secret(NAMESPACE, "chappe-worker-keys", *files("worker.key", "scheduler.pub"))

    def follow_scheduler(self, other_than: str = "") -> str:
        """Points the Service at it, once it is ready; its uid."""
        def ready() -> dict:
            for name, pod in self.api.pods(NAMESPACE).items():
                conditions = {each["type"]: each["status"] for each in pod["status"].get("conditions", [])}
                if name == "chappe-scheduler-0" and pod["metadata"]["uid"] != other_than and conditions.get("Ready") == "True":
                    return pod
            return {}

        pod = wait_until("the scheduler's pod", ready, seconds=SLOW)
        for service in self.services:
            service.target_host = pod["status"]["podIP"]
        self.cluster.url = lambda: f"http://{HOST}:7330"  # type: ignore[method-assign]
        return pod["metadata"]["uid"]

    def clean(self) -> None:
        subprocess.run([str(kubernetes_tools.helm()), "uninstall", "chappe", "--namespace", NAMESPACE, "--kubeconfig", str(self.api.kubeconfig), "--wait"])
        self.api.kubectl("-n", NAMESPACE, "delete", "pvc", "--all")
        self.api.kubectl("delete", "pv", "state")

    def workers(self) -> list[str]:
        return [name for name in self.api.pods(NAMESPACE) if name.startswith("chappe-worker-")]

    def expect_workers(self, count: int) -> None:
        wait_until(f"{count} workers", self.workers, lambda names: len(names) == count, SLOW)

    def test_workers_come_and_go_and_pods_run_and_the_scheduler_is_replaced(self) -> None:
        self.expect_workers(0)
        run_id = self.cluster.submit(f"""
            name: all_kinds
            tasks:
              - {{id: many, foreach: {{sequence: {{count: 6}}}}, run: "sleep 20; echo $HOSTNAME"}}
              - {{id: pod, executor: kubernetes, image: "{TASKS}", depends_on: [many], run: "sleep 20; echo $HOSTNAME"}}
            """)
        self.expect_workers(3)
        wait_until("tasks to run", lambda: list(self.cluster.states(run_id).values()).count("running"), lambda running: running >= 3, SLOW)
        uid = self.api.pods(NAMESPACE)["chappe-scheduler-0"]["metadata"]["uid"]
        self.api.kubectl("-n", NAMESPACE, "delete", "pod", "chappe-scheduler-0", "--force", "--grace-period=0")
        self.follow_scheduler(other_than=uid)
        wait_until("the pod to run", lambda: self.cluster.states(run_id).get("pod"), lambda state: state == "running", SLOW)
        self.expect_workers(0)
        self.cluster.wait_for_run(run_id, "success", SLOW)
        for number in range(6):
            self.assertEqual(self.cluster.attempts(run_id, f"many[{number}]"), [(1, "success", None)])
        self.assertTrue(self.cluster.log(run_id, "pod").startswith("chappe-"))
        wait_until("its pod to be gone", lambda: self.api.pods(TASKS_NAMESPACE), lambda pods: not pods, SLOW)
        used = {}
        for verb, resource, status in self.api.audited(USER):
            used.setdefault((verb, resource), set()).add(status)
        print(f"asked of the API server: {used}", flush=True)
        self.assertEqual([what for what, statuses in used.items() if 403 in statuses], [])
        self.assertLessEqual(set(used), {("get", "deployments"), ("patch", "deployments/scale"), *(
            (verb, "pods") for verb in ("create", "get", "list", "watch", "delete", "patch"))})


if __name__ == "__main__":
    unittest.main()
