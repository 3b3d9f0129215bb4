"""A counter that outlives runs: as many as have succeeded, whatever is killed meanwhile."""

import json
import unittest

from cluster import EXAMPLES, Cluster, wait_until

COUNTER = """
name: counter
concurrency: {max_runs: 4}
tasks:
  - id: add
    state: {total: {write: next, default: 0}}
    run: |
      echo "$CHAPPE_STATE_TOTAL at version $CHAPPE_STATE_TOTAL_VERSION"
      sleep 0.1
      echo $((CHAPPE_STATE_TOTAL + 1)) > next
    outputs: {values: {next: {json: next}}}
    retry: {limit: 100, backoff: {initial: 20ms, factor: 1}}
"""


class State(unittest.TestCase):
    def setUp(self) -> None:
        self.cluster = Cluster.of(self)
        self.scheduler = self.cluster.start_scheduler()
        self.worker = self.cluster.start_worker("w1", "--cpus", "4")

    def chappe(self, *arguments: str, code: int = 0):
        return self.cluster.chappe(*arguments, "--state-dir", str(self.cluster.state), code=code)

    def state(self, name: str, dag: str) -> dict:
        return json.loads(self.chappe("state", "get", name, "--dag", dag, "--output", "json").stdout)

    def test_runs_side_by_side_lose_no_count_though_scheduler_and_worker_are_killed(self) -> None:
        runs = [self.cluster.submit(COUNTER) for _ in range(12)]
        wait_until("some counts", lambda: self.chappe("state", "list").stdout, lambda text: "dag:counter" in text)
        self.scheduler.kill()
        self.scheduler = self.cluster.start_scheduler()
        self.worker.kill()
        self.worker = self.cluster.start_worker("w1", "--cpus", "4")
        for run in runs:
            self.cluster.wait_for_run(run, "success")
        state = self.state("total", "counter")
        self.assertEqual((state["value"], state["version"]), (12, 12), "each run counts once")
        values = sorted(self.cluster.values(run, "add")["next"] for run in runs)
        self.assertEqual(values, list(range(1, 13)), "and saw what the one before left")

    def test_a_person_sees_and_sets_it(self) -> None:
        run = self.cluster.submit(COUNTER)
        self.cluster.wait_for_run(run, "success")
        self.assertEqual(self.chappe("state", "get", "total", "--dag", "counter").stdout, "1\n")
        self.chappe("state", "set", "total", "40", "--dag", "counter", "--expect-version", "0", code=1)
        told = self.chappe("state", "set", "total", "41", "--dag", "counter", "--expect-version", "1").stdout
        self.assertEqual(told, "dag:counter total: 41, version 2\n")
        self.cluster.wait_for_run(self.cluster.submit(COUNTER), "success")
        self.assertEqual(self.state("total", "counter")["value"], 42)
        self.assertIn("state.set", self.chappe("audit").stdout)
        self.chappe("state", "get", "total", code=2)
        self.chappe("state", "get", "other", "--dag", "counter", code=1)

    def test_the_example_goes_on_where_it_has_ended(self) -> None:
        text = (EXAMPLES / "cursor.yaml").read_text()
        source = self.cluster.directory / "lines"
        source.write_text("".join(f"line {number}\n" for number in range(1, 16)))
        told = []
        for _ in range(2):
            run = self.cluster.submit(text, file=str(source))
            self.cluster.wait_for_run(run, "success")
            told.append(self.cluster.log(run, "load"))
        self.assertEqual(told, [f"rows 1 to 10 of {source}\n", f"rows 11 to 15 of {source}\n"])
        self.assertEqual(self.state("line", "cursor")["value"], 16)


if __name__ == "__main__":
    unittest.main()
