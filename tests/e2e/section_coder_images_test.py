"""The main job in images: in containers of a worker, and in pods that the fake API server hands to Podman as its kubelet."""

import os
import shutil
import unittest
from typing import Any

import podman
from cluster import EXAMPLES, Cluster, wait_until
from fake_kubernetes import FakeKubernetes
from kubernetes_podman_test import CHAPPE, TEMPLATE
from podman import Podman
from static_worker_test import PROGRAM
from store_away_test import FakeS3

TIMEOUT = 1200  # Seconds, for CTest: the first one makes a Debian.
CODER = "localhost/section-coder:1"
EPOCHS = 10  # Enough for the gate.
MODELS = ("train[words]", "train[pairs]")


def missing() -> str:
    return podman.no_debian() or ("" if os.access(PROGRAM, os.X_OK) else "no static chappe-worker")


@unittest.skipIf(missing(), f"SKIPPED: {missing()}: the main job was run in no image")
class SectionCoderInImages(unittest.TestCase):
    def setUp(self) -> None:
        self.podman = Podman.of(self)
        self.podman.import_archive(podman.debian("section-coder", "fasttext", "python3", index=True), CODER)
        self.store = FakeS3(self)
        self.dag = (EXAMPLES / "section_coder" / "dag.yaml").read_text().replace("\nname:", f"\nimage: {CODER}\nname:", 1)

    def make_cluster(self) -> Cluster:
        cluster = Cluster.of(self, object_store="s3://office/chappe")
        cluster.environment |= self.store.environment()
        return cluster

    def code(self, cluster: Cluster) -> dict[str, Any]:
        """The models' hashes, by the task that made them."""
        run = cluster.submit(self.dag, epochs=EPOCHS)
        try:
            cluster.wait_for_run(run, "success", 300)
        except AssertionError:
            print(cluster.chappe("--state-dir", str(cluster.state), "explain", run).stdout)
            raise
        digest = self.podman.image_digest(CODER)
        programs = [task for task in cluster.tasks(run).values() if task["name"] not in ("gate", "deploy")]
        wait_until("the images", lambda: {task["name"]: cluster.tasks(run)[task["name"]]["image"] for task in programs},
                   lambda images: set(images.values()) == {digest})
        told = cluster.chappe("--state-dir", str(cluster.state), "lineage", "section_coder@champion").stdout
        self.assertIn(digest, told)
        outputs = cluster.get(f"/api/v1/runs/{run}/outputs")["artifacts"]
        return {each["task_name"]: each["sha256"] for each in outputs if each["task_name"] in MODELS}

    def test_containers_and_pods_make_the_same_models(self) -> None:
        boxed = self.make_cluster()
        boxed.start_scheduler()
        boxed.start_worker("w1", "--container-socket", str(self.podman.socket))
        in_containers = self.code(boxed)
        self.assertEqual(len(in_containers), len(MODELS))

        root = self.podman.directory / "chappe-only"
        (root / "bin").mkdir(parents=True)
        shutil.copy(PROGRAM, root / "bin/chappe-worker")
        self.podman.import_folder(root, CHAPPE)
        cluster = self.make_cluster()
        fake = FakeKubernetes.of(self, cluster, "podman", self.podman.words)
        template = cluster.directory / "pod.yaml"
        template.write_text(TEMPLATE.format(endpoint=self.store.endpoint))
        cluster.start_scheduler(*fake.options("--default-executor", "kubernetes", "--kubernetes-template", str(template), image=CHAPPE))
        self.assertEqual(self.code(cluster), in_containers)
        fake.expect_no_pods()


if __name__ == "__main__":
    unittest.main()
