"""Assets, aliases and lineage: what is published, what points to it, and where it came from."""

import unittest

from cluster import Cluster

MODEL = """
name: model
params: {content: {type: string, default: first}}
env: {PLACE: "demo/raw/${{ params.content }}"}
tasks:
  - id: raw
    env: {CONTENT: "${{ params.content }}"}
    run: echo "$CONTENT" > raw
    outputs: {artifacts: [{name: raw, path: raw, asset: {uri: "${{ env.PLACE }}", name: raw}}]}
  - id: train
    depends_on: [raw]
    inputs: {artifacts: [{name: raw, from: raw.raw, path: raw}]}
    run: sed 's/^/model of /' raw > model
    outputs: {artifacts: [{name: model, path: model, asset: {uri: demo/model, name: demo}}]}
  - {id: deploy, depends_on: [train], promote: {model: demo, from: train.model, alias: champion, keep_previous: true}}
  - id: predict
    depends_on: [deploy]
    inputs: {artifacts: [{name: model, asset: demo@champion, path: model}]}
    run: sed 's/^/prediction by /' model > predictions
    outputs: {artifacts: [{name: predictions, path: predictions, asset: {uri: demo/predictions, name: predictions}}]}
"""


class Assets(unittest.TestCase):
    def setUp(self) -> None:
        self.cluster = Cluster.of(self)
        self.cluster.object_store = f"file://{self.cluster.directory}/store"
        self.cluster.start_scheduler()
        self.cluster.start_worker()

    def run_model(self, content: str) -> str:
        run = self.cluster.submit(MODEL, content=content)
        self.cluster.wait_for_run(run, "success")
        return run

    def stands(self, alias: str) -> int:
        return self.cluster.get(f"/api/v1/aliases/demo/{alias}")["history"][0]["version"]

    def shown_at(self, uri: str) -> str:
        found = [path for path in (self.cluster.directory / "store").rglob(uri) if path.is_file()]
        self.assertEqual(len(found), 1, f"{uri}: {found}")
        return found[0].read_text()

    def test_the_uri_shows_the_newest_version_and_old_ones_are_kept(self) -> None:
        self.run_model("first")
        self.run_model("second")
        self.assertEqual(self.shown_at("demo/predictions"), "prediction by model of second\n")
        versions = self.cluster.assets("demo")
        self.assertEqual(len(versions), 2)
        self.assertEqual(len({version["sha256"] for version in versions}), 2)
        self.assertTrue(all(version["published_at"] for version in versions))

    def test_an_alias_moves_with_its_history(self) -> None:
        self.run_model("first")
        self.run_model("second")
        newest, oldest = sorted(self.cluster.assets("demo"), key=lambda version: -version["id"])
        alias = self.cluster.get("/api/v1/aliases/demo/champion")
        moves = alias["history"]
        self.assertEqual([move["version"] for move in moves], [newest["id"], oldest["id"]])
        self.assertEqual(moves[0]["previous"], oldest["id"])

    def test_where_an_alias_stood_before_has_a_name_that_leads_back(self) -> None:
        self.run_model("first")
        self.run_model("second")
        newest, oldest = sorted(self.cluster.assets("demo"), key=lambda version: -version["id"])
        self.assertEqual(self.stands("champion"), newest["id"])
        self.assertEqual(self.stands("champion_previous"), oldest["id"])
        back = ("aliases", "demo@champion", "--set", "demo@champion_previous")
        self.cluster.chappe(*back, "--state-dir", str(self.cluster.state))
        self.assertEqual(self.stands("champion"), oldest["id"])

    def test_lineage_goes_from_the_raw_data_to_the_predictions(self) -> None:
        run = self.run_model("first")
        graph = self.cluster.get("/api/v1/assets/demo@champion/lineage")
        attempts = {node["task"]: node for node in graph["nodes"] if node["kind"] == "attempt"}
        self.assertEqual(set(attempts), {"raw", "train", "predict"})
        self.assertTrue(all(node["run"] == run for node in attempts.values()))
        self.assertEqual(attempts["train"]["params"], {"content": "first"})
        names = {node.get("uri") for node in graph["nodes"] if node["kind"] == "asset"}
        self.assertEqual(names, {"demo/raw/first", "demo/model", "demo/predictions"})

    def test_what_a_task_declares_outside_stands_in_lineage(self) -> None:
        run = self.cluster.submit("""
            name: declares
            params: {day: monday}
            tasks:
              - id: load
                run: echo 1 > rows
                outputs: {artifacts: [{name: rows, path: rows, asset: declared/rows}]}
                lineage: {inputs: ["db://shop/orders"], outputs: ["db://mart/${{ params.day }}"]}
              - id: fails
                run: exit 1
                lineage: {outputs: ["db://mart/never"]}
                allow_failure: true
        """)
        self.cluster.wait_for_run(run, "success")
        graph = self.cluster.get("/api/v1/assets/declared%2Frows/lineage?direction=up")
        self.assertEqual([node["uri"] for node in graph["nodes"] if node["kind"] == "dataset"], ["db://shop/orders"])
        state = ("--state-dir", str(self.cluster.state))
        shown = self.cluster.chappe("lineage", "db://mart/monday", *state).stdout
        self.assertRegex(shown, r"db://mart/monday +declared")
        self.assertRegex(shown, r"└─ load")
        self.assertRegex(shown, r"└─ db://shop/orders +declared")
        down = self.cluster.chappe("lineage", "db://shop/orders", "--direction", "down", *state).stdout
        self.assertIn("declared/rows", down)
        self.cluster.chappe("lineage", "db://mart/never", *state, code=1)

    def test_a_failed_task_publishes_nothing(self) -> None:
        run = self.cluster.submit("""
            name: fails
            tasks:
              - id: fails
                run: echo half > out; exit 1
                outputs: {artifacts: [{name: out, path: out, asset: fails/out}]}
            """)
        self.cluster.wait_for_run(run, "failed")
        self.assertEqual(self.cluster.assets("fails/out"), [])
        self.assertEqual(list((self.cluster.directory / "store").rglob("fails/out")), [])

    def test_an_immutable_asset_takes_equal_bytes_and_no_others(self) -> None:
        dag = """
            name: partition
            params: {content: {type: string, required: true}}
            tasks:
              - id: raw
                env: {CONTENT: "${{ params.content }}"}
                run: echo "$CONTENT" > raw
                outputs: {artifacts: [{name: raw, path: raw, asset: {uri: part/2026-11-20, immutable: true}}]}
            """
        for _ in range(2):
            self.cluster.wait_for_run(self.cluster.submit(dag, content="monday"), "success")
        self.cluster.wait_for_run(self.cluster.submit(dag, content="tuesday"), "failed")
        self.assertEqual(self.shown_at("part/2026-11-20"), "monday\n")


if __name__ == "__main__":
    unittest.main()
