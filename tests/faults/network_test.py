"""A network that breaks between the scheduler and one of its workers: both ways, one way, for good, or again and again."""

import os
import signal
import subprocess
import time
import unittest

import machine
import processes  # noqa: F401  # It makes the end-to-end tests' modules known.
from cluster import DEADLINE, PATIENCE, Cluster, Daemon, Gate, chappe_binary, wait_until

HERE, THERE = "10.77.0.1", "10.77.0.2"
LEASE = 8.0 * PATIENCE


class FarMachine:
    """A network of its own at the end of a cable. Nothing of it is left when its keeper is killed."""

    def __init__(self) -> None:
        self.keeper = subprocess.Popen(["unshare", "-n", "sleep", "infinity"])
        try:
            wait_until("the far network", lambda: os.readlink(f"/proc/{self.keeper.pid}/ns/net"),
                       lambda space: space != os.readlink("/proc/self/ns/net"))
            machine.run("ip", "link", "add", "here", "type", "veth", "peer", "name", "there", "netns", str(self.keeper.pid))
            machine.run("ip", "addr", "add", f"{HERE}/24", "dev", "here")
            machine.run("ip", "link", "set", "here", "up")
            for command in (("addr", "add", f"{THERE}/24", "dev", "there"), ("link", "set", "there", "up"),
                            ("link", "set", "lo", "up")):
                machine.run(*self.inside("ip", *command))
        except BaseException:
            self.close()
            raise

    def inside(self, *command: str) -> list[str]:
        return ["nsenter", "-t", str(self.keeper.pid), "-n", *command]

    def cut(self) -> None:
        """No packet gets through, and nobody is told: the link goes down at the far end."""
        machine.run(*self.inside("ip", "link", "set", "there", "down"))

    def mend(self) -> None:
        machine.run(*self.inside("ip", "link", "set", "there", "up"))

    def deafen(self, on: bool) -> None:
        """What is sent from here does not get there; what comes from there arrives."""
        machine.run("ip", "route", "add" if on else "del", "blackhole", f"{THERE}/32")

    def mute(self, on: bool) -> None:
        """The other way round."""
        machine.run(*self.inside("ip", "route", "add" if on else "del", "blackhole", f"{HERE}/32"))

    def close(self) -> None:
        self.keeper.send_signal(signal.SIGKILL)
        self.keeper.wait()


class Network(unittest.TestCase):
    def setUp(self) -> None:
        machine.leave(machine.CLONE_NEWNET, "network")
        machine.run("ip", "link", "set", "lo", "up")
        self.far = FarMachine()
        self.addCleanup(self.far.close)
        self.cluster = Cluster.of(self, lease=f"{LEASE:.0f}s")
        self.cluster.endpoint = f"tcp://{HERE}:7331"
        self.scheduler = self.cluster.start_scheduler()
        self.gate = Gate(self.cluster)

    def start_far_worker(self) -> Daemon:
        command = [chappe_binary(), "worker", "--state-dir", str(self.cluster.state), "--name", "far"]
        daemon = Daemon("far", self.far.inside(*command), self.cluster.directory / "far.log", self.cluster.environment)
        self.cluster.daemons.append(daemon)
        return daemon

    def submit(self) -> str:
        run = self.cluster.submit(f"""
            name: partitioned
            tasks:
              - id: make
                run: |
                  echo "by attempt $CHAPPE_ATTEMPT" > result
                  {self.gate.wait_for_it}
                outputs: {{artifacts: [{{name: result, path: result, asset: {{uri: pub/result, name: result}}}}]}}
            """)
        self.gate.reached()
        return run

    def keep_for(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(0.1)

    def expect(self, run: str, *attempts: tuple) -> None:
        self.cluster.wait_for_run(run, "success")
        self.assertEqual(self.cluster.attempts(run, "make"), list(attempts))
        self.assertEqual(len(self.cluster.assets("result")), 1)
        self.assertEqual((self.cluster.state / "objects/assets/pub/result").read_text(), f"by attempt {len(attempts)}\n")

    def expect_the_far_worker_back(self) -> None:
        """Within 10 s after the network is well again."""
        run = self.cluster.submit("{name: back, tasks: [{id: one, run: exit 0}]}")
        self.cluster.wait_for_run(run, "success", 10 * PATIENCE)

    def test_a_short_partition_costs_nothing(self) -> None:
        self.start_far_worker()
        run = self.submit()
        for _ in range(3):
            self.far.cut()
            self.keep_for(1.0)
            self.far.mend()
            self.keep_for(0.5 * PATIENCE)
        self.gate.open()
        self.expect(run, (1, "success", None))

    def test_a_worker_that_is_cut_off_past_its_lease_gives_up_and_another_takes_over(self) -> None:
        self.start_far_worker()
        run = self.submit()
        self.far.cut()
        self.cluster.start_worker("near")
        self.gate.reached(times=2)
        self.gate.open()
        self.expect(run, (1, "failed", "lost_worker"), (2, "success", None))
        self.far.mend()
        self.cluster.daemons[-1].kill()
        self.expect_the_far_worker_back()

    def test_a_worker_that_is_heard_but_hears_nothing_gives_up_too(self) -> None:
        self.start_far_worker()
        run = self.submit()
        self.far.deafen(True)
        self.cluster.start_worker("near")
        self.gate.reached(times=2)
        self.far.deafen(False)
        self.gate.open()
        self.expect(run, (1, "failed", "lost_worker"), (2, "success", None))

    def test_a_worker_that_hears_but_is_not_heard_gives_up_too(self) -> None:
        self.start_far_worker()
        run = self.submit()
        self.far.mute(True)
        self.cluster.start_worker("near")
        self.gate.reached(times=2)
        self.far.mute(False)
        self.gate.open()
        self.expect(run, (1, "failed", "lost_worker"), (2, "success", None))

    def test_the_connection_of_a_machine_that_lost_its_power_is_closed(self) -> None:
        far = self.start_far_worker()
        wait_until("the far worker to join", lambda: self.connections() >= 1)
        self.far.cut()
        far.kill()
        wait_until("the half-open connection to be closed", lambda: self.connections() == 0, seconds=DEADLINE / 2)

    def connections(self) -> int:
        """Of workers, as the scheduler's machine sees them."""
        with open("/proc/net/tcp") as table:
            port, established = f"{7331:04X}", "01"
            rows = [line.split() for line in table.readlines()[1:]]
        return sum(row[1].endswith(":" + port) and row[3] == established for row in rows)


if __name__ == "__main__":
    unittest.main()
