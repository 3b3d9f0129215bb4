#!/usr/bin/env python3
"""What a container attempt costs beyond the runtime's own work: `CHAPPE=build/release/chappe bench/containers.py`.

Both do the same, one after the other, in one Podman of their own: create, start, wait, remove. The runtime's own cycle is
driven over the socket by this script; Chappe's is a chain of tasks, and what is counted is the time from one attempt's
start to the next one's.
"""

import statistics
import sys
import time
import unittest
from datetime import datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests/e2e"))
from cluster import Cluster  # noqa: E402
from podman import IMAGE, Podman, missing  # noqa: E402

TURNS, TIMES = 5, 8
BEYOND_MAX = 30  # Milliseconds.


def own_cycle(podman: Podman, number: int) -> float:
    limits = [{"Name": name, "Soft": most, "Hard": most} for name, most in (("nofile", 1024), ("nproc", 32768))]
    host = {"Init": True, "NetworkMode": "none", "ReadonlyRootfs": True, "CapDrop": ["ALL"], "Ulimits": limits,
            "PidsLimit": 1024, "NanoCpus": 1_000_000_000, "Tmpfs": {"/tmp": "rw"}, "LogConfig": {"Type": "none"}}
    start = time.monotonic()
    status, made = podman.call("POST", f"/containers/create?name=bench{number}",
                               {"Image": IMAGE, "Entrypoint": ["/bin/true"], "Cmd": [], "HostConfig": host})
    assert status == 201, made
    assert podman.call("POST", f"/containers/{made['Id']}/start")[0] == 204
    # Docker's form of it looks every 250 ms only.
    wait = f"/v4.0.0/libpod/containers/{made['Id']}/wait?condition=exited&condition=stopped&interval=1ms"
    status, said = podman.call("POST", wait)
    assert status == 200, said
    assert podman.call("DELETE", f"/containers/{made['Id']}?force=true")[0] == 204
    return time.monotonic() - start


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def chappe_cycles(cluster: Cluster, times: int) -> list[float]:
    """Nothing else is there to do, so each attempt begins when the one before it is over."""
    tasks = ["  - {id: t0, command: [/bin/true]}"]
    tasks += [f"  - {{id: t{i}, command: [/bin/true], depends_on: [t{i - 1}]}}" for i in range(1, times)]
    run = cluster.submit(f"name: bench\nimage: {IMAGE}\ntasks:\n" + "\n".join(tasks))
    cluster.wait_for_run(run, "success")
    starts = sorted(moment(task["started_at"]) for task in cluster.tasks(run).values())
    return [(after - before).total_seconds() for before, after in zip(starts, starts[1:])]


class Bench(unittest.TestCase):
    def runTest(self) -> None:
        podman, cluster = Podman.of(self), Cluster.of(self)
        cluster.start_scheduler()
        cluster.start_worker("w1", "--container-socket", str(podman.socket))
        own_cycle(podman, 0)
        own, chappe = [], []
        for turn in range(TURNS):  # By turns, as the machine is not always equally fast.
            own += [own_cycle(podman, 1 + turn * TIMES + number) for number in range(TIMES)]
            chappe += chappe_cycles(cluster, TIMES + 1)
        for name, times in (("the runtime's own cycle", own), ("an attempt of Chappe", chappe)):
            print(f"{name:26} median {statistics.median(times) * 1000:6.1f} ms, least {min(times) * 1000:6.1f} ms")
        beyond = (statistics.median(chappe) - statistics.median(own)) * 1000
        print(f"{'beyond':26} median {beyond:6.1f} ms, at most {BEYOND_MAX}")
        self.assertLessEqual(beyond, BEYOND_MAX)


if __name__ == "__main__":
    sys.exit(f"SKIPPED: {missing()}") if missing() else unittest.main()
