"""The images as they are built from their Containerfiles, and the quick start of deploy/podman, run from its one command.

No registry is asked: what they are made from is a Debian that mmdebstrap makes, once for a build directory.
"""

import json
import os
import shutil
import subprocess
import unittest
import urllib.error
import urllib.request
from pathlib import Path

import podman
from cluster import ROOT, chappe_binary, free_port
from podman import Podman

TIMEOUT = 1800  # Seconds, for CTest: images install packages, four times as slowly where much else goes on.
BASE = "localhost/debian:12"
POD = "chappe-quickstart-test"
HELLO = """
name: hello
tasks:
  - id: make
    foreach: {items: [a, b, c, d], max_parallel: 4}
    run: id -u; echo "$CHAPPE_TASK" > out
    outputs: {artifacts: [{name: out, path: out, asset: {uri: "hello/${{ key }}"}}]}
  - {id: look, depends_on: [make], run: 'test -z "${CHAPPE_TOKEN:-}"'}
"""


def missing() -> str:
    for program in ("dpkg-deb", "iptables"):
        if shutil.which(program) is None:
            return f"no {program}"
    return podman.no_debian()


@unittest.skipIf(missing(), f"SKIPPED: {missing()}: neither images nor the quick start were tried")
class QuickStart(unittest.TestCase):
    def setUp(self) -> None:
        self.podman, self.port = Podman(), free_port()
        self.addCleanup(self.podman.close)
        self.run_podman("import", str(podman.debian("debian-12", "ca-certificates")), BASE)
        # A tree with the package of the command under test.
        self.tree = self.podman.directory / "tree"
        shutil.copytree(ROOT / "deploy", self.tree / "deploy")
        package = self.tree / "build" / "release"
        config = Path(chappe_binary()).parent / "CPackConfig.cmake"
        self.say(["cpack", "-G", "DEB", "--config", str(config), "-B", str(package)])
        shutil.rmtree(package / "_CPack_Packages")

    def say(self, command: list[str], code: int = 0, text: str | None = None) -> str:
        settings = {"PODMAN": " ".join(self.podman.words), "CHAPPE_BASE": BASE, "CHAPPE_POD": POD}
        done = subprocess.run(command, capture_output=True, text=True, input=text, timeout=TIMEOUT, cwd=self.podman.directory,
                              env={**os.environ, **settings, "CHAPPE_PORT": str(self.port)})
        self.assertEqual(done.returncode, code, f"{command}:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
        return done.stdout

    def run_podman(self, *words: str, code: int = 0) -> str:
        return self.say([*self.podman.words, *words], code)

    def quickstart(self, *words: str, text: str | None = None) -> str:
        return self.say([str(self.tree / "deploy/podman/quickstart"), *words], text=text)

    def status(self, token: str) -> int:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/api/v1/workers", headers={"Authorization": f"Bearer {token}"})
        try:
            return urllib.request.urlopen(request, timeout=30).status
        except urllib.error.HTTPError as refused:
            return refused.code

    def test_one_command_brings_a_cluster_up_and_one_takes_it_away(self) -> None:
        """One test, as images take longer to build than to look at."""
        token = self.quickstart("up").strip().splitlines()[-1]
        self.addCleanup(self.run_podman, "pod", "rm", "--force", "--ignore", POD)
        with self.subTest("images"):
            self.check_images()
        with self.subTest("a health check can say no"):
            self.check_a_worker_without_a_scheduler_is_not_healthy()
        with self.subTest("the API is on this machine, for who has the token"):
            self.assertEqual((self.status(token), self.status("wrong")), (200, 401))
        with self.subTest("a run"):
            self.quickstart("chappe", "submit", "--wait", "/dev/stdin", text=HELLO)
            self.check_the_run()
        with self.subTest("again: what there was is still there"):
            self.assertEqual(self.quickstart("up").strip().splitlines()[-1], token)
            self.check_the_run()
        with self.subTest("nothing is left"):
            self.quickstart("down", "--volumes")
            self.assertEqual(self.run_podman("ps", "--all", "--quiet"), "")
            self.assertEqual(self.run_podman("pod", "ls", "--quiet"), "")
            self.assertEqual(self.run_podman("volume", "ls", "--quiet"), "")
            self.assertEqual(self.run_podman("secret", "ls", "--quiet"), "")

    def check_images(self) -> None:
        for name, user in (("scheduler", "10001:10001"), ("worker", "10001:10001"), ("s3", "10002:10002")):
            (image,) = json.loads(self.run_podman("image", "inspect", f"localhost/chappe-{name}"))
            self.assertEqual(image["User"], user, name)
            self.assertIn("Test", image["HealthCheck" if "HealthCheck" in image else "Healthcheck"], name)
            if name != "s3":
                self.assertEqual(image["Labels"]["org.opencontainers.image.title"], "chappe")
                self.assertEqual(image["Labels"]["org.opencontainers.image.licenses"], "Apache-2.0")
        version = subprocess.run([chappe_binary(), "version"], capture_output=True, text=True, check=True).stdout
        once = ["run", "--rm", "--network", "none", "--read-only", "--user", "65532", "--entrypoint"]
        self.assertEqual(self.run_podman(*once, "chappe", "localhost/chappe-worker", "version"), version)
        # What Kubernetes' init container does, as it does it: with no rights and nothing to write to but a volume.
        copied = self.run_podman(*once, "sh", "--tmpfs", "/out:mode=1777", "localhost/chappe-worker", "-c",
                                 "chappe-worker --copy-to /out/w && /out/w --version && ! touch /usr/x 2>/dev/null")
        self.assertIn(version.strip(), copied)

    def check_a_worker_without_a_scheduler_is_not_healthy(self) -> None:
        name = f"{POD}-alone"
        self.run_podman("run", "--detach", "--name", name, "--network", "none", "localhost/chappe-scheduler")
        self.addCleanup(self.run_podman, "rm", "--force", "--ignore", "--volumes", name)
        self.run_podman("exec", name, "sh", "-c", "until [ -e /var/lib/chappe/keys/worker.key ]; do sleep 0.1; done")
        self.run_podman("exec", "--detach", name, "chappe", "worker", "--scheduler", "tcp://127.0.0.1:9", "--metrics-listen",
                        "127.0.0.1:7332")
        check = json.loads(self.run_podman("image", "inspect", "localhost/chappe-worker"))[0]
        words = (check.get("HealthCheck") or check["Healthcheck"])["Test"][1:]
        words[-1] = "until exec 3<>/dev/tcp/127.0.0.1/7332; do sleep 0.1; done 2>/dev/null; " + words[-1]
        self.run_podman("exec", "--env", "CHAPPE_WORKER_METRICS_LISTEN=127.0.0.1:7332", name, *words, code=1)
        self.run_podman("rm", "--force", "--volumes", name)

    def check_the_run(self) -> None:
        (run,) = json.loads(self.quickstart("chappe", "runs", "--output", "json"))["items"]
        self.assertEqual(run["state"], "success")
        shown = json.loads(self.quickstart("chappe", "show", run["id"], "--output", "json"))
        self.assertEqual(len({task["worker"] for task in shown["tasks"] if task["name"].startswith("make")}), 2)
        self.assertEqual(self.quickstart("chappe", "logs", run["id"], "make[a]"), "10001\n")
        objects = self.run_podman("exec", f"{POD}-s3", "find", "/srv/objects/disks", "-name", "*.data").splitlines()
        self.assertGreaterEqual(len(objects), 4)


if __name__ == "__main__":
    unittest.main()
