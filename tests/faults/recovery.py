"""How long it takes: from the start of a scheduler that was killed in the middle of a large run to its first dispatch, and
from the death of a worker to the next start of its task. `python3 tests/faults/recovery.py` prints both.
"""

import argparse
import sqlite3
import statistics
import sys
import time

import processes
from cluster import Cluster, Daemon, Gate, wait_until
from end_state import open_store

LARGE = """
name: large
tasks:
  - id: first_half
    foreach: {{sequence: {{count: {half}}}}}
    noop: {{}}
  - id: second_half
    depends_on: [first_half]
    foreach: {{sequence: {{count: {half}}}}}
    command: ["true"]
"""


def newest(cluster: Cluster, column: str) -> int:
    """The latest time in a column of the tasks, in microseconds; for a store whose scheduler is dead."""
    with open_store(cluster.state) as store:
        return store.execute(f"SELECT max({column}) FROM tasks").fetchone()[0]


def recovery(tasks: int, deaths: int) -> None:
    cluster = Cluster()
    try:
        scheduler = cluster.start_scheduler()
        cluster.start_worker("w1")
        run = cluster.submit(LARGE.format(half=tasks // 2))
        done = tasks // 2
        for _ in range(deaths):
            done = wait_until("some more successes", lambda: cluster.run(run)["counts"].get("success", 0),
                              lambda now, before=done: now >= before + 1_000, 600)
            scheduler.kill()
            last = newest(cluster, "queued_at_us")
            begun = time.time()
            scheduler = cluster.start_scheduler()
            ready, cpu = time.time() - begun, processes.cpu_of(scheduler.process.pid)
            wait_until("a dispatch", lambda: cluster.run(run)["counts"].get("success", 0), lambda now: now > done + 2_500, 600)
            scheduler.kill()
            print(f"  {tasks} tasks: ready after {ready:.2f} s ({cpu:.2f} s of a core), first dispatch after "
                  f"{first_after(cluster, last) / 1e6 - begun:.2f} s", flush=True)
            scheduler = cluster.start_scheduler()
            done = cluster.run(run)["counts"].get("success", 0)
    finally:
        cluster.close()


def first_after(cluster: Cluster, moment: int) -> int:
    with open_store(cluster.state) as store:
        return store.execute("SELECT min(queued_at_us) FROM tasks WHERE queued_at_us > ?", (moment,)).fetchone()[0]


def detection(lease: str, same_place: bool, times: int) -> None:
    found = []
    for _ in range(times):
        cluster = Cluster(lease=lease)
        try:
            cluster.start_scheduler()
            first = cluster.start_worker("w1")
            gate = Gate(cluster)
            cluster.submit(f"""
                name: one
                tasks: [{{id: one, run: "{gate.wait_for_it}"}}]
                """)
            gate.reached()
            if not same_place:
                cluster.start_worker("w2")
            wait_until("all workers", lambda: cluster.get("/api/v1/workers")["items"],
                       lambda workers: len(workers) == (1 if same_place else 2))
            begun = time.monotonic()
            first.kill()
            if same_place:
                cluster.start_worker("w1")
            wait_until("the next attempt", gate.count, lambda count: count == 2, 120)
            found.append(time.monotonic() - begun)
        finally:
            cluster.close()
    where = "at the same place" if same_place else f"elsewhere, lease {lease}"
    print(f"  worker killed, its task runs again {where}: median {statistics.median(found):.2f} s, "
          f"at most {max(found):.2f} s of {times}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=1_000_000)
    parser.add_argument("--deaths", type=int, default=3)
    parser.add_argument("--times", type=int, default=5)
    options = parser.parse_args()
    recovery(options.tasks, options.deaths)
    detection("60s", True, options.times)
    detection("6s", False, options.times)
    detection("60s", False, 1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
