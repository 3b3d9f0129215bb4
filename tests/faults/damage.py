"""What becomes of a scheduler whose store went bad on the disk: a byte is another one, or the end of the file is missing.

It must say so and stop, or go on as if nothing were (the place held nothing): it never crashes. SQLite keeps no checksums, so a
byte within a value can pass for another value; how often that was, `python3 tests/faults/damage.py` counts.
"""

import argparse
import collections
import random
import signal
import sys

import processes  # noqa: F401  # It makes the end-to-end tests' modules known.
from cluster import Answer, Cluster, wait_until

ENDED = """
name: ended
params: {year: {type: integer, default: 2026}}
tasks:
  - id: ingest
    run: 'printf "a,b\\n1,2\\n" > raw.csv; echo 0.9 > score'
    outputs: {artifacts: [{name: raw, path: raw.csv, asset: raw_data}], values: {score: {file: score}}}
  - {id: flaky, run: 'test "$CHAPPE_ATTEMPT" -gt 1', retry: {limit: 1, backoff: {initial: 10ms}}}
  - id: train
    depends_on: [ingest, flaky]
    foreach: {items: [1, 2, 3]}
    inputs: {artifacts: [{name: raw, from: ingest.raw, path: in.csv}]}
    run: cp in.csv model
    outputs: {artifacts: [{name: model, path: model, asset: "models/${{ item }}"}]}
"""
WAITING = """
name: waiting
tasks:
  - {id: first, foreach: {items: [1, 2, 3]}, noop: true}
  - {id: approve, depends_on: [first], human: {prompt: "Publish?"}}
  - {id: last, depends_on: [approve], noop: true}
"""


class Damage:
    """A store with history, one run that is not over, and what a scheduler made of it when its bytes were changed."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.store = cluster.state / "chappe.db"
        scheduler = cluster.start_scheduler()
        worker = cluster.start_worker()
        self.runs = [cluster.submit(ENDED), cluster.submit(WAITING)]
        cluster.wait_for_run(self.runs[0], "success")
        cluster.wait_for_task(self.runs[1], "approve", "waiting")
        worker.stop()
        scheduler.stop()
        self.sound = self.store.read_bytes()
        self.outcomes: collections.Counter[str] = collections.Counter()
        self.crashes: list[str] = []
        self.answers = self._open("sound", self.sound)

    def do(self, times: int, seed: int) -> None:
        chance = random.Random(seed)
        for number in range(times):
            damaged = bytearray(self.sound)
            at = chance.randrange(len(damaged))
            if number % 10 == 9:
                del damaged[at:]
                what = f"cut at {at}"
            else:
                damaged[at] ^= chance.randrange(1, 256)
                what = f"byte {at} is {damaged[at]}"
            answers = self._open(what, bytes(damaged))
            if answers is not None:
                self.outcomes["goes on as before" if answers == self.answers else "goes on with another value"] += 1

    def _open(self, what: str, content: bytes) -> dict[str, object] | None:
        """What the API answers; None where the scheduler stopped instead."""
        for beside in self.cluster.state.glob("chappe.db-*"):
            beside.unlink()
        (self.cluster.state / "left_alone.json").unlink(missing_ok=True)
        self.store.write_bytes(content)
        scheduler = self.cluster.start_scheduler(wait=False)
        self.cluster.daemons.remove(scheduler)
        try:
            code = wait_until("it to be ready, or to end", lambda: scheduler.process.poll() or self.cluster._is_ready(scheduler))
            answers = self._answers()
        except (AssertionError, OSError, KeyError):
            code = scheduler.process.poll()
            if code is None:
                raise
        finally:
            if scheduler.running():
                scheduler.kill()
        said = scheduler.said()
        scheduler.log.unlink()
        if code is True:
            return answers
        if code == 1:
            self.outcomes["says so and stops"] += 1
        elif code == -signal.SIGABRT and "broken invariant" in said:
            self.outcomes["stops by an assertion, thrice; then leaves alone what brought it down"] += 1
        else:
            self.crashes.append(f"{what}: ended with {code}: {said[-500:]}")
        return None

    def _answers(self) -> dict[str, object]:
        paths = ["/api/v1/runs", "/api/v1/assets?all_versions=true", "/api/v1/audit"]
        paths += [f"/api/v1/runs/{run}{part}" for run in self.runs for part in ("", "/tasks")]
        paths += [f"/api/v1/runs/{self.runs[0]}/tasks/{task}" for task in ("ingest", "flaky")]
        return {path: self._answer(path) for path in paths}

    def _answer(self, path: str) -> object:
        try:
            return self.cluster.get(path)
        except Answer as error:
            return error.status


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    cluster = Cluster()
    try:
        damage = Damage(cluster)
        damage.do(arguments.times, arguments.seed)
    finally:
        cluster.close()
    for outcome, times in damage.outcomes.most_common():
        print(f"{times:6} {outcome}")
    print("\n".join(damage.crashes) or "no crash")
    return 1 if damage.crashes else 0


if __name__ == "__main__":
    sys.exit(main())
