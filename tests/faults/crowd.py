"""Workers by the thousand connect at once, and again when their scheduler was killed. `python3 tests/faults/crowd.py`."""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

import processes
from cluster import Cluster, wait_until

PER_PROCESS = 250  # libzmq bounds the sockets of a process.


def crowd_binary() -> str:
    return os.path.join(os.environ.get("CHAPPE_FAULTS", ""), "crowd")


class Crowd:
    """Beside a scheduler that is ready."""

    def __init__(self, cluster: Cluster, workers: int) -> None:
        self.workers = workers
        self.said: list[Path] = []
        self.members: list[subprocess.Popen[bytes]] = []
        keys = cluster.state / "keys"
        server_key = (keys / "scheduler.pub").read_text().split()[0]
        for begin in range(0, workers, PER_PROCESS):
            log = cluster.directory / f"crowd-{begin}.log"
            command = [crowd_binary(), cluster.endpoint, server_key, str(keys / "worker.key"),
                       str(min(PER_PROCESS, workers - begin)), f"c{begin}"]
            with log.open("wb") as sink:
                self.members.append(subprocess.Popen(command, stdout=sink, stderr=sink))
            self.said.append(log)

    def wait_until_all_are_welcome(self, times: int, seconds: float) -> None:
        """Each of the crowd says so once in each life of the scheduler."""
        def here() -> int:
            return sum(log.read_text().count("epoch ") >= times for log in self.said)

        wait_until(f"all to be welcome {times} times", here, lambda count: count == len(self.said), seconds)

    def close(self) -> None:
        for member in self.members:
            member.kill()
            member.wait()


def storm(workers: int, seconds: float, watch_for: float = 0) -> dict[str, float]:
    """Seconds until all were welcome, at first and after a kill of the scheduler; until a task of one more worker was
    through; the cores that the crowd's heartbeats then take, watched for so many seconds; memory."""
    cluster = Cluster()
    crowd = None
    try:
        scheduler = cluster.start_scheduler()
        begun = time.monotonic()
        crowd = Crowd(cluster, workers)
        crowd.wait_until_all_are_welcome(1, seconds)
        found = {"joined": time.monotonic() - begun, "cost of it": processes.cpu_of(scheduler.process.pid)}
        scheduler.kill()
        begun = time.monotonic()
        scheduler = cluster.start_scheduler()
        crowd.wait_until_all_are_welcome(2, seconds)
        found["joined again"] = time.monotonic() - begun
        begun = time.monotonic()
        cluster.start_worker("real", "--label", "real=yes")
        run = cluster.submit("{name: amid, tasks: [{id: one, run: exit 0, worker_selector: {real: 'yes'}}]}")
        cluster.wait_for_run(run, "success", seconds)
        found["a task"] = time.monotonic() - begun
        before = processes.cpu_of(scheduler.process.pid)
        begun = time.monotonic()
        wait_until("enough to be seen", lambda: time.monotonic() - begun >= watch_for, seconds=watch_for + seconds)
        found["cores"] = (processes.cpu_of(scheduler.process.pid) - before) / (time.monotonic() - begun)
        found["MiB"] = processes.memory_of(scheduler.process.pid) / processes.MIB
        return found
    finally:
        if crowd is not None:
            crowd.close()
        cluster.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=10_000)
    options = parser.parse_args()
    for what, figure in storm(options.workers, 600, watch_for=20).items():
        print(f"  {options.workers} workers: {what} {figure:.2f}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
