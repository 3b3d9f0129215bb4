"""Doing it again with real daemons: backfills that are killed in the middle, marks, and reruns."""

import json
import unittest

from cluster import FINAL, Cluster, wait_until


class DoingItAgain(unittest.TestCase):
    DAILY = "{name: daily, schedule: '@daily', tasks: [{id: t, run: 'sleep 0.05'}]}"

    def setUp(self) -> None:
        self.cluster = Cluster.of(self)
        self.scheduler = self.cluster.start_scheduler()
        self.cluster.start_worker()

    def chappe(self, *arguments: str, code: int = 0):
        return self.cluster.chappe(*arguments, "--state-dir", str(self.cluster.state), code=code)

    def json(self, *arguments: str):
        return json.loads(self.chappe(*arguments, "--output", "json").stdout)

    def deploy(self, text: str) -> None:
        path = self.cluster.directory / "dag.yaml"
        path.write_text(text)
        self.chappe("deploy", str(path))

    def backfill(self, number: int) -> dict:
        return self.json("backfill", "show", str(number))

    def wait_for_backfill(self, number: int) -> dict:
        return wait_until("the backfill to end", lambda: self.backfill(number),
                          lambda seen: seen["state"] in ("completed", "cancelled"))

    def wait_for_run(self, run: str) -> dict:
        return wait_until("the run to end", lambda: self.json("show", run), lambda seen: seen["state"] in FINAL)

    def dates(self, number: int) -> list[str]:
        return [run["logical_time"][:10] for run in self.json("runs", "--backfill", str(number), "--limit", "1000")["items"]]


