"""Objects that come start runs: once each, whatever happens to the scheduler; from a directory and from Ceph."""

import contextlib
import json
import os
import shutil
import sqlite3
import unittest
from pathlib import Path

from cluster import EXAMPLES, Cluster, wait_until
from s3_test import CephGateway


def loader(key: str, mode: str = "each", more: str = "") -> str:
    return f"""
        name: loader
        params: {{uri: {{type: string, default: ""}}}}
        triggers: [{{s3: {{key: "{key}", every: 1s{more}}}, mode: {mode}, params: {{uri: "${{{{ event.uri }}}}"}}}}]
        tasks: [{{id: t, env: {{EVENTS: "${{{{ to_json(run.events) }}}}"}}, run: 'echo "$EVENTS"'}}]
        """


class Watching(unittest.TestCase):
    """What the tests of both stores do with `loader`."""

    cluster: Cluster

    def deploy(self, text: str) -> None:
        path = self.cluster.directory / "dag.yaml"
        path.write_text(text)
        self.cluster.chappe("deploy", str(path), "--state-dir", str(self.cluster.state))

    def events(self) -> list[dict]:
        """Of all runs, in no order."""
        runs = self.cluster.get("/api/v1/runs?limit=1000")["items"]
        return [event["detail"] for run in runs for event in self.cluster.get(f"/api/v1/runs/{run['id']}")["events"]]

    def keys(self) -> list[str]:
        return sorted(event["key"] for event in self.events())

    def waits_for(self) -> str:
        return self.cluster.get("/api/v1/dags/loader")["waits_for"] or ""

    def count(self, which: str) -> int:
        with contextlib.closing(sqlite3.connect(f"file:{self.cluster.state}/chappe.db?mode=ro", uri=True)) as store:
            return store.execute(f"SELECT count(*) FROM sightings WHERE {which}").fetchone()[0]

    def seen(self) -> int:
        """How many objects the scheduler remembers."""
        return self.count("object <> ''")

    def looks(self) -> int:
        """How many triggers have looked for the first time."""
        return self.count("object = ''")


class LocalObjects(Watching):
    def setUp(self) -> None:
        self.cluster = Cluster.of(self)
        self.scheduler = self.cluster.start_scheduler()
        self.drop = self.cluster.state / "objects" / "objects" / "drop"
        self.drop.mkdir(parents=True, exist_ok=True)

    def put(self, name: str, text: str) -> Path:
        """As the store itself writes: under another name first."""
        part = self.cluster.directory / "part"
        part.write_text(text)
        return part.rename(self.drop / name)

    def test_each_version_starts_one_run_though_the_scheduler_is_killed_again_and_again(self) -> None:
        self.put("old.csv", "1")
        self.deploy(loader("drop/*.csv"))
        self.cluster.start_worker()
        wait_until("the first look", self.seen, lambda count: count == 1)
        self.put("note.txt", "not of the pattern")
        expected = []
        for round_ in range(4):
            for name in ("a", "b"):
                self.put(f"{name}.csv", f"{round_}")
                expected.append(f"drop/{name}.csv")
            wait_until("some events", lambda: len(self.events()), lambda count: count > round_ * 2)
            self.scheduler.kill()
            self.scheduler = self.cluster.start_scheduler()
            wait_until("all events", self.keys, lambda keys: keys == sorted(expected))
        run = self.cluster.get("/api/v1/runs?limit=1")["items"][0]["id"]
        self.cluster.wait_for_run(run, "success")
        (event,) = self.cluster.get(f"/api/v1/runs/{run}")["events"]
        self.assertEqual(json.loads(self.cluster.log(run, "t")), [event["detail"]], "a task knows what came")
        self.assertEqual(self.cluster.get(f"/api/v1/runs/{run}")["params"], {"uri": event["detail"]["uri"]})
        self.assertEqual(Path(event["detail"]["uri"]), self.drop / Path(event["detail"]["key"]).name)
        shown = self.cluster.chappe("show", run, "--state-dir", str(self.cluster.state)).stdout
        self.assertIn(f"s3 drop/*.csv (key {event['detail']['key']})", shown)

    def test_the_example_loads_each_file(self) -> None:
        self.cluster.start_worker()
        self.deploy((EXAMPLES / "landing.yaml").read_text().replace("every: 10s", "every: 1s"))
        landing = self.drop.parent / "landing"
        landing.mkdir()
        wait_until("the first look", self.looks, lambda count: count == 1)
        (landing / "income.csv").write_text("a\nb\n")
        wait_until("the event", self.keys, lambda keys: keys == ["landing/income.csv"])
        run = self.cluster.get("/api/v1/runs?limit=1")["items"][0]["id"]
        self.cluster.wait_for_run(run, "success")
        self.assertEqual(self.cluster.log(run, "load"), f"2 {landing}/income.csv\n")

    def test_what_is_there_counts_where_the_dag_says_so_and_collapses_into_one_run(self) -> None:
        for name in ("a", "b", "c"):
            self.put(name, "1")
        self.deploy(loader("drop/", "collapse", ", existing: true"))
        wait_until("the run", self.keys, lambda keys: keys == ["drop/a", "drop/b", "drop/c"])
        self.assertEqual(len(self.cluster.get("/api/v1/runs")["items"]), 1)


