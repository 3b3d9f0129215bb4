"""The main job on real data: the machine's own package index, coded by a real model."""

import json
import shutil
import subprocess
import unittest

from cluster import EXAMPLES, Cluster

DAG = str(EXAMPLES / "section_coder" / "dag.yaml")


class SectionCoder(unittest.TestCase):
    def setUp(self) -> None:
        if shutil.which("fasttext") is None or not shutil.which("apt-cache"):
            self.skipTest("fasttext and apt-cache are needed: scripts/install-deps demo")
        index = subprocess.run(["apt-cache", "pkgnames"], capture_output=True, check=True).stdout
        if index.count(b"\n") < 20_000:
            self.skipTest("this machine has no package index: apt-get update")
        self.cluster = Cluster.of(self)

    def json_of(self, *arguments: str):
        return json.loads(self.cluster.chappe(*arguments, "--output", "json").stdout)

    def test_the_better_model_stays_champion(self) -> None:
        self.cluster.chappe("run", DAG, "--param", "epochs=10")
        champion = self.json_of("assets", "section_coder@champion")
        states = {task["name"]: task for task in self.json_of("show", "latest")["tasks"]}
        self.assertEqual({task["state"] for task in states.values()}, {"success"})

        self.cluster.chappe("run", DAG, "--param", "epochs=4", code=3)
        self.assertEqual(self.json_of("assets", "section_coder@champion"), champion)
        second = {task["name"]: task for task in self.json_of("show", "latest")["tasks"]}
        self.assertEqual(second["gate"]["reason"], "check_failed")
        self.assertIn("worse than the champion", second["gate"]["message"])
        self.assertEqual(second["predict"]["state"], "upstream_failed")

        tasks = {node["task"] for node in self.json_of("lineage", "section_coder@champion")["nodes"] if "task" in node}
        self.assertLessEqual({"ingest", "split", "predict"}, tasks)


if __name__ == "__main__":
    unittest.main()