class Backfills(DoingItAgain):
    def test_each_date_gets_one_run_though_the_scheduler_is_killed_again_and_again(self) -> None:
        self.deploy(self.DAILY)
        made = self.json("backfill", "create", "daily", "--from", "2026-01-01", "--to", "2026-03-01", "--max-active", "3")
        self.assertEqual((made["backfill"], made["total"]), (1, 60))
        for _ in range(4):
            seen = len(self.dates(1))
            wait_until("more of its runs", lambda: len(self.dates(1)), lambda count: count >= min(seen + 5, 60))
            self.scheduler.kill()
            self.scheduler = self.cluster.start_scheduler()
        done = self.wait_for_backfill(1)
        self.assertEqual((done["state"], done["made"], done["skipped"], done["runs"]["success"]), ("completed", 60, 0, 60))
        dates = self.dates(1)
        self.assertEqual(len(set(dates)), 60, "no date twice")
        self.assertEqual(sorted(dates, reverse=True), dates, "the oldest first")

    def test_says_what_it_would_do_and_leaves_alone_what_there_is(self) -> None:
        self.deploy(self.DAILY)
        self.chappe("trigger", "daily", "--logical-time", "2026-01-02T00:00:00Z", "--wait")
        stretch = ("backfill", "create", "daily", "--from", "2026-01-01", "--to", "2026-01-03")
        told = self.chappe(*stretch, "--dry-run").stdout
        self.assertRegex(told, r"2026-01-0\d \d\d:00:00 \S+  none: its run ended: success")
        self.assertIn("2 of 3 dates would get a run; nothing was started", told)
        self.assertEqual(self.json("backfill", "list")["items"], [])
        self.chappe(*stretch, "--order", "newest")
        self.assertEqual(self.wait_for_backfill(1)["skipped"], 1)
        self.assertEqual(self.dates(1), ["2026-01-01", "2026-01-03"])
        self.chappe(*stretch, "--reprocess", "failed")
        self.assertEqual(self.wait_for_backfill(2)["made"], 0)
        self.chappe(*stretch, "--reprocess", "completed", "--max-active", "3")
        self.assertEqual(self.wait_for_backfill(3)["runs"]["success"], 3)
        self.assertRegex(self.chappe("backfill", "list").stdout, r"(?m)^3 +daily +completed .* 3/3 ")

    def test_can_be_paused_resumed_and_cancelled_with_an_audit_trail(self) -> None:
        self.deploy("{name: slow, schedule: '@daily', tasks: [{id: t, run: 'sleep 60'}]}")
        self.chappe("backfill", "create", "slow", "--from", "2026-01-01", "--to", "2026-01-09", "--max-active", "2")
        wait_until("two runs", lambda: self.backfill(1)["runs"], lambda runs: runs["running"] == 2)
        self.assertIn("backfill 1 of DAG slow is running", self.chappe(
            "backfill", "create", "slow", "--from", "2026-02-01", "--to", "2026-02-02", code=1).stderr)
        self.assertEqual(self.chappe("backfill", "pause", "1").stdout, "backfill 1 is paused\n")
        self.scheduler.kill()
        self.scheduler = self.cluster.start_scheduler()
        self.assertEqual(self.backfill(1)["state"], "paused")
        self.assertEqual(self.chappe("backfill", "resume", "1").stdout, "backfill 1 is running\n")
        self.assertEqual(self.chappe("backfill", "cancel", "1").stdout, "backfill 1 is cancelled\n")
        wait_until("its runs to end", lambda: self.backfill(1)["runs"], lambda runs: runs["cancelled"] == 2)
        self.assertEqual(len(self.dates(1)), 2)
        self.assertIn("is over", self.chappe("backfill", "resume", "1", code=1).stderr)
        verbs = [row["verb"] for row in self.json("audit")["items"]]
        self.assertEqual(verbs[:4], ["backfill.cancel", "backfill.resume", "backfill.pause", "backfill.create"])

    def test_runs_some_tasks_only(self) -> None:
        self.deploy("{name: two, schedule: '@daily', tasks: [{id: load, run: exit 1, outputs: {values: {n: {file: n}}}}, "
                    "{id: check, run: 'true', depends_on: [load]}, "
                    "{id: use, run: 'true', env: {N: '${{ tasks.load.outputs.n }}'}, depends_on: [load]}]}")
        stretch = ("backfill", "create", "two", "--from", "2026-01-01", "--to", "2026-01-01")
        self.assertIn("task 'use' needs tasks.load.outputs.n, whose task would be left out: select that as well",
                      self.chappe(*stretch, "--tasks", "use", code=2).stderr)
        self.assertIn("did you mean 'check'?", self.chappe(*stretch, "--tasks", "chek", code=2).stderr)
        self.chappe(*stretch, "--tasks", "check")
        self.wait_for_backfill(1)
        tasks = {task["name"]: task["state"] for task in self.json("show", "latest")["tasks"]}
        self.assertEqual(tasks, {"load": "skipped", "check": "success", "use": "skipped"})

    def test_says_what_is_wrong(self) -> None:
        self.deploy(self.DAILY)
        self.deploy("{name: plain, tasks: [{id: t, noop: {}}]}")
        for dag, start, end, complaint in [
            ("plain", "2026-01-01", "2026-01-02", "DAG plain has no schedule"),
            ("daily", "2026-01-02", "2026-01-01", "before it begins"),
            ("daily", "1950-01-01", "2026-01-01", "a backfill has at most 10000 dates"),
            ("daily", "2026-01-01T01:00", "2026-01-01T02:00", "no time of the schedule of DAG daily (@daily) lies from"),
            ("daily", "soon", "2026-01-01", "from: 'soon' is no date or time"),
        ]:
            refused = self.chappe("backfill", "create", dag, "--from", start, "--to", end, code=2)
            self.assertIn(complaint, refused.stderr)
        self.assertIn("there is no backfill 9", self.chappe("backfill", "show", "9", code=1).stderr)


