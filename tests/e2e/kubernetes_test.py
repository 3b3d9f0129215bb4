"""Tasks in pods, on a fake API server whose kubelet really runs the worker of each pod."""

import shutil
import unittest

import kubernetes_tools
from cluster import Cluster, Gate, wait_until
from fake_kubernetes import NAMESPACE, FakeKubernetes
from kustomize_test import KUSTOMIZE, pods, render


class Kubernetes(unittest.TestCase):
    def setUp(self) -> None:
        self.cluster = Cluster.of(self)
        self.fake = FakeKubernetes.of(self, self.cluster)
        self.scheduler = self.cluster.start_scheduler(*self.fake.options())

    def waiting(self, gate: Gate, more: str = "") -> str:
        return f"""
            name: in_pods
            tasks:
              - id: make
                executor: kubernetes
                {more}
                run: |
                  {gate.wait_for_it}
                  echo result > result
                outputs: {{artifacts: [{{name: result, path: result}}]}}
            """

    def expect_task(self, run: str, *attempts: tuple[int, str, str | None]) -> None:
        self.assertEqual(self.cluster.attempts(run, "make"), list(attempts))

    def test_a_dag_runs_in_pods_beside_a_worker(self) -> None:
        self.cluster.start_worker()
        run = self.cluster.submit("""
            name: in_pods
            defaults: {executor: kubernetes, infra_retry: {limit: 0}}
            tasks:
              - id: extract
                run: for i in 1 2 3; do echo "$i" >> numbers; done; echo "$PWD"
                outputs: {artifacts: [{name: numbers, path: numbers}]}
              - id: sum
                foreach: {items: [1, 10, 100], as: factor}
                env: {FACTOR: "${{ factor }}"}
                inputs: {artifacts: [{name: numbers, from: extract.numbers, path: in}]}
                run: awk -v f="$FACTOR" '{s += $1 * f} END {print s}' in > sum
                outputs: {values: {sum: {file: sum}}}
              - id: here
                executor: worker
                depends_on: [sum]
                run: "true"
            """)
        self.cluster.wait_for_run(run, "success")
        self.assertEqual(self.cluster.values(run, "sum[100]"), {"sum": "600"})
        self.assertIn("chappe-work", self.cluster.log(run, "extract"), "it ran on the volume of its pod")
        self.fake.expect_no_pods()
        self.assertEqual(self.fake.ask("stats")["counts"]["pods"], 4)

    def test_a_kubernetes_secret_goes_from_the_kubelet_to_the_task(self) -> None:
        self.fake.ask("secret", name="warehouse", data={"password": "hunter-22"})
        run = self.cluster.submit("""
            name: in_pods
            tasks:
              - id: make
                executor: kubernetes
                secrets: {PGPASSWORD: {kubernetes: {name: warehouse, key: password}, as: file}}
                run: cat "$PGPASSWORD"; echo; wc -c < "$PGPASSWORD"; env | grep -c POD_SECRET || true
            """)
        self.cluster.wait_for_run(run, "success")
        self.assertEqual(self.cluster.log(run, "make"), "***\n9\n0\n")
        self.fake.expect_no_pods()
        self.scheduler.stop()
        for path in [path for path in self.cluster.directory.rglob("*") if path.is_file()]:
            self.assertNotIn(b"hunter-22", path.read_bytes(), path)

    @unittest.skipIf(shutil.which("kubectl") is None, "SKIPPED: no kubectl: the kustomization was not rendered")
    def test_the_kustomization_has_what_pods_need(self) -> None:
        """Its settings, its template, and a role with the very rights that are used."""
        objects = render(KUSTOMIZE / "overlays" / "pods")
        (template,) = [one["data"]["pod.yaml"] for one in objects if "pod.yaml" in one.get("data", {})]
        (role,) = [one for one in objects if one["kind"] == "Role"]
        environment = {each["name"]: each["value"] for each in pods(objects)["chappe-scheduler"]["containers"][0]["env"]}
        self.assertEqual(role["metadata"]["namespace"], environment["CHAPPE_KUBERNETES_NAMESPACE"])
        (self.cluster.directory / "pod.yaml").write_text(template)
        environment["CHAPPE_KUBERNETES_TEMPLATE"] = str(self.cluster.directory / "pod.yaml")
        del environment["CHAPPE_KUBERNETES_SCHEDULER"]  # It has that name in a cluster only.
        self.scheduler.stop()
        self.cluster.start_scheduler("--kubernetes-api", self.fake.url, "--kubernetes-token-file", str(self.fake.token), environment=environment)
        gate = Gate(self.cluster)
        run = self.cluster.submit(self.waiting(gate))
        gate.reached()
        (pod,) = self.fake.pods().values()
        self.assertEqual(pod["metadata"]["namespace"], "chappe-tasks")
        self.assertEqual(pod["spec"]["containers"][0]["envFrom"], [{"secretRef": {"name": "chappe-object-store"}}])
        self.scheduler = self.cluster.daemons[-1]
        self.scheduler.kill()
        self.cluster.start_scheduler("--kubernetes-api", self.fake.url, "--kubernetes-token-file", str(self.fake.token), environment=environment)
        gate.open()
        self.cluster.wait_for_run(run, "success")
        self.fake.expect_no_pods()
        used = {verb for verb, count in self.fake.ask("stats")["counts"].items() if count and verb != "pods"}
        self.assertEqual(role["rules"], [{"apiGroups": [""], "resources": ["pods"], "verbs": ["create", "get", "list", "watch", "delete"]}])
        self.assertEqual(used, set(role["rules"][0]["verbs"]))

    def test_kubernetes_would_take_its_pods(self) -> None:
        self.fake.ask("secret", name="warehouse", data={"password": "hunter-22"})
        template = self.cluster.directory / "pod.yaml"
        template.write_text("""
            metadata: {labels: {team: coding}}
            spec:
              imagePullSecrets: [{name: registry}]
              volumes: [{name: data, persistentVolumeClaim: {claimName: shared-data}}]
              containers: [{name: task, envFrom: [{secretRef: {name: s3}}]}, {name: beside, image: "beside:1"}]
            """)
        self.scheduler.stop()
        self.cluster.start_scheduler(*self.fake.options("--kubernetes-template", str(template)))
        self.cluster.submit("""
            name: in_pods
            tasks:
              - id: make
                executor: kubernetes
                image: "tasks:1"
                command: [sleep, "100"]
                timeout: 1h
                queue_timeout: 1h
                resources: {cpu: 4, memory: 8Gi, gpu: 2}
                node_selector: {pool: training}
                tolerations: [training]
                service_account: trainer
                volumes: [{name: data, path: /data, read_only: true}]
                secrets: {PGPASSWORD: {kubernetes: {name: warehouse, key: password}}}
                sidecars:
                  - {name: db, image: "pg:1", args: [-c, x], env: {A: b}, port: 5432, resources: {cpu: 1, memory: 1Gi},
                     container: {user: "999:999", read_only: false, pull: always}}
                  - {name: web, image: "web:1", command: [serve], port: 8080, ready: {http: /up}}
            """)
        (pod,) = wait_until("one pod", self.fake.pods, lambda pods: len(pods) == 1).values()
        asked = {"apiVersion": "v1", "kind": "Pod", "metadata": pod["metadata"], "spec": pod["spec"]}
        self.assertEqual(kubernetes_tools.complaints([asked]), [])

    def test_an_image_is_told_by_its_digest(self) -> None:
        run = self.cluster.submit("name: in_pods\ntasks: [{id: make, executor: kubernetes, run: 'true'}]")
        self.cluster.wait_for_run(run, "success")
        wait_until("its image", lambda: self.cluster.tasks(run)["make"]["image"], lambda image: image == "fake@sha256:" + "0" * 64)

    def test_an_evicted_pod_costs_no_retry(self) -> None:
        gate = Gate(self.cluster)
        run = self.cluster.submit(self.waiting(gate))
        gate.reached()
        self.fake.on("evict", self.fake.only_pod())
        gate.reached(times=2)
        gate.open()
        self.cluster.wait_for_run(run, "success")
        self.expect_task(run, (1, "failed", "lost_worker"), (2, "success", None))
        self.fake.expect_no_pods()

    def test_who_took_a_pod_away_is_told(self) -> None:
        gate = Gate(self.cluster)
        run = self.cluster.submit(f"""
            name: in_pods
            tasks:
              - id: make
                run: |
                  trap 'sleep 1; exit 1' TERM  # So that news of the pod comes before the worker's.
                  {gate.wait_for_it}
                executor: kubernetes
            """)
        gate.reached()
        self.fake.evict(self.fake.only_pod())
        gate.reached(times=2)
        gate.open()
        self.cluster.wait_for_run(run, "success")
        self.expect_task(run, (1, "failed", "lost_worker"), (2, "success", None))
        first = min(self.cluster.task(run, "make")["attempts"], key=lambda attempt: attempt["attempt_no"])
        self.assertEqual(first["message"], "the worker was told to leave; the pod is being deleted: EvictionByEvictionAPI: Eviction API: evicting")

    def test_a_new_scheduler_goes_on_with_the_pods_of_the_one_that_was_killed(self) -> None:
        gate = Gate(self.cluster)
        run = self.cluster.submit(self.waiting(gate, "foreach: {items: [a, b, c]}"))
        gate.reached(times=3)
        self.scheduler.kill()
        before = set(self.fake.pods())
        self.cluster.start_scheduler(*self.fake.options())
        gate.open()
        self.cluster.wait_for_run(run, "success")
        for item in "abc":
            self.assertEqual(self.cluster.attempts(run, f"make[{item}]"), [(1, "success", None)])
        self.fake.expect_no_pods()
        self.assertEqual(self.fake.ask("stats")["counts"]["pods"], len(before))

    def test_a_pod_that_is_deleted_by_hand_costs_no_retry(self) -> None:
        gate = Gate(self.cluster)
        run = self.cluster.submit(self.waiting(gate))
        gate.reached()
        self.fake.delete(self.fake.only_pod())
        gate.reached(times=2)
        gate.open()
        self.cluster.wait_for_run(run, "success")
        self.expect_task(run, (1, "failed", "lost_worker"), (2, "success", None))
        self.fake.expect_no_pods()

    def test_a_worker_goes_on_though_nobody_hears_of_its_node(self) -> None:
        gate = Gate(self.cluster)
        run = self.cluster.submit(self.waiting(gate))
        gate.reached()
        pod = self.fake.only_pod()
        self.fake.on("lose", pod)
        self.fake.expect_no_pods()
        gate.open()
        self.cluster.wait_for_run(run, "success")
        self.expect_task(run, (1, "success", None))

    def test_the_lease_ends_what_was_lost_with_its_node(self) -> None:
        cluster = Cluster.of(self, lease="2s")
        fake = FakeKubernetes.of(self, cluster)
        cluster.start_scheduler(*fake.options())
        gate = Gate(cluster)
        run = cluster.submit(self.waiting(gate))
        gate.reached()
        pod = fake.only_pod()
        fake.on("lose", pod)
        fake.kill_worker(pod)
        gate.reached(times=2)
        gate.open()
        cluster.wait_for_run(run, "success")
        self.assertEqual(cluster.attempts(run, "make"), [(1, "failed", "lost_worker"), (2, "success", None)])
        first = min(cluster.task(run, "make")["attempts"], key=lambda attempt: attempt["attempt_no"])
        self.assertIn("was silent for 2s; the pod was deleted", first["message"])

    def test_explains_why_a_pod_does_not_start_and_gives_up_in_time(self) -> None:
        template = self.cluster.directory / "pod.yaml"
        template.write_text("spec: {containers: [{name: task, image: 'missing:1'}]}\n")
        self.scheduler.stop()
        self.cluster.start_scheduler(*self.fake.options("--kubernetes-template", str(template)))
        run = self.cluster.submit("""
            name: in_pods
            tasks: [{id: make, executor: kubernetes, queue_timeout: 3s, run: "true"}]
            """)
        wait_until(
            "the reason",
            lambda: self.cluster.get(f"/api/v1/runs/{run}/explain")["tasks"],
            lambda tasks: tasks and "ImagePullBackOff" in tasks[0]["waits_for"],
        )
        self.cluster.wait_for_run(run, "failed")
        self.assertEqual(self.cluster.tasks(run)["make"]["reason"], "launch_failed")
        self.fake.expect_no_pods()

    def test_a_cancelled_run_leaves_no_pod(self) -> None:
        gate = Gate(self.cluster)
        run = self.cluster.submit(self.waiting(gate, "foreach: {items: [a, b]}"))
        gate.reached(times=2)
        self.cluster.post(f"/api/v1/runs/{run}/cancel")
        self.cluster.wait_for_run(run, "cancelled")
        self.fake.expect_no_pods()

    def test_a_template_that_is_not_restricted_is_refused_at_the_start(self) -> None:
        template = self.cluster.directory / "pod.yaml"
        template.write_text("kind: Pod\nspec:\n  hostNetwork: true\n")
        self.scheduler.stop()
        refused = self.cluster.start_scheduler(
            *self.fake.options("--kubernetes-template", str(template)), wait=False
        )
        wait_until("it to end", lambda: not refused.running())
        self.assertIn("--kubernetes-template: the pod would not be \"restricted\": spec.hostNetwork", refused.said())

    def test_pods_that_nobody_needs_any_more_are_removed_at_the_next_start(self) -> None:
        gate = Gate(self.cluster)
        run = self.cluster.submit(self.waiting(gate))
        gate.reached()
        (pod,) = self.fake.pods().values()
        self.fake.ask("fail", verb="delete", status=500, count=1000)
        self.cluster.post(f"/api/v1/runs/{run}/cancel")
        self.cluster.wait_for_run(run, "cancelled")
        self.scheduler.kill()
        labels = {"chappe/installation": "another"}
        other = {"metadata": {"name": "other", "labels": labels}, "spec": pod["spec"]}
        self.fake.ask("create", namespace=NAMESPACE, pod={**other, "status": {}})
        self.fake.ask("heal")
        self.cluster.start_scheduler(*self.fake.options())
        wait_until("only another's pod to be left", self.fake.pods, lambda pods: list(pods) == ["other"])


if __name__ == "__main__":
    unittest.main()
