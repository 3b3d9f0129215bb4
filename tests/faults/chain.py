"""kill -9 before and after the n-th sync, write, rename and send of a daemon, life after life, while a DAG runs.

One chain: a run is submitted, and the daemon under test is started again and again, each time to die at another of its
calls, until the run is over. Then everything is stopped and compared with a run that nobody disturbed: nothing lost,
nothing committed twice, the same outputs. `scripts/kill-matrix` starts this.
"""

import argparse
import collections
import math
import random
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))

from call_faults import Fault, lines  # noqa: E402
from cluster import DEADLINE, Answer, Cluster, Daemon  # noqa: E402
from end_state import EndState  # noqa: E402

WORKERS = ("w1", "w2")
KINDS = {"scheduler": "sync,write,rename,send,receive", "worker": "sync,write,rename,send,receive,tell"}
MEAN_LIFE = {"scheduler": 30.0, "worker": 60.0}  # Calls; the first dozen are those of the start.
LIFE_MAX = 400
LOOK_EVERY = 0.5  # Seconds between two questions whether the run is over.

DAG = """
name: matrix
params: {{round: {{type: integer, required: true}}}}
defaults: {{infra_retry: {{limit: 1000, backoff: {{initial: 1ms, factor: 1, max: 1ms}}}}}}
tasks:
  - id: begin
    noop: {{}}
  - id: plain
    depends_on: [begin]
    foreach: {{sequence: {{count: {plain}}}}}
    command: ["true"]
  - id: number
    depends_on: [begin]
    foreach: {{sequence: {{count: {numbers}}}}}
    env: {{NUMBER: "${{{{ item }}}}"}}
    run: echo "$NUMBER" > number
    outputs: {{values: {{number: {{json: number, path: $}}}}}}
  - id: publish
    depends_on: [begin]
    foreach: {{sequence: {{count: {files}}}}}
    env: {{NUMBER: "${{{{ item }}}}"}}
    run: echo "content of $NUMBER" > file; echo "published $NUMBER"
    outputs: {{artifacts: [{{name: file, path: file, asset: "matrix/${{{{ params.round }}}}/${{{{ item }}}}"}}]}}
  - id: gather
    depends_on: [publish, plain]
    inputs: {{artifacts: [{{name: files, from: publish.file, path: files}}]}}
    run: cat files/* | sort > all
    outputs: {{artifacts: [{{name: all, path: all, asset: "matrix/${{{{ params.round }}}}/all"}}]}}
  - id: total
    depends_on: [number, gather]
    check: {{metric: {{expr: "sum(tasks.number.outputs.number) == {total}"}}}}
"""


