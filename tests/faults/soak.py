"""Run after run for as long as one likes, with kill -9 of daemons in between: nothing is lost, and memory stays flat.

One worker is never killed; of it and of the scheduler the growth of resident memory is printed, as the slope of a line
through what each life showed after it had warmed up. `scripts/soak` starts this.
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


class Growth:
    """Of resident memory, over several lives of one daemon: the common slope of one line for each life."""

    def __init__(self) -> None:
        self.life = 0
        self.seen: dict[int, list[tuple[float, int]]] = {}

    def look(self, daemon: Daemon, begun: float) -> None:
        age = time.monotonic() - begun
        if age > WARM_UP and daemon.running():
            self.seen.setdefault(self.life, []).append((age, processes.memory_of(daemon.process.pid)))

    def __str__(self) -> str:
        over = under = 0.0
        for points in self.seen.values():
            mean_age = sum(age for age, _ in points) / len(points)
            mean_size = sum(size for _, size in points) / len(points)
            over += sum((age - mean_age) * (size - mean_size) for age, size in points)
            under += sum((age - mean_age) ** 2 for age, _ in points)
        sizes = [size for points in self.seen.values() for _, size in points]
        if not under:
            return "no life was long enough to tell"
        slope = over / under * 3600 / processes.MIB
        return f"{slope:+.1f} MiB/h, at most {max(sizes) / processes.MIB:.0f} MiB, {len(sizes)} looks at {len(self.seen)} lives"


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

    def kill_one(self) -> None:
        """A worker three times in four."""
        name = "scheduler" if self.chance.random() < 0.25 else self.chance.choice(KILLED_WORKERS)
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
            self.wait_for(self.runs[-1], done, due)
            done += self.instances

    def wait_for(self, run: str, done: int, due: list[float]) -> None:
        end = time.monotonic() + 5 * DEADLINE
        while (state := self.look_at(run)) != "success":
            if state not in ("", "queued", "running") or time.monotonic() > end:
                raise AssertionError(f"run {run} is {state or 'not to be seen'} after {self.kills} kills")
            if due and due[0] <= done + self.successes:
                due.pop(0)
                self.kill_one()
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
