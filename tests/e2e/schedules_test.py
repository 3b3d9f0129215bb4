"""What starts runs by time: when it is due, and that each time makes one run whatever happens to the daemon."""

import json
import unittest
from datetime import datetime

from cluster import Cluster, wait_until


class Cron(unittest.TestCase):
    def setUp(self) -> None:
        self.cluster = Cluster.of(self)

    def times(self, *arguments: str) -> list[str]:
        return self.cluster.chappe("cron", *arguments).stdout.splitlines()

    def test_prints_the_next_times_one_a_line(self) -> None:
        self.assertEqual(
            self.times("30 2 * * *", "--timezone", "Europe/Berlin", "--from", "2026-03-28", "--count", "3"),
            ["2026-03-28T02:30:00+01:00", "2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"],
        )
        self.assertEqual(
            self.times("30 2 * * *", "--timezone", "Europe/Berlin", "--from", "2026-10-25T02:00:00+02:00", "--count", "2",
                       "--dst", "gap=skip,fold=twice"),
            ["2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+01:00"],
        )
        shown = self.cluster.chappe("cron", "@yearly", "--from", "2027-01-01", "--count", "2", "--output", "json").stdout
        self.assertEqual(json.loads(shown), ["2027-01-01T00:00:00Z", "2028-01-01T00:00:00Z"])

    def test_says_what_is_wrong(self) -> None:
        for arguments, complaint in [
            (["0 0 30 2 *"], "never comes"),
            (["61 * * * *"], "the minute of the cron expression is 0 to 59"),
            (["@daily", "--timezone", "Europe/Pariss"], "did you mean 'Europe/Paris'?"),
            (["@daily", "--from", "noon"], "--from: 'noon' is no date or time"),
            (["@daily", "--dst", "gap=jump"], "'gap=jump' is none of gap=shift"),
        ]:
            refused = self.cluster.chappe("cron", *arguments, code=2)
            self.assertIn(complaint, refused.stderr)


class Schedule(unittest.TestCase):
    """With a scheduler that dies, and a worker that stays."""

    EVERY_SECOND = ("{name: ticks, schedule: {every: 1s}, catchup: all, max_catchup_runs: 1000, concurrency: {max_runs: 100}, "
                    "tasks: [{id: t, noop: true}]}")

    def setUp(self) -> None:
        self.cluster = Cluster.of(self)
        self.scheduler = self.cluster.start_scheduler()
        self.cluster.start_worker()

    def chappe(self, *arguments: str, code: int = 0):
        return self.cluster.chappe(*arguments, "--state-dir", str(self.cluster.state), code=code)

    def file(self, text: str, name: str = "dag.yaml") -> str:
        path = self.cluster.directory / name
        path.write_text(text)
        return str(path)

    def logical_times(self) -> list[datetime]:
        shown = json.loads(self.chappe("runs", "--limit", "1000", "--output", "json").stdout)
        return sorted(datetime.fromisoformat(run["logical_time"].replace("Z", "+00:00")) for run in shown["items"])

    def dag(self, name: str) -> dict:
        shown = json.loads(self.chappe("dags", "--output", "json").stdout)
        return next(dag for dag in shown["items"] if dag["name"] == name)

    def test_each_time_makes_one_run_though_the_scheduler_is_killed_again_and_again(self) -> None:
        self.chappe("deploy", self.file(self.EVERY_SECOND))
        for kill in range(3):
            seen = len(self.logical_times())
            wait_until("two more runs", lambda: len(self.logical_times()), lambda count: count >= seen + 2)
            self.scheduler.kill()
            self.scheduler = self.cluster.start_scheduler()
        seen = len(self.logical_times())
        wait_until("runs after the last kill", lambda: len(self.logical_times()), lambda count: count > seen)
        times = self.logical_times()
        gaps = {(later - earlier).total_seconds() for earlier, later in zip(times, times[1:])}
        self.assertEqual(gaps, {1.0}, "one run for each second, none twice and none left out")

    def test_deploy_says_what_changed_and_pause_rests(self) -> None:
        file = self.file("{name: d, schedule: '@yearly', tasks: [{id: a, run: echo 1}, {id: b, noop: true}]}")
        self.assertRegex(self.chappe("deploy", file).stdout, r"^d: new, next run \d{4}-01-01 ")
        self.assertRegex(self.chappe("deploy", file).stdout, r"^d: unchanged, ")
        self.file("{name: d, schedule: '@monthly', tasks: [{id: a, run: echo 2}, {id: c, noop: true}]}")
        changed = self.chappe("deploy", file).stdout
        self.assertRegex(changed, r"^d: changed: schedule differs, task a differs, task c is new, task b is gone, next run ")
        self.assertEqual(self.chappe("pause", "d").stdout, "d: paused\n")
        self.assertTrue(self.dag("d")["paused"])
        self.assertIsNone(self.dag("d")["next_at"])
        self.assertRegex(self.chappe("unpause", "d").stdout, r"^d: goes on, next run ")
        self.assertIn("undeployed", self.chappe("undeploy", "d").stdout)
        self.assertFalse(self.dag("d")["deployed"])
        self.assertIn("no DAG 'd' is deployed", self.chappe("pause", "d", code=1).stderr)

    def test_nothing_is_deployed_where_one_file_is_wrong(self) -> None:
        folder = self.cluster.directory / "dags"
        folder.mkdir()
        (folder / "good.yaml").write_text("{name: good, tasks: [{id: a, noop: true}]}")
        (folder / "bad.yaml").write_text("{name: bad, schedule: '61 * * * *', tasks: [{id: a, noop: true}]}")
        refused = self.chappe("deploy", str(folder), code=2)
        self.assertIn("the minute of the cron expression is 0 to 59", refused.stderr)
        self.assertEqual(json.loads(self.chappe("dags", "--output", "json").stdout)["items"], [])

    def test_trigger_starts_the_deployed_version(self) -> None:
        deployed = self.file("{name: d, tasks: [{id: a, run: echo deployed}]}")
        tried = self.file("{name: d, tasks: [{id: a, run: echo tried}]}", "tried.yaml")
        self.chappe("deploy", deployed)
        self.chappe("submit", tried, "--wait")
        self.chappe("trigger", "d", "--wait")
        self.assertEqual(self.chappe("logs", "latest", "a").stdout, "deployed\n")