def dag_of(instances: int) -> str:
    """About so many task instances: seven of ten do nothing, two leave a value, one publishes a file."""
    numbers, files = instances // 5, instances // 10
    plain = max(instances - numbers - files - 3, 1)
    return DAG.format(plain=plain, numbers=numbers, files=files, total=numbers * (numbers - 1) // 2)


class Life:
    """A daemon that a fault waits for."""

    def __init__(self, daemon: Daemon, fault: Fault, told: Path) -> None:
        self.daemon, self.fault, self.told = daemon, fault, told

    def died_at(self) -> str:
        """The call, such as "kill-before send"; "" while it lives. Any other end is a failure."""
        code = self.daemon.process.poll()
        if code is None:
            return ""
        if code != -signal.SIGKILL or not lines(self.told):
            raise AssertionError(f"{self.fault}: it ended by itself, {code}:\n{self.daemon.said()[-3000:]}")
        action, kind, _ = lines(self.told)[0].split()
        return f"{action} {kind}"


class Chain:
    """One cluster, round after round. `kills` counts the points at which a daemon died, by call."""

    def __init__(self, victim: str, seed: int, instances: int) -> None:
        self.victim, self.instances = victim, instances
        self.chance = random.Random(seed)
        self.cluster = Cluster()
        self.kills: collections.Counter[str] = collections.Counter()
        self.round = 0
        self.lives = 0
        self.run = ""
        self.expected: EndState | None = None

    def close(self) -> None:
        self.cluster.close()

    def go_on(self, kills: int, until: float = math.inf) -> None:
        """Rounds until so many kills, or the clock says so; the first one undisturbed, as the measure of all others."""
        if self.expected is None:
            self.expected = self.play(0)
            if self.expected.problems:
                raise AssertionError(f"an undisturbed round: {self.expected.problems[:10]}")
        while self.kills.total() < kills and time.monotonic() < until:
            found = self.play(kills - self.kills.total())
            if found.problems or not found.same_as(self.expected):
                raise AssertionError(f"round {self.round} differs from an undisturbed one: {found.problems[:10]}")
            if self.victim == "scheduler" and found.started_in_vain:
                raise AssertionError(f"no worker died, but {found.started_in_vain} attempts started that did not win")

    # ---- A round ----

    def play(self, kills_max: int) -> EndState:
        """One run from submission to its end, with at most so many deaths on the way."""
        self.round += 1
        self.start("scheduler")
        self.run = self.cluster.submit(dag_of(self.instances), round=self.round)
        for name in WORKERS:
            self.start(name)
        victims = ("scheduler",) if self.victim == "scheduler" else WORKERS
        if kills_max:
            self.let_die(victims, self.kills.total() + kills_max)
        self.cluster.wait_for_run(self.run, "success", 5 * DEADLINE)
        self.stop_all()
        return EndState(self.cluster.state, self.run, self.cluster.state / "objects")

    def start(self, name: str, fault: Fault | None = None, told: Path | None = None) -> Daemon:
        """In the place of the one before it, if there was one."""
        before = [daemon for daemon in self.cluster.daemons if daemon.name == name]
        for daemon in before:
            daemon.kill()
            self.cluster.daemons.remove(daemon)
        extra = fault.environment(told) if fault else None
        if name == "scheduler":
            return self.cluster.start_scheduler(environment=extra, wait=fault is None)
        return self.cluster.start_worker(name, "--cpus", "2", environment=extra)

    def stop_all(self) -> None:
        """Workers first: they tell their last to a scheduler that is there."""
        for daemon in sorted(self.cluster.daemons, key=lambda daemon: daemon.name == "scheduler"):
            if daemon.stop() not in (0, -signal.SIGTERM):  # The signal may come before it knows what to do with it.
                raise AssertionError(f"{daemon.name} did not stop cleanly:\n{daemon.said()[-3000:]}")
        self.cluster.daemons.clear()

    def let_die(self, victims: Sequence[str], kills: int) -> None:
        """Each victim lives under a fault, and again under another one, until the run is over or so many have died."""
        lives = {name: self.new_life(name) for name in victims}
        stalled_at = time.monotonic() + DEADLINE
        look_at = time.monotonic() + LOOK_EVERY
        while self.kills.total() < kills:
            for name, life in lives.items():
                if died_at := life.died_at():
                    self.kills[died_at] += 1
                    lives[name] = self.new_life(name)
                    stalled_at = time.monotonic() + DEADLINE
            if time.monotonic() > look_at:
                if self.is_over():
                    break
                look_at = time.monotonic() + LOOK_EVERY
            if time.monotonic() > stalled_at:
                raise AssertionError(f"the run neither ends nor goes on: {[str(life.fault) for life in lives.values()]}")
            time.sleep(0.003)
        for name in victims:
            self.start(name)

    def new_life(self, name: str) -> Life:
        self.lives += 1
        action = self.chance.choice(("kill-before", "kill-after"))
        nth = 1 + min(int(self.chance.expovariate(1 / MEAN_LIFE[self.victim])), LIFE_MAX)
        fault = Fault(action, KINDS[self.victim], nth)
        told = self.cluster.directory / f"{name}.told"
        told.unlink(missing_ok=True)
        return Life(self.start(name, fault, told), fault, told)

    def is_over(self) -> bool:
        try:
            return self.cluster.run(self.run)["state"] not in ("queued", "running")
        except (OSError, KeyError, ValueError, Answer):
            return False  # Nobody answers just now.


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--victim", choices=sorted(KINDS), default="scheduler")
    parser.add_argument("--kills", type=int, default=10_000)
    parser.add_argument("--minutes", type=float, default=120.0, help="stop before that many kills")
    parser.add_argument("--tasks", type=int, default=1_000, help="task instances of each round")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    chain = Chain(options.victim, options.seed, options.tasks)
    begun = time.monotonic()
    try:
        chain.go_on(options.kills, begun + 60 * options.minutes)
    except Exception:
        chain.cluster.show_logs()
        for daemon in chain.cluster.daemons:
            daemon.process.kill()
        print(f"seed {options.seed}, round {chain.round}, {chain.kills.total()} kills; kept: {chain.cluster.directory}")
        raise
    for where, times in sorted(chain.kills.items()):
        print(f"{times:>7}  {where}")
    print(f"{chain.kills.total():>7}  kills of the {options.victim} in {chain.round - 1} rounds of {chain.instances} task "
          f"instances, {time.monotonic() - begun:.0f} s: nothing lost, nothing committed twice")
    chain.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
