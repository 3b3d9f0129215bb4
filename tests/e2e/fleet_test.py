"""A Deployment of workers that grows with what waits, and shrinks without ending an attempt: on a fake API server whose
kubelet really runs them."""

import unittest

from cluster import Cluster, Gate, wait_until
from fake_kubernetes import NAMESPACE, FakeKubernetes

DEPLOYMENT = "workers"


class Fleet(unittest.TestCase):
    def setUp(self) -> None:
        self.cluster = Cluster.of(self)
        self.fake = FakeKubernetes.of(self, self.cluster)

    def start(self, *more: str, replicas: int = 0) -> None:
        self.cluster.start_scheduler(
            "--kubernetes-api", self.fake.url, "--kubernetes-token-file", str(self.fake.token),
            "--kubernetes-workers", DEPLOYMENT, "--kubernetes-workers-namespace", NAMESPACE,
            "--kubernetes-workers-max", "3", "--kubernetes-workers-idle", "1s", "--kubernetes-workers-every", "100ms", *more)
        keys = self.cluster.state / "keys"
        command = ["chappe-worker", "--scheduler", self.cluster.endpoint, "--server-key", str(keys / "scheduler.pub"),
                   "--key-file", str(keys / "worker.key"), "--work-dir", "/work", "--cpus", "1", "--object-store",
                   f"file://{self.cluster.state}/objects", "--container-socket", "none"]
        name = {"name": "CHAPPE_WORKER_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
        worker = {"name": "worker", "image": "chappe", "command": command, "env": [name],
                  "volumeMounts": [{"name": "work", "mountPath": "/work"}]}
        self.fake.ask("deploy", namespace=NAMESPACE, name=DEPLOYMENT, replicas=replicas, labels={"app": "worker"},
                      spec={"containers": [worker], "volumes": [{"name": "work", "emptyDir": {}}],
                            "terminationGracePeriodSeconds": 60})

    def expect_pods(self, count: int) -> set[str]:
        return set(wait_until(f"{count} workers", self.fake.pods, lambda pods: len(pods) == count))

    def test_it_grows_with_what_waits_and_shrinks_to_nothing(self) -> None:
        self.start()
        gate = Gate(self.cluster)
        run = self.cluster.submit(f"""
            name: many
            tasks: [{{id: t, foreach: {{sequence: {{count: 8}}}}, run: "{gate.wait_for_it}"}}]
            """)
        gate.reached(3)
        self.expect_pods(3)
        gate.open()
        self.cluster.wait_for_run(run, "success")
        self.expect_pods(0)
        for number in range(8):
            self.assertEqual(self.cluster.attempts(run, f"t[{number}]"), [(1, "success", None)])

    def test_shrinking_ends_no_attempt(self) -> None:
        self.start()
        long, short = Gate(self.cluster, "long"), Gate(self.cluster, "short")
        run = self.cluster.submit(f"""
            name: uneven
            tasks:
              - {{id: long, run: "{long.wait_for_it}"}}
              - {{id: short, foreach: {{items: [a, b]}}, run: "{short.wait_for_it}"}}
            """)
        long.reached()
        short.reached(2)
        before = self.expect_pods(3)
        short.open()
        after = self.expect_pods(1)
        worker = {each["worker"]: each["name"] for each in self.cluster.get("/api/v1/workers")["items"]}
        self.assertEqual({worker[self.cluster.task(run, "long")["attempts"][0]["worker"]]}, after)
        self.assertEqual(set(self.fake.ask("removed")), before - after)
        long.open()
        self.cluster.wait_for_run(run, "success")
        self.assertEqual(self.cluster.attempts(run, "long"), [(1, "success", None)])
        self.expect_pods(0)

    def test_it_keeps_its_bounds_and_its_size_while_the_server_is_not_well(self) -> None:
        self.start("--kubernetes-workers-min", "2", replicas=3)
        self.fake.ask("fail", verb="patch", status=500, count=1000)
        self.expect_pods(3)
        wait_until("its complaint", lambda: self.cluster.daemons[0].said(), lambda said: "mark pod" in said)
        self.assertEqual(self.fake.ask("removed"), [], "what could not be marked is not let go")
        self.fake.ask("heal")
        self.fake.ask("fail", verb="scale_deployment", status=409, count=3)
        self.expect_pods(2)
        told = self.cluster.call("GET", "/metrics").decode()
        self.assertIn("chappe_worker_cpus_wanted 0\n", told)

    def test_it_says_what_is_missing(self) -> None:
        self.cluster.start_scheduler("--kubernetes-workers", DEPLOYMENT, wait=False)
        daemon = self.cluster.daemons[0]
        wait_until("it to end", lambda: not daemon.running())
        self.assertIn("--kubernetes-workers: name --kubernetes-api", daemon.said())


if __name__ == "__main__":
    unittest.main()
