"""Runs of long ago that go, and what never does, with the real daemons; and lists of a stretch of time."""

import json
import unittest

from cluster import Answer, Cluster, wait_until

PLAIN = """
    name: plain
    params: {word: {type: string, default: x}}
    tasks:
      - id: make
        env: {WORD: "${{ params.word }}"}
        run: echo made; echo rows > rows
        outputs: {artifacts: [{name: rows, path: rows}]}
    """
MODEL = """
    name: model
    tasks:
      - id: make
        run: echo model > model
        outputs: {artifacts: [{name: model, path: model, asset: models/m}]}
    """


class Prune(unittest.TestCase):
    def setUp(self) -> None:
        self.cluster = Cluster.of(self)
        self.scheduler = self.cluster.start_scheduler()
        self.cluster.start_worker()
        self.objects = self.cluster.state / "objects" / "objects" / "runs"

    def ran(self, dag: str, state: str = "success", **params: str) -> str:
        run = self.cluster.submit(dag, **params)
        self.cluster.wait_for_run(run, state)
        return run

    def chappe(self, *arguments: str, code: int = 0) -> str:
        done = self.cluster.chappe("--state-dir", str(self.cluster.state), *arguments, code=code)
        return done.stdout + done.stderr

    def objects_of(self, run: str) -> list[str]:
        return [str(path) for path in self.objects.glob(f"plain/{run}/**/*") if path.is_file()]

    def json(self, *arguments: str) -> dict[str, object]:
        return json.loads(self.chappe(*arguments, "--output", "json"))

    def refused(self, path: str, body: object = None, post: bool = False) -> tuple[int, str]:
        with self.assertRaises(Answer) as refused:
            self.cluster.post(path, body) if post else self.cluster.get(path)
        return refused.exception.status, json.loads(refused.exception.problem)["detail"]

    def test_what_nothing_descends_from_goes_with_its_logs_and_artifacts(self) -> None:
        old = self.ran(PLAIN, word="secret")
        models = [self.ran(MODEL), self.ran(MODEL)]
        newest = self.ran(PLAIN)
        self.assertTrue([path for path in self.objects_of(old) if path.endswith("/log")])
        dry = self.chappe("prune", "--before", "0s", "--dry-run")
        self.assertIn("1 runs would go", dry)
        self.assertIn(old, dry)
        self.assertIn("made a version of an asset", dry)
        self.assertIsNone(self.cluster.run(old)["pruned_at"], "a dry run changes nothing")

        told = self.json("prune", "--before", "0s")
        self.assertEqual(told, {"pruned": 1, "kept": {"newest": 2, "asset": 1}})
        wait_until("its objects are gone", lambda: not self.objects_of(old))
        shown = self.cluster.run(old)
        self.assertTrue(shown["pruned_at"])
        self.assertEqual((shown["state"], shown["params"], shown["counts"]), ("success", {}, None))
        self.assertIn("it was pruned", self.chappe("show", old))
        for path in ("tasks", "tasks/make", "tasks/make/attempts/1/log", "outputs", "explain"):
            status, detail = self.refused(f"/api/v1/runs/{old}/{path}")
            self.assertEqual(status, 404, path)
            self.assertIn("was pruned on 20", detail)
        for verb in ("retry", "rerun", "cancel"):
            self.assertIn("was pruned on 20", self.refused(f"/api/v1/runs/{old}/{verb}", {}, post=True)[1], verb)
        self.assertNotIn(old, self.chappe("runs"))
        self.assertIn(newest, self.chappe("runs"))
        for model in models:
            self.assertEqual(self.cluster.states(model), {"make": "success"})
        self.assertIn("Made from", self.chappe("lineage", "models/m"))
        self.assertIn("run.prune", self.chappe("audit"))
        self.assertIn("as they were written", self.chappe("audit", "--verify"))

    def test_a_scheduler_prunes_by_itself_and_goes_on_after_it_was_killed(self) -> None:
        old = [self.ran(PLAIN) for _ in range(5)]
        self.scheduler.kill()
        self.scheduler = self.cluster.start_scheduler("--run-retention", "1s")
        wait_until("some run is pruned", lambda: self.cluster.run(old[0])["pruned_at"])
        self.scheduler.kill()
        self.cluster.start_scheduler("--run-retention", "1s")
        wait_until("all but the newest are pruned",
                   lambda: [bool(self.cluster.run(run)["pruned_at"]) for run in old],
                   lambda gone: gone == [True, True, True, True, False])
        for run in old[:4]:
            wait_until("its objects are gone", lambda run=run: not self.objects_of(run))

    def test_a_result_that_is_used_again_stays_until_who_used_it_is_gone(self) -> None:
        dag = PLAIN.replace("        run:", "        cache: {scope: dag}\n        run:")
        first, second = self.ran(dag), self.ran(dag)
        third = self.ran(dag, word="other")
        self.assertTrue(self.cluster.task(second, "make")["message"].startswith("cached"))
        told = self.json("prune", "--before", "0s")
        self.assertEqual(told["pruned"], 2, "first who used it, then whose it was")
        self.assertTrue(self.cluster.run(first)["pruned_at"] and self.cluster.run(second)["pruned_at"])
        again = self.ran(dag)
        self.assertFalse((self.cluster.task(again, "make")["message"] or "").startswith("cached"))
        self.assertEqual(self.cluster.states(third), {"make": "success"})

    def test_mistakes_are_told(self) -> None:
        self.assertIn("neither a time", self.chappe("prune", "--before", "yesterday", code=2))
        self.assertIn("--before is required", self.chappe("prune", code=2))
        self.assertIn("in the future", self.refused("/api/v1/prune", {"before": "2999-01-01"}, post=True)[1])
        self.assertIn("'before' is missing", self.refused("/api/v1/prune", {}, post=True)[1])
        self.ran(PLAIN)
        self.assertIn("did you mean 'plain'?", self.chappe("prune", "--before", "1s", "--dag", "plainn", code=1))
        self.assertIn("the 'next' of an earlier answer",
                      self.refused("/api/v1/prune", {"before": "2026-01-01", "after": "x"}, post=True)[1])


