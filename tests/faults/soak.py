"""Run after run for as long as one likes, with kill -9 of daemons in between: nothing is lost, and memory stays flat.

One worker is never killed; of it and of the scheduler the growth of resident memory is printed, as the slope of lines
through what each life showed after it had warmed up, and of one line through all of them. `scripts/soak` starts this.
"""

import argparse
import random
import sys
import time

import processes
from chain import dag_of
from cluster import DEADLINE, Answer, Cluster, Daemon
from end_state import EndState

WARM_UP = 20.0  # Seconds of a life that do not count.
LOOK_EVERY = 0.25
KILLED_WORKERS = ("w1", "w2")
STEADY = "steady"


def slope(lines: list[list[tuple[float, int]]]) -> float | None:
    """The common slope, a second, of a line through each list of points (seconds, bytes)."""
    over = under = 0.0
    for points in lines:
        mean_time = sum(when for when, _ in points) / len(points)
        mean_size = sum(size for _, size in points) / len(points)
        over += sum((when - mean_time) * (size - mean_size) for when, size in points)
        under += sum((when - mean_time) ** 2 for when, _ in points)
    return over / under if under else None


def shown(bytes_a_second: float) -> str:
    return f"{bytes_a_second * 3600 / processes.MIB:+.1f} MiB/h"


class Growth:
    """Of resident memory, over several lives of one daemon: within them, and from each to the next."""

    def __init__(self) -> None:
        self.life = 0
        self.seen: dict[int, list[tuple[float, int]]] = {}

    def look(self, daemon: Daemon, begun: float) -> None:
        now = time.monotonic()
        if now - begun > WARM_UP and daemon.running():
            self.seen.setdefault(self.life, []).append((now, processes.memory_of(daemon.process.pid)))

    def __str__(self) -> str:
        lives = list(self.seen.values())
        within, over_all = slope(lives), slope([[point for points in lives for point in points]] if lives else [])
        if within is None or over_all is None:
            return "no life was long enough to tell"
        sizes = [size for points in lives for _, size in points]
        return (f"{shown(within)} within a life, {shown(over_all)} over all of them, at most "
                f"{max(sizes) / processes.MIB:.0f} MiB, {len(sizes)} looks at {len(lives)} lives")


class Soak:
    def __init__(self, seed: int, instances: int) -> None:
        self.chance = random.Random(seed)
        self.instances = instances
        self.cluster = Cluster(lease="5s")
        self.daemons: dict[str, Daemon] = {}
        self.begun: dict[str, float] = {}
        self.growth = {"scheduler": Growth(), STEADY: Growth()}
        self.runs: list[str] = []
        self.kills = 0

    def start(self, name: str) -> None:
        if name == "scheduler":
            self.daemons[name] = self.cluster.start_scheduler()
        else:
            self.daemons[name] = self.cluster.start_worker(name, "--cpus", "1")
        self.begun[name] = time.monotonic()

    def kill_one(self, share: float) -> None:
        """A worker three times in four. In every other tenth the scheduler lives, to show what it grows to."""
        scheduler = int(10 * share) % 2 == 0 and self.chance.random() < 0.5
        name = "scheduler" if scheduler else self.chance.choice(KILLED_WORKERS)
        self.daemons[name].kill()
        self.cluster.daemons.remove(self.daemons[name])
        if name in self.growth:
            self.growth[name].life += 1
        self.start(name)
        self.kills += 1

    def go(self, tasks: int, kills: int) -> None:
        """So many kills, at random moments of so many tasks."""
        for name in ("scheduler", STEADY, *KILLED_WORKERS):
            self.start(name)
        done = 0
        due = sorted(self.chance.uniform(0, tasks) for _ in range(kills))
        while done < tasks:
            number = len(self.runs) + 1
            ledger = str(self.cluster.directory / "ledger")
            self.runs.append(self.cluster.submit(dag_of(self.instances), round=number, ledger=ledger))
            self.wait_for(self.runs[-1], done, tasks, due)
            done += self.instances

    def wait_for(self, run: str, done: int, tasks: int, due: list[float]) -> None:
        end = time.monotonic() + 5 * DEADLINE
        while (state := self.look_at(run)) != "success":
            if state not in ("", "queued", "running") or time.monotonic() > end:
                raise AssertionError(f"run {run} is {state or 'not to be seen'} after {self.kills} kills")
            if due and due[0] <= done + self.successes:
                self.kill_one(due.pop(0) / tasks)
            for name, growth in self.growth.items():
                growth.look(self.daemons[name], self.begun[name])
            time.sleep(LOOK_EVERY)

    def look_at(self, run: str) -> str:
        try:
            seen = self.cluster.run(run)
        except (OSError, KeyError, ValueError, Answer):
            return ""
        self.successes = seen["counts"].get("success", 0)
        return seen["state"]

    def check(self) -> None:
        for daemon in sorted(self.cluster.daemons, key=lambda daemon: daemon.name == "scheduler"):
            daemon.stop()
        first = None
        for run in self.runs:
            found = EndState(self.cluster.state, run, self.cluster.state / "objects")
            first = first or found
            if found.problems or not found.same_as(first):
                raise AssertionError(f"run {run}: {found.problems[:10]}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=50_000)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--run", type=int, default=1_000, help="task instances of a run")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    soak = Soak(options.seed, options.run)
    begun = time.monotonic()
    try:
        soak.go(options.tasks, options.kills)
        soak.check()
    except BaseException:
        soak.cluster.show_logs()
        raise
    finally:
        soak.cluster.close()
    print(f"{len(soak.runs)} runs, {len(soak.runs) * soak.instances} task instances, {soak.kills} kills in "
          f"{time.monotonic() - begun:.0f} s: nothing lost, nothing committed twice")
    for name, growth in soak.growth.items():
        print(f"  {name:<10} {growth}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