class ObjectsOfS3(Watching):
    def test_a_bucket_of_others_is_listed_page_by_page_and_waited_for(self) -> None:
        if os.geteuid() != 0 or shutil.which("aws") is None:
            self.skipTest("Ceph needs root, and awscli must be installed: scripts/install-deps")
        server = CephGateway(self)
        server.aws("s3", "mb", "s3://office")
        server.aws("s3", "mb", "s3://landing")
        self.cluster = Cluster.of(self, object_store="s3://office/chappe")
        self.cluster.environment.update(server.environment())
        scheduler = self.cluster.start_scheduler()
        self.cluster.start_worker()
        source = self.cluster.directory / "many"
        source.mkdir()
        for number in range(1001):  # More than one page.
            (source / f"{number:04}").write_text("x")
        server.aws("s3", "cp", "--recursive", "--quiet", str(source), "s3://landing/in/")
        self.deploy(loader("s3://landing/in/"))
        wait_until("the first look", self.seen, lambda count: count == 1001)
        scheduler.kill()
        (source / "new").write_text("new")
        server.aws("s3", "cp", str(source / "new"), "s3://landing/in/new")
        server.aws("s3", "cp", str(source / "new"), "s3://landing/in/0500")
        scheduler = self.cluster.start_scheduler()
        wait_until("both", self.keys, lambda keys: keys == ["in/0500", "in/new"])
        (new,) = [event for event in self.events() if event["key"] == "in/new"]
        self.assertEqual(new["uri"], "s3://landing/in/new")
        self.assertEqual(new["etag"], json.loads(server.aws("s3api", "head-object", "--bucket", "landing", "--key",
                                                            "in/new"))["ETag"].strip('"'))
        waiting = self.cluster.submit("""
            name: waiting
            tasks: [{id: w, wait: {s3: "s3://landing/in/new", every: 1s, timeout: 1m}}]
            """)
        self.cluster.wait_for_run(waiting, "success")

    def test_why_nothing_can_be_seen_is_told(self) -> None:
        self.cluster = Cluster.of(self)
        self.cluster.environment.update({"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:1", "AWS_ACCESS_KEY_ID": "x",
                                         "AWS_SECRET_ACCESS_KEY": "x"})
        self.cluster.start_scheduler()
        self.deploy(loader("s3://landing/in/"))
        told = "s3 s3://landing/in/; last look at s3://landing/in/: "
        wait_until("the reason", self.waits_for, lambda text: text.startswith(told))


if __name__ == "__main__":
    unittest.main()
