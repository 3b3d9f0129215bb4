"""chappe-worker without anything beneath it: in images that have no library, no shell and no certificate, and with names
that only a resolver knows."""

import os
import socket
import struct
import subprocess
import sys
import threading
import unittest
from pathlib import Path

import podman
from cluster import ROOT, Cluster, wait_until
from podman import Podman
from vault import Vault

sys.path.append(str(ROOT / "tests" / "faults"))
import machine  # noqa: E402
from network_test import HERE, FarMachine  # noqa: E402

PROGRAM = Path(os.environ.get("CHAPPE_STATIC_WORKER", ROOT / "build" / "static" / "chappe-worker"))
MEBIBYTE = 1 << 20
SIZE_MAX, RESIDENT_MAX = 15 * MEBIBYTE, 20 * MEBIBYTE
DOMAIN = "chappe.test"


class Resolver:
    """A DNS server that knows one address, and every name of DOMAIN has it. Source: RFC 1035, section 4."""

    def __init__(self, test: unittest.TestCase, address: str) -> None:
        self.address, self.asked = address, set()
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((address, 53))
        thread = threading.Thread(target=self.serve)
        thread.start()
        test.addCleanup(thread.join)
        test.addCleanup(self.stop)

    def stop(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wake:
            wake.sendto(b"", (self.address, 53))

    def serve(self) -> None:
        with self.socket:
            while True:
                query, peer = self.socket.recvfrom(512)
                if not query:
                    return
                labels, at = [], 12
                while query[at]:
                    labels.append(query[at + 1 : at + 1 + query[at]].decode())
                    at += 1 + query[at]
                (kind,) = struct.unpack("!H", query[at + 1 : at + 3])
                name = ".".join(labels).lower()
                self.asked.add(name)
                known = name.endswith("." + DOMAIN)
                answers = known and kind == 1
                head = query[:2] + struct.pack("!HHHHH", 0x8180 if known else 0x8183, 1, int(answers), 0, 0)
                record = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 60, 4) + socket.inet_aton(self.address)
                self.socket.sendto(head + query[12 : at + 5] + (record if answers else b""), peer)


