"""GPUs in containers, as far as that can be seen without one: what the runtime is asked for.

Debian's Podman is too old to hand any over. So a relay stands before it, which says that it is a newer one and keeps what
is asked of it; Podman then starts the containers without devices.
"""

import json
import re
import selectors
import socket
import threading
import unittest
from pathlib import Path

import podman
from cluster import Cluster, wait_until
from podman import IMAGE, Podman

OLD, NEW = b"4.3.1", b"5.3.1"  # Of one length: nothing else of an answer changes.


def bodies_of(asked: bytes) -> list[bytes]:
    """Of the requests to make a container, as far as they have come."""
    found = []
    for head in re.finditer(rb"POST \S*/containers/create\S* HTTP.*?\r\n\r\n", asked, re.S):
        length = int(re.search(rb"content-length: *([0-9]+)", head.group(), re.I).group(1))
        body = asked[head.end() : head.end() + length]
        found += [body] if len(body) == length else []
    return found


class NewerPodman:
    """A Unix socket before another one."""

    def __init__(self, test: unittest.TestCase, behind: Path) -> None:
        self.behind, self.path = behind, behind.with_name("newer.sock")
        self.asked: list[bytearray] = []
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(self.path))
        self.listener.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()
        test.addCleanup(self.listener.close)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._relay, args=(client,), daemon=True).start()

    def _relay(self, client: socket.socket) -> None:
        asked = bytearray()
        self.asked.append(asked)
        server = socket.socket(socket.AF_UNIX)
        with client, server, selectors.DefaultSelector() as ready:
            server.connect(str(self.behind))
            ready.register(client, selectors.EVENT_READ)
            ready.register(server, selectors.EVENT_READ)
            try:
                while True:
                    for key, _ in ready.select():
                        said = key.fileobj.recv(1 << 16)
                        if not said:
                            return
                        if key.fileobj is client:
                            asked += said
                            server.sendall(said)
                        else:
                            client.sendall(said.replace(OLD, NEW))
            except OSError:
                return

    def devices(self) -> list[list[str]]:
        """Of each container that was asked for, in no order: its devices."""
        bodies = [body for asked in list(self.asked) for body in bodies_of(bytes(asked))]
        requests = [json.loads(body)["HostConfig"].get("DeviceRequests", []) for body in bodies]
        for each in requests:
            assert all(one["Driver"] == "cdi" for one in each), each
        return [[device for one in each for device in one["DeviceIDs"]] for each in requests]


@unittest.skipIf(podman.missing(), f"SKIPPED: {podman.missing()}: nothing was asked of a container runtime")
class Gpus(unittest.TestCase):
    def setUp(self) -> None:
        self.podman = Podman.of(self)
        self.cluster = Cluster.of(self)
        self.cluster.start_scheduler()

    def test_each_is_in_one_container_at_a_time(self) -> None:
        newer = NewerPodman(self, self.podman.socket)
        self.cluster.start_worker("w1", "--container-socket", str(newer.path), "--cpus", "8",
                                  "--gpu-device", "nvidia.com/gpu=0", "--gpu-device", "nvidia.com/gpu=GPU-5f", "--taint", "gpu")
        run = self.cluster.submit(f"""
            name: trains
            image: {IMAGE}
            defaults: {{tolerations: [gpu]}}
            tasks:
              - id: train
                foreach: {{items: [a, b]}}
                resources: {{gpu: 1}}
                run: "echo here; sleep 1000"
              - {{id: both, resources: {{gpu: 2}}, run: "true"}}
              - {{id: none, run: "true"}}
            """)
        wait_until("all but one", newer.devices, lambda seen: len(seen) == 3)
        wait_until("two of them", self.podman.running, lambda seen: len(seen) == 2)
        self.assertEqual(sorted(newer.devices()), [[], ["nvidia.com/gpu=0"], ["nvidia.com/gpu=GPU-5f"]])
        waits = [each["waits_for"] for each in self.cluster.get(f"/api/v1/runs/{run}/explain")["tasks"]]
        self.assertEqual(len([why for why in waits if "needs 1 cpus, 2 gpus" in why and "0 gpus free of 2" in why]), 1)
        self.cluster.post(f"/api/v1/runs/{run}/cancel")
        self.cluster.wait_for_run(run, "cancelled")
        again = self.cluster.submit(f"""
            name: again
            image: {IMAGE}
            tasks: [{{id: both, tolerations: [gpu], resources: {{gpu: 2}}, run: "true"}}]
            """)
        self.cluster.wait_for_run(again, "success")
        self.assertIn(["nvidia.com/gpu=0", "nvidia.com/gpu=GPU-5f"], newer.devices())

    def test_a_runtime_that_would_leave_them_out_starts_nothing(self) -> None:
        worker = self.cluster.start_worker("w1", "--container-socket", str(self.podman.socket), "--gpus", "1")
        run = self.cluster.submit(f"""
            name: trains
            image: {IMAGE}
            tasks: [{{id: train, resources: {{gpu: 1}}, run: "true"}}]
            """)
        self.cluster.wait_for_run(run, "failed")
        task = self.cluster.tasks(run)["train"]
        self.assertEqual(task["reason"], "launch_failed")
        self.assertRegex(task["message"], r"Podman Engine 4\S+ hands no GPUs to containers through its API: Podman 5.0 and newer")
        self.assertIn("hands no GPUs", worker.said())

    def test_devices_that_are_none_are_refused_at_the_start(self) -> None:
        for wrong, said in ((["--gpu-device", "0"], "write it as nvidia.com/gpu=0"),
                            (["--gpus", "2", "--gpu-device", "nvidia.com/gpu=0"], "name as many as there are"),
                            (["--gpu-device", "a/b=0", "--gpu-device", "a/b=0"], "it is named twice")):
            worker = self.cluster.start_worker("wrong", *wrong)
            self.assertNotEqual(worker.process.wait(60), 0)
            self.assertIn(said, worker.said())


if __name__ == "__main__":
    unittest.main()
