"""Tasks in pods that are really run: the fake API server hands each one, as the scheduler made it, to `podman play kube`.
The images have nothing of Chappe; the worker in them is the static one."""

import os
import shutil
import unittest

import podman
from cluster import DEADLINE, Cluster, free_port, wait_until
from fake_kubernetes import FakeKubernetes
from podman import IMAGE, Podman
from static_worker_test import PROGRAM
from store_away_test import FakeS3

PORT = free_port()  # Pods have the machine's network here.
CHAPPE = "localhost/chappe-only:1"  # What --kubernetes-image is.
TEMPLATE = """
spec:
  containers:
    - name: task
      env:
        - {{name: AWS_ACCESS_KEY_ID, value: x}}
        - {{name: AWS_SECRET_ACCESS_KEY, value: hush-hush}}
        - {{name: AWS_ENDPOINT_URL_S3, value: "{endpoint}"}}
        - {{name: AWS_REGION, value: us-east-1}}
"""


@unittest.skipIf(podman.missing() or not os.access(PROGRAM, os.X_OK),
                 f"SKIPPED: {podman.missing() or 'no static chappe-worker'}: no pod was really run")
class KubernetesByPodman(unittest.TestCase):
    def setUp(self) -> None:
        self.podman = Podman.of(self, "httpd", "wget")
        root = self.podman.directory / "chappe-only"
        (root / "bin").mkdir(parents=True)
        shutil.copy(PROGRAM, root / "bin/chappe-worker")
        self.podman.import_folder(root, CHAPPE)
        self.store = FakeS3(self)
        self.cluster = Cluster.of(self, object_store="s3://office/chappe")
        self.cluster.environment |= self.store.environment()
        self.fake = FakeKubernetes.of(self, self.cluster, "podman", self.podman.words)
        template = self.cluster.directory / "pod.yaml"
        template.write_text(TEMPLATE.format(endpoint=self.store.endpoint))
        self.cluster.start_scheduler(*self.fake.options(
            "--default-executor", "kubernetes", "--kubernetes-template", str(template), image=CHAPPE))

    def show(self) -> None:
        for log in sorted(self.fake.pods_directory.glob("*.log")):
            print(f"---- {log.name}\n{log.read_text()[-2000:]}")

    def test_a_dag_runs_in_pods_of_any_image_and_lineage_names_their_digest(self) -> None:
        self.addCleanup(lambda: self.show() if self.cluster.run(run)["state"] != "success" else None)
        run = self.cluster.submit(f"""
            name: coded
            image: {IMAGE}
            defaults: {{infra_retry: {{limit: 0}}}}
            tasks:
              - id: ingest
                run: |
                  echo "as $(id -u) in $PWD: $AWS_SECRET_ACCESS_KEY of $AWS_ENDPOINT_URL"
                  seq 1 100 > rows
                outputs: {{artifacts: [{{name: rows, path: rows, asset: {{uri: coded/rows, name: rows}}}}]}}
              - id: count
                inputs: {{artifacts: [{{name: rows, from: ingest.rows, path: in/rows}}]}}
                run: wc -l < in/rows | tee count
                outputs: {{values: {{count: {{file: count}}}}}}
            """)
        self.cluster.wait_for_run(run, "success", 120)
        log = self.cluster.log(run, "ingest")
        self.assertEqual(log, f"as 65532 in {log.split(' in ')[1].split(':')[0]}: *** of {self.store.endpoint}\n")
        self.assertEqual(self.cluster.values(run, "count"), {"count": "100"})
        self.fake.expect_no_pods()
        digest = self.podman.image_digest()
        wait_until("the images", lambda: {task["name"]: task["image"] for task in self.cluster.tasks(run).values()},
                   lambda images: images == {"ingest": digest, "count": digest})
        (version,) = self.cluster.assets("rows")
        lineage = self.cluster.get(f"/api/v1/assets/{version['id']}/lineage")
        self.assertIn(digest, [node.get("image") for node in lineage["nodes"]])
        told = self.cluster.chappe("--state-dir", str(self.cluster.state), "lineage", "rows").stdout
        self.assertIn(digest, told)
        self.assertEqual(self.fake.ask("stats")["counts"]["pods"], 2)

    def test_a_task_that_outgrows_its_pod_is_killed_for_memory(self) -> None:
        run = self.cluster.submit(f"""
            name: greedy
            image: {IMAGE}
            tasks: [{{id: a, resources: {{memory: 32Mi}}, run: 'x=$(yes | head -c 300000000); echo $x'}}]
            """)
        self.cluster.wait_for_run(run, "failed", 120)
        task = self.cluster.tasks(run)["a"]
        self.assertEqual((task["reason"], task["exit_code"]), ("oom", 137), task["message"])
        self.fake.expect_no_pods()

    def test_a_pod_that_is_cancelled_is_gone(self) -> None:
        run = self.cluster.submit(f"name: long\nimage: {IMAGE}\ntasks: [{{id: a, run: 'echo here; sleep 1000'}}]\n")
        self.addCleanup(lambda: self.show() if self.cluster.run(run)["state"] != "cancelled" else None)
        wait_until("its log", lambda: self.cluster.tasks(run)["a"]["state"] == "running" and self.cluster.log(run, "a"), bool, 2 * DEADLINE)
        self.cluster.post(f"/api/v1/runs/{run}/cancel")
        self.cluster.wait_for_run(run, "cancelled")
        self.fake.expect_no_pods()
        self.assertEqual(self.podman.call("GET", "/containers/json?all=true")[1], [])

    def test_sidecars_are_ready_before_the_task_and_gone_after_it(self) -> None:
        self.addCleanup(lambda: self.show() if self.cluster.run(run)["state"] != "success" else None)
        run = self.cluster.submit(f"""
            name: beside
            image: {IMAGE}
            defaults: {{infra_retry: {{limit: 0}}}}
            tasks:
              - id: a
                run: wget -qO- http://127.0.0.1:{PORT}/up
                sidecars:
                  - name: web
                    image: {IMAGE}
                    port: {PORT}
                    ready: {{http: /up}}
                    env: {{GREETING: "hello $(HOME)"}}
                    command: [sh, -c, 'sleep 1; echo "$GREETING" > /tmp/up; exec httpd -f -p {PORT} -h /tmp']
            """)
        self.cluster.wait_for_run(run, "success", 120)
        self.assertEqual(self.cluster.log(run, "a"), "hello $(HOME)\n")
        digest = self.podman.image_digest()
        wait_until("the images", lambda: self.cluster.tasks(run)["a"]["sidecar_images"], lambda images: images == {"web": digest})
        self.fake.expect_no_pods()
        self.assertEqual(self.podman.call("GET", "/containers/json?all=true")[1], [])

    def test_a_sidecar_that_fails_before_it_is_ready_fails_the_launch_with_its_last_words(self) -> None:
        run = self.cluster.submit(f"""
            name: broken
            image: {IMAGE}
            tasks:
              - id: a
                run: echo never
                sidecars: [{{name: db, image: "{IMAGE}", port: {PORT}, command: [sh, -c, "echo no disk; exit 3"]}}]
            """)
        self.cluster.wait_for_run(run, "failed", 120)
        task = self.cluster.tasks(run)["a"]
        self.assertEqual((task["reason"], task["message"]),
                         ("launch_failed", "sidecar 'db' was not ready: it ended with exit code 3: no disk"))
        self.fake.expect_no_pods()

    def test_a_service_in_a_pod_is_reached_from_other_pods_and_ended_after_them(self) -> None:
        self.addCleanup(lambda: self.show() if self.cluster.run(run)["state"] != "success" else None)
        run = self.cluster.submit(f"""
            name: served
            image: {IMAGE}
            defaults: {{infra_retry: {{limit: 0}}}}
            tasks:
              - id: web
                executor: kubernetes
                service: {{ready: {{http: /up}}}}
                run: echo served > up; exec httpd -f -p "$CHAPPE_SERVICE_PORT"
              - id: ask
                depends_on: [web]
                env: {{WEB: "${{{{ tasks.web.outputs.address }}}}"}}
                run: wget -qO- "http://$WEB/up"
            """)
        self.cluster.wait_for_run(run, "success", 180)
        self.assertEqual(self.cluster.log(run, "ask"), "served\n")
        self.fake.expect_no_pods()


if __name__ == "__main__":
    unittest.main()