@unittest.skipIf(not os.access(PROGRAM, os.X_OK), f"SKIPPED: no {PROGRAM.relative_to(ROOT) if PROGRAM.is_relative_to(ROOT) else PROGRAM}: cmake --preset static")
class StaticWorker(unittest.TestCase):
    def options(self, cluster: Cluster, scheduler: str, keys: str, work: str) -> list[str]:
        return ["--scheduler", scheduler, "--server-key", f"{keys}/scheduler.pub", "--key-file", f"{keys}/worker.key",
                "--work-dir", work, "--object-store", f"file://{cluster.state}/objects"]

    def wait_for_workers(self, cluster: Cluster, count: int = 1) -> None:
        wait_until("the worker", lambda: cluster.get("/api/v1/workers")["items"], lambda items: len(items) == count)

    def test_it_is_small_and_loads_nothing(self) -> None:
        headers = subprocess.run(["readelf", "-lW", PROGRAM], capture_output=True, text=True, check=True).stdout
        self.assertNotIn("INTERP", headers)
        cluster = Cluster.of(self)
        cluster.start_scheduler()
        keys, work = str(cluster.state / "keys"), str(cluster.directory / "work")
        with (cluster.directory / "static.log").open("wb") as log:
            worker = subprocess.Popen([PROGRAM, *self.options(cluster, cluster.endpoint, keys, work)], stdout=log, stderr=log)
        self.addCleanup(worker.wait)
        self.addCleanup(worker.kill)
        self.wait_for_workers(cluster)
        status = Path(f"/proc/{worker.pid}/status").read_text()
        resident = int(status.split("VmRSS:")[1].split()[0]) * 1024
        size = PROGRAM.stat().st_size
        print(f"chappe-worker, static: {size / MEBIBYTE:.1f} MiB, {resident / MEBIBYTE:.1f} MiB resident when idle")
        self.assertLessEqual(size, SIZE_MAX)
        self.assertLessEqual(resident, RESIDENT_MAX)

    @unittest.skipIf(podman.missing() or os.geteuid() != 0, f"SKIPPED: {podman.missing() or 'not root'}: no image was run")
    def test_it_runs_in_an_empty_image_and_finds_names(self) -> None:
        machine.leave(machine.CLONE_NEWNET, "network")
        machine.run("ip", "link", "set", "lo", "up")
        far = FarMachine()
        self.addCleanup(far.close)
        resolver = Resolver(self, HERE)
        token = "hvs.static"
        vault = Vault(self, token, host=HERE, name=f"vault.{DOMAIN}")
        vault.secrets["", "secret", "ml"] = {"key": "found-by-name"}
        cluster = Cluster.of(self)
        cluster.endpoint = f"tcp://{HERE}:7331"
        cluster.start_scheduler()
        runtime = Podman.of(self)
        for image, content in (("scratch", ""), ("shell", "/bin/busybox")):
            root = runtime.directory / image
            for folder in ("bin", "keys", "work", "etc"):
                (root / folder).mkdir(parents=True)
            # Of another world: what it names cannot be loaded, and must not be missed.
            (root / "etc/nsswitch.conf").write_text("hosts: mymachines resolve [!UNAVAIL=return] nothing\n")
            if content:
                for name in ("busybox", "sh", "cat"):
                    (root / "bin" / name).write_bytes(Path(content).read_bytes())
                    (root / "bin" / name).chmod(0o755)
            (root / "bin/chappe-worker").write_bytes(PROGRAM.read_bytes())
            (root / "bin/chappe-worker").chmod(0o755)
            runtime.import_folder(root, f"localhost/{image}:1")
        keys, objects = cluster.state / "keys", cluster.state / "objects"
        objects.mkdir(exist_ok=True)
        for image in ("scratch", "shell"):
            said = subprocess.run(
                [*runtime.words, "run", "--detach", "--name", image, "--network", f"ns:/proc/{far.keeper.pid}/ns/net",
                 "--dns", HERE, "--volume", f"{keys}:/keys:ro", "--volume", f"{objects}:{objects}", "--volume",
                 f"{vault.ca_file}:/ca.pem:ro", "--env", f"VAULT_TOKEN={token}", f"localhost/{image}:1",
                 "/bin/chappe-worker", *self.options(cluster, f"tcp://scheduler.{DOMAIN}:7331", "/keys", "/work"),
                 "--name", image, "--label", f"image={image}", "--container-socket", "none",
                 "--vault", f"https://vault.{DOMAIN}:{vault.port}", "--vault-ca", "/ca.pem"],
                capture_output=True, text=True)
            self.assertEqual(said.returncode, 0, said.stderr)
        try:
            self.wait_for_workers(cluster, 2)
        except AssertionError:
            for image in ("scratch", "shell"):
                print(subprocess.run([*runtime.words, "logs", image], capture_output=True, text=True))
            raise
        run = cluster.submit("""
            name: anywhere
            tasks:
              - id: bare
                worker_selector: {image: scratch}
                secrets: {KEY: {vault: {path: ml, key: key}}}
                command: [/bin/chappe-worker, --help]
              - id: shell
                worker_selector: {image: shell}
                secrets: {KEY: {vault: {path: ml, key: key}}}
                run: echo "it is $KEY, of ${#KEY} letters" > said; cat said
                outputs: {artifacts: [{name: said, path: said}]}
              - id: reads
                worker_selector: {image: shell}
                inputs: {artifacts: [{name: said, from: shell.said, path: said}]}
                command: [/bin/cat, said]
            """)
        cluster.wait_for_run(run, "success")
        self.assertIn("--one-attempt", cluster.log(run, "bare"))
        self.assertEqual(cluster.log(run, "shell"), "it is ***, of 13 letters\n")
        self.assertIn("found-by-name", cluster.log(run, "reads"), "not masked: this attempt was not handed it")
        self.assertLessEqual({f"scheduler.{DOMAIN}", f"vault.{DOMAIN}"}, resolver.asked)


if __name__ == "__main__":
    unittest.main()