class Folder(unittest.TestCase):
    """A folder whose files deploy themselves."""

    def setUp(self) -> None:
        self.cluster = Cluster.of(self)
        self.folder = self.cluster.directory / "dags"
        self.folder.mkdir()

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)

    def shown(self) -> dict:
        return json.loads(
            self.cluster.chappe("dags", "--output", "json", "--state-dir", str(self.cluster.state)).stdout)

    def deployed(self) -> dict[str, str]:
        return {dag["name"]: dag["schedule"] for dag in self.shown()["items"] if dag["deployed"]}

    def wait_for(self, deployed: dict[str, str]) -> None:
        wait_until("the folder to be deployed", self.deployed, lambda seen: seen == deployed)

    def dag(self, name: str, schedule: str) -> str:
        return f"{{name: {name}, schedule: '{schedule}', tasks: [{{id: t, noop: true}}]}}"

    def test_files_come_change_and_go(self) -> None:
        self.write("a.yaml", self.dag("a", "@daily"))
        scheduler = self.cluster.start_scheduler("--dags", str(self.folder))
        self.wait_for({"a": "@daily"})
        (self.folder / "team").mkdir()
        self.write("team/b.yaml", self.dag("b", "@hourly"))
        self.wait_for({"a": "@daily", "b": "@hourly"})
        self.write("a.yaml", self.dag("a", "@weekly"))
        self.wait_for({"a": "@weekly", "b": "@hourly"})
        (self.folder / "a.yaml").rename(self.folder / "renamed.yaml")
        (self.folder / "team/b.yaml").unlink()
        self.wait_for({"a": "@weekly"})
        scheduler.kill()
        (self.folder / "renamed.yaml").unlink()  # While nobody looks.
        self.cluster.start_scheduler("--dags", str(self.folder))
        self.wait_for({})

    def test_a_name_that_a_file_gives_up_is_taken_by_the_one_that_waits_for_it(self) -> None:
        self.write("a.yaml", self.dag("a", "@daily"))
        self.cluster.start_scheduler("--dags", str(self.folder))
        self.wait_for({"a": "@daily"})
        self.write("b.yaml", self.dag("b", "@hourly"))
        self.wait_for({"a": "@daily", "b": "@hourly"})
        self.write("b.yaml", self.dag("a", "@hourly"))
        complaints = wait_until("the complaint", lambda: self.shown()["complaints"])
        self.assertIn("DAG a is in", complaints[0]["text"])
        self.write("a.yaml", self.dag("c", "@daily"))
        self.wait_for({"a": "@hourly", "c": "@daily"})

    def test_a_bad_file_never_unloads_the_good_version_and_its_complaint_is_shown(self) -> None:
        self.write("a.yaml", self.dag("a", "@daily"))
        self.cluster.start_scheduler("--dags", str(self.folder))
        self.wait_for({"a": "@daily"})
        self.write("a.yaml", self.dag("a", "61 * * * *"))
        complaints = wait_until("the complaint", lambda: self.shown()["complaints"])
        self.assertIn("the minute of the cron expression is 0 to 59", complaints[0]["text"])
        self.assertEqual(self.deployed(), {"a": "@daily"})
        self.write("a.yaml", self.dag("a", "@hourly"))
        self.wait_for({"a": "@hourly"})
        self.assertEqual(self.shown()["complaints"], [])

    def test_a_file_that_is_included_deploys_its_dags_anew_and_is_none_itself(self) -> None:
        (self.folder / "shared").mkdir()
        self.write("shared/_tasks.yaml", "tasks: [{id: t, noop: true}]")
        self.write("a.yaml", "{name: a, schedule: '@daily', include: shared/_tasks.yaml, tasks: [{id: own, noop: true}]}")
        self.write("b.yaml", self.dag("b", "@hourly"))
        self.cluster.start_scheduler("--dags", str(self.folder))
        self.wait_for({"a": "@daily", "b": "@hourly"})
        before = {dag["name"]: dag["version"] for dag in self.shown()["items"]}
        self.write("shared/_tasks.yaml", "tasks: [{id: t, run: true, retrys: 1}]")
        complaints = wait_until("the complaint", lambda: self.shown()["complaints"])
        self.assertIn("shared/_tasks.yaml:1:28: error: unknown key 'retrys'", complaints[0]["text"])
        self.write("shared/_tasks.yaml", "tasks: [{id: t, noop: true}, {id: more, noop: true}]")
        after = wait_until("another version", lambda: {dag["name"]: dag["version"] for dag in self.shown()["items"]},
                           lambda seen: seen["a"] != before["a"])
        self.assertEqual(after["b"], before["b"])
        self.assertEqual(self.shown()["complaints"], [])
        (self.folder / "shared/_tasks.yaml").unlink()
        complaints = wait_until("the complaint", lambda: self.shown()["complaints"])
        self.assertIn("cannot read 'shared/_tasks.yaml'", complaints[0]["text"])

    def test_a_file_that_leads_out_of_the_folder_is_not_included(self) -> None:
        outside = self.cluster.directory / "_outside.yaml"
        outside.write_text("tasks: [{id: t, noop: true}]")
        (self.folder / "_link.yaml").symlink_to(outside)
        self.write("a.yaml", "{name: a, include: [_link.yaml, ../_outside.yaml], tasks: [{id: own, noop: true}]}")
        done = self.cluster.chappe("validate", str(self.folder / "a.yaml"), code=2)
        self.assertIn("a.yaml:1:21: error: '_link.yaml' leads out of the folder of the DAG file", done.stderr)
        self.assertIn("a.yaml:1:33: error: 'include' must stay beneath the folder of the DAG file", done.stderr)

    def test_a_config_map_is_seen_to_change(self) -> None:
        for version, schedule in [("..1", "@daily"), ("..2", "@weekly")]:
            (self.folder / version).mkdir()
            self.write(f"{version}/a.yaml", self.dag("a", schedule))
        (self.folder / "..data").symlink_to("..1")
        (self.folder / "a.yaml").symlink_to("..data/a.yaml")
        self.cluster.start_scheduler("--dags", str(self.folder))
        self.wait_for({"a": "@daily"})
        (self.folder / "..data_tmp").symlink_to("..2")
        (self.folder / "..data_tmp").rename(self.folder / "..data")
        self.wait_for({"a": "@weekly"})


if __name__ == "__main__":
    unittest.main()