class Lists(unittest.TestCase):
    def setUp(self) -> None:
        self.cluster = Cluster.of(self)
        self.cluster.start_scheduler()
        self.cluster.start_worker()

    def ids(self, path: str) -> list[str]:
        return [run["id"] for run in self.cluster.get(path)["items"]]

    def chappe(self, *arguments: str, code: int = 0) -> str:
        done = self.cluster.chappe("--state-dir", str(self.cluster.state), *arguments, code=code)
        return done.stdout + done.stderr

    def test_have_since_and_until_and_pages(self) -> None:
        runs = [self.cluster.submit(PLAIN) for _ in range(3)]
        for run in runs:
            self.cluster.wait_for_run(run, "success")
        made = [self.cluster.run(run)["created_at"] for run in runs]
        self.assertEqual(self.ids(f"/api/v1/runs?since={made[1]}"), [runs[2], runs[1]])
        self.assertEqual(self.ids(f"/api/v1/runs?since={made[0]}&until={made[2]}&state=success"), [runs[1], runs[0]])
        page = self.cluster.get(f"/api/v1/dags/plain/runs?until={made[2]}&limit=1")
        self.assertEqual(page["items"][0]["id"], runs[1])
        self.assertEqual(self.ids(f"/api/v1/dags/plain/runs?until={made[2]}&limit=1&after={page['next']}"), [runs[0]])
        with self.assertRaises(Answer) as refused:
            self.cluster.get("/api/v1/dags/plane/runs")
        self.assertEqual(refused.exception.status, 404)
        listed = json.loads(self.chappe("runs", "--since", made[1], "--until", "0s", "--limit", "1", "-o", "json"))
        self.assertEqual([run["id"] for run in listed["items"]], [runs[2]])
        more = json.loads(self.chappe("runs", "--since", made[1], "--after", listed["next"], "-o", "json"))
        self.assertEqual([run["id"] for run in more["items"]], [runs[1]])
        self.assertIn("there is no such run", self.chappe("runs", "--until", "1d"))
        self.assertIn("run.submit", self.chappe("audit", "--since", "1h"))
        self.assertIn("there is no such row", self.chappe("audit", "--until", "1h"))
        self.assertIn("neither a time", self.chappe("runs", "--since", "soon", code=2))

    def test_of_assets_too(self) -> None:
        self.cluster.wait_for_run(self.cluster.submit(MODEL), "success")
        self.assertIn("models/m", self.chappe("assets", "--since", "1h"))
        self.assertIn("there is no asset", self.chappe("assets", "--until", "1h"))

    def test_all_have_items(self) -> None:
        for path in ("runs", "dags", "workers", "assets", "aliases", "backfills", "questions", "notifications", "state",
                     "audit", "tokens"):
            page = self.cluster.get(f"/api/v1/{path}")
            self.assertIsInstance(page["items"], list, path)
            self.assertIn("next", page, path)


class Ends(unittest.TestCase):
    def setUp(self) -> None:
        self.cluster = Cluster.of(self)
        self.cluster.start_scheduler()

    def test_a_lost_attempt_has_no_exit_code_and_one_that_ended_has(self) -> None:
        worker = self.cluster.start_worker()
        run = self.cluster.submit("""
            name: ends
            tasks:
              - {id: well, run: "true"}
              - {id: ill, run: exit 3, allow_failure: true}
              - {id: lost, infra_retry: {limit: 0}, run: sleep 600}
            """)
        self.cluster.wait_for_task(run, "lost", "running")
        for task in ("well", "ill"):
            self.cluster.wait_for_task(run, task, "success", "failed")
        worker.kill()
        self.cluster.start_worker()
        lost = self.cluster.wait_for_task(run, "lost", "failed")
        self.assertEqual((lost["reason"], lost["exit_code"]), ("lost_worker", None))
        self.assertEqual(self.cluster.task(run, "well")["exit_code"], 0)
        self.assertEqual(self.cluster.task(run, "ill")["exit_code"], 3)

    def test_a_run_that_has_ended_is_not_cancelled(self) -> None:
        self.cluster.start_worker()
        run = self.cluster.submit(PLAIN)
        self.cluster.wait_for_run(run, "success")
        with self.assertRaises(Answer) as refused:
            self.cluster.post(f"/api/v1/runs/{run}/cancel")
        self.assertEqual(refused.exception.status, 409)
        self.assertIn("is not running", json.loads(refused.exception.problem)["detail"])
        self.assertEqual(self.cluster.run(run)["state"], "success")


if __name__ == "__main__":
    unittest.main()
