"""A daemon under fault after fault, life after life, while a DAG runs.

One chain: a run is submitted, and the daemon under test is started again and again, each time with a fault that waits for
another of its calls, until the run is over. Then everything is stopped and compared with a run that nobody disturbed:
nothing lost, nothing committed twice, the same outputs.
"""

import collections
import math
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))

from call_faults import Fault, lines  # noqa: E402
from cluster import DEADLINE, Answer, Cluster, Daemon, wait_until  # noqa: E402
from end_state import EndState  # noqa: E402

WORKERS = ("w1", "w2")
LOOK_EVERY = 0.5  # Seconds between two questions whether the run is over.

DAG = """
name: matrix
params: {{round: {{type: integer, required: true}}, ledger: {{type: string, required: true}}}}
env: {{LEDGER: "${{{{ params.ledger }}}}"}}
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
    run: echo "$NUMBER" > number; echo "number $NUMBER" >> "$LEDGER"
    outputs: {{values: {{number: {{json: number, path: $}}}}}}
  - id: publish
    depends_on: [begin]
    foreach: {{sequence: {{count: {files}}}}}
    env: {{NUMBER: "${{{{ item }}}}"}}
    run: echo "content of $NUMBER" > file; echo "published $NUMBER"; echo "publish $NUMBER" >> "$LEDGER"
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
    """A daemon that a fault waits for: one that kills it."""

    def __init__(self, daemon: Daemon, fault: Fault, told: Path) -> None:
        self.daemon, self.fault, self.told = daemon, fault, told

    def outcome(self) -> str:
        """What it came to, such as "kill-before send"; "" while it lives. Any other end is a failure."""
        code = self.daemon.process.poll()
        if code is None:
            return ""
        if code != -signal.SIGKILL or not lines(self.told):
            raise AssertionError(f"{self.fault}: it ended by itself, {code}:\n{self.daemon.said()[-3000:]}")
        action, kind, _ = lines(self.told)[0].split()
        return f"{action} {kind}"


class Chain:
    """One cluster, round after round. `outcomes` counts what became of the lives under faults."""

    life = Life

    def __init__(self, victim: str, faults: Iterator[Fault], instances: int) -> None:
        self.victim, self.faults, self.instances = victim, faults, instances
        self.cluster = Cluster(lease="10m")  # A worker may not get a word in between two deaths of its scheduler.
        self.outcomes: collections.Counter[str] = collections.Counter()
        self.faults_left = True
        self.round = 0
        self.run = ""
        self.expected: EndState | None = None

    def close(self) -> None:
        self.cluster.close()

    def go_on(self, lives: int, until: float = math.inf) -> None:
        """Rounds until so many lives are over, or the clock says so; the first one undisturbed: it measures all others."""
        if self.expected is None:
            self.expected = self.play(0)
            if self.expected.problems:
                raise AssertionError(f"an undisturbed round: {self.expected.problems[:10]}")
        while self.faults_left and self.outcomes.total() < lives and time.monotonic() < until:
            found = self.play(lives - self.outcomes.total())
            if found.problems or not found.same_as(self.expected):
                raise AssertionError(f"round {self.round} differs from an undisturbed one: {found.problems[:10]}")
            if self.victim == "scheduler":
                self.expect_each_task_to_have_run_once(found)

    def expect_each_task_to_have_run_once(self, found: EndState) -> None:
        """As no worker died: what is not durable was not said, and what was said is not forgotten."""
        if found.started_in_vain:
            raise AssertionError(f"no worker died, but {found.started_in_vain} attempts started that did not win")
        runs = collections.Counter(lines(self.ledger))
        if again := {task: times for task, times in runs.items() if times > 1}:
            raise AssertionError(f"no worker died, but these ran more than once: {again}")

    # ---- A round ----

    def play(self, lives_max: int) -> EndState:
        """One run from submission to its end, with at most so many lives under faults on the way."""
        self.round += 1
        self.start("scheduler")
        self.ledger = self.cluster.directory / f"ledger-{self.round}"
        self.run = self.cluster.submit(dag_of(self.instances), round=self.round, ledger=str(self.ledger))
        for name in WORKERS:
            self.start(name)
        if lives_max:
            self.live(("scheduler",) if self.victim == "scheduler" else WORKERS, self.outcomes.total() + lives_max)
        wait_until("the run to end", self.is_over, seconds=5 * DEADLINE)
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

    def live(self, victims: Sequence[str], lives_max: int) -> None:
        """Each victim lives under a fault, and again under another one, until the run is over or so many were."""
        lives = {name: life for name in victims if (life := self.new_life(name))}
        stalled_at = time.monotonic() + DEADLINE
        look_at = time.monotonic() + LOOK_EVERY
        while self.faults_left and self.outcomes.total() < lives_max:
            for name, life in list(lives.items()):
                if outcome := life.outcome():
                    self.outcomes[outcome] += 1
                    lives[name] = self.new_life(name) or life
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

    def new_life(self, name: str) -> Life | None:
        """None: every fault has had its life."""
        fault = next(self.faults, None)
        if fault is None:
            self.faults_left = False
            return None
        told = self.cluster.directory / f"{name}.told"
        told.unlink(missing_ok=True)
        return self.life(self.start(name, fault, told), fault, told)

    def is_over(self) -> bool:
        try:
            return self.cluster.run(self.run)["state"] not in ("queued", "running")
        except (OSError, KeyError, ValueError, Answer):
            return False  # Nobody answers just now.


def play_to_the_end(chain: Chain, lives: int, minutes: float) -> None:
    """For scripts: what they leave on a failure, and what they say in the end."""
    begun = time.monotonic()
    try:
        chain.go_on(lives, begun + 60 * minutes)
    except Exception:
        chain.cluster.show_logs()
        for daemon in chain.cluster.daemons:
            daemon.process.kill()
        print(f"round {chain.round}, {chain.outcomes.total()} lives; kept: {chain.cluster.directory}")
        raise
    for outcome, times in sorted(chain.outcomes.items()):
        print(f"{times:>7}  {outcome}")
    print(f"{chain.outcomes.total():>7}  lives of the {chain.victim} in {chain.round - 1} rounds of {chain.instances} task "
          f"instances, {time.monotonic() - begun:.0f} s: nothing lost, nothing committed twice")
    chain.close()