class Again(DoingItAgain):
    def test_a_marked_task_lets_the_run_go_on_and_a_running_one_is_killed(self) -> None:
        self.deploy("{name: d, tasks: [{id: a, run: exit 1}, {id: b, run: sleep 60, depends_on: [a]}, "
                    "{id: c, run: 'true', depends_on: [b]}], handlers: {success: {run: 'echo $WHY', "
                    "env: {WHY: '${{ run.message }}'}}}}")
        run = self.json("trigger", "d")["id"]
        self.assertEqual(self.wait_for_run(run)["state"], "failed")
        self.assertIn("a of run", self.chappe("mark", run, "a", "success").stdout)
        wait_until("b to run", lambda: self.json("show", run, "b"), lambda seen: seen["state"] == "running")
        self.chappe("mark", run, "b", "success")
        self.assertEqual(self.wait_for_run(run)["state"], "success")
        self.assertEqual(self.chappe("logs", run, "on_success").stdout, "b was marked success by admin\n")
        rows = [row for row in self.json("audit")["items"] if row["verb"] == "task.mark"]
        self.assertEqual([json.loads(row["detail"])["before"] for row in rows], ["running", "failed"])
        wait_until("the worker to be free", lambda: self.json("workers")["items"][0]["attempts"], lambda n: n == 0)
        self.assertIn("a is success already", self.chappe("mark", run, "a", "success", code=1).stderr)

    def test_a_rerun_is_a_new_run_of_the_version_that_is_asked_for(self) -> None:
        self.deploy("{name: d, params: {year: 2026}, tasks: [{id: a, run: 'echo old $Y', env: {Y: '${{ params.year }}'}}]}")
        first = self.json("trigger", "d", "--param", "year=1999", "--logical-time", "2026-01-01T00:00:00Z")["id"]
        self.wait_for_run(first)
        self.deploy("{name: d, params: {year: 2026}, tasks: [{id: a, run: 'echo new $Y', env: {Y: '${{ params.year }}'}}]}")
        for options, text in [((), "old 1999\n"), (("--version", "latest"), "new 1999\n"),
                              (("--version", "latest", "--param", "year=2000"), "new 2000\n"),
                              (("--version", self.json("show", first)["dag_version"][:12]), "old 1999\n")]:
            again = self.json("rerun", first, *options)["id"]
            shown = self.wait_for_run(again)
            self.assertNotEqual(again, first)
            self.assertEqual((shown["rerun_of"], shown["trigger"], shown["logical_time"]),
                             (first, "rerun", "2026-01-01T00:00:00.000000Z"))
            self.assertEqual(self.chappe("logs", again, "a").stdout, text)
        self.assertRegex(self.chappe("show", again).stdout, f"(?m)^rerun of +{first}$")
        self.chappe("trigger", "d", "--wait")
        self.assertEqual(self.chappe("logs", "latest", "a").stdout, "new 2026\n")
        self.assertIn("no DAG version 00000000", self.chappe("rerun", first, "--version", "00000000", code=1).stderr)

    def test_retry_reaches_as_far_as_it_is_told(self) -> None:
        self.deploy("{name: d, tasks: [{id: a, run: 'true'}, {id: b, run: 'true', depends_on: [a]}, "
                    "{id: c, run: 'true', depends_on: [b]}]}")
        run = self.json("trigger", "d")["id"]
        self.wait_for_run(run)

        def attempts(*options: str) -> list[int]:
            self.chappe("retry", run, *options, "--wait")
            return [task["attempt_no"] for task in self.json("show", run)["tasks"]]

        self.assertEqual(attempts("b"), [1, 2, 2])
        self.assertEqual(attempts("b", "--upstream"), [2, 3, 2])
        self.assertEqual(attempts("b", "--upstream", "--downstream"), [3, 4, 3])
        self.assertIn("nothing of what was named failed", self.chappe("retry", run, "b", "--only-failed", code=1).stderr)
        self.assertIn("'clear'; did you mean 'retry'?", self.chappe("clear", run, code=2).stderr)
        self.chappe("retry", run, "--upstream", code=2)


if __name__ == "__main__":
    unittest.main()
