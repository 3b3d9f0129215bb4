"""The DAGs that people copy from: every example and every DAG in the manual loads; the small ones are run."""

import json
import re
import unittest

from cluster import EXAMPLES, ROOT, Cluster


class Examples(unittest.TestCase):
    def setUp(self) -> None:
        self.cluster = Cluster.of(self)

    def show(self, example: str, *options: str, code: int = 0) -> dict[str, str]:
        """Runs it as a newcomer would, and returns how its tasks ended."""
        self.cluster.chappe("run", str(EXAMPLES / example), *options, code=code)
        run = json.loads(self.cluster.chappe("show", "latest", "--output", "json").stdout)
        return {task["name"]: task["state"] for task in run["tasks"]}

    def test_every_example_loads(self) -> None:
        files = sorted(EXAMPLES.rglob("[!_]*.yaml"))
        self.assertGreater(len(files), 4)
        for file in files:
            with self.subTest(file=str(file)):
                self.cluster.chappe("validate", str(file))

    def test_every_dag_in_the_pages_loads(self) -> None:
        pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
        blocks = [block for page in pages for block in re.findall(r"```yaml\n(name: .*?)```", page.read_text(), re.S)]
        self.assertGreater(len(blocks), 0)
        for number, block in enumerate(blocks):
            file = self.cluster.directory / f"block{number}.yaml"
            file.write_text(block)
            with self.subTest(block=block.splitlines()[0]):
                self.cluster.chappe("validate", str(file))

    def test_hello(self) -> None:
        self.assertEqual(self.show("hello.yaml", "--param", "name=Abbeville"), {"write": "success", "read": "success"})

    def test_fan_out(self) -> None:
        states = self.show("fan_out.yaml")
        self.assertEqual(set(states.values()), {"success"})
        self.assertEqual(len(states), 6)

    def test_chains(self) -> None:
        states = self.show("chains.yaml")
        self.assertEqual(set(states.values()), {"success"})
        self.assertEqual(len(states), 13)
        bad = self.show("chains.yaml", "--param", 'regions=["north","broken"]', code=3)
        self.assertEqual(bad["weigh[north]"], "success")
        self.assertEqual(bad["weigh[broken]"], "upstream_failed")

    def test_serving(self) -> None:
        states = self.show("serving.yaml")
        self.assertEqual(states, {"model": "success", "known": "success", "code[repairs bicycles]": "success", "code[bakes bread]": "success"})

    def test_release(self) -> None:
        self.assertEqual(self.show("release.yaml"), {"build": "success", "annotate": "skipped"})

    def test_objects(self) -> None:
        landing = self.cluster.directory / "xdg/chappe/objects/objects/landing/2026-11-20"
        landing.mkdir(parents=True)
        for name in ("a.csv", "b.csv", "notes.txt"):
            (landing / name).write_text(name)
        self.assertEqual(set(self.show("objects.yaml")),
                         {"convert_list", "convert", "convert[landing/2026-11-20/a.csv]",
                          "convert[landing/2026-11-20/b.csv]", "join"})

    def test_map_reduce(self) -> None:
        states = self.show("map_reduce.yaml", "--param", "text=a bb a ccc")
        instances = ["measure[a]", "measure[bb]", "measure[ccc]", "by_length[1]", "by_length[2]", "by_length[3]"]
        self.assertEqual(states, dict.fromkeys(["split", "measure", "by_length", "complete", *instances], "success"))

    def test_handlers(self) -> None:
        over = {"on_init": "success", "on_cancel": "skipped", "on_exit": "success"}
        good = {"load": "success", "report": "success", "on_success": "success", "on_failure": "skipped"}
        self.assertEqual(self.show("handlers.yaml"), good | over)
        bad = {"load": "failed", "report": "upstream_failed", "on_success": "skipped", "on_failure": "success"}
        self.assertEqual(self.show("handlers.yaml", "--param", "rows=0", code=3), bad | over)

    def test_include(self) -> None:
        self.assertEqual(self.show("include/report.yaml"),
                         {"fetch": "success", "count": "success", "on_failure": "skipped"})

    def test_bounds(self) -> None:
        self.assertEqual(set(self.show("bounds.yaml").values()), {"success"})

    def test_incremental(self) -> None:
        for _ in range(2):
            self.assertEqual(set(self.show("incremental.yaml").values()), {"success"})
        told = json.loads(self.cluster.chappe("explain", "latest", "--output", "json").stdout)["cache"]
        self.assertEqual({one["task"]: one["hit"] for one in told}, dict.fromkeys(["words", "count", "weigh"], True))

    def test_retries(self) -> None:
        self.assertEqual(self.show("retries.yaml"), {"flaky": "success", "optional": "failed", "last": "success"})

    def test_branches(self) -> None:
        taken = {"full": "skipped", "incremental": "success", "report": "success", "clean_up": "success"}
        self.assertEqual(self.show("branches.yaml"), taken)


if __name__ == "__main__":
    unittest.main()
