"""A container runtime for one test: Podman's service on a socket, a storage and an image of its own.

The image is made of busybox alone: no registry is asked for anything.
"""

import json
import shutil
import subprocess
import tempfile
import unittest
import urllib.parse
from http.client import HTTPConnection
from pathlib import Path
from socket import AF_UNIX, socket
from typing import Any

from cluster import DEADLINE, wait_until

IMAGE = "localhost/chappe-test:1"
BUSYBOX = Path("/bin/busybox")
APPLETS = "sh cat chmod cp dd echo env false head id kill ls mkdir mount printf ps seq sleep tail touch true trap wc yes".split()


def missing() -> str:
    """Why this machine cannot run containers; "" where it can."""
    for program in ("podman", "runc", "catatonit"):
        if shutil.which(program) is None:
            return f"no {program}"
    return "" if BUSYBOX.exists() else "no static busybox"


class _OverSocket(HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("runtime", timeout=DEADLINE)
        self.path = path

    def connect(self) -> None:
        self.sock = socket(AF_UNIX)
        self.sock.settimeout(DEADLINE)
        self.sock.connect(str(self.path))


class Podman:
    """`close()` ends the service, and whatever was left in it."""

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="chappe-podman-"))
        self.socket = self.directory / "p.sock"
        self.words = ["podman", "--root", str(self.directory / "root"), "--runroot", str(self.directory / "run")]
        self.process: subprocess.Popen[bytes] | None = None
        self.log = (self.directory / "log").open("wb")

    @classmethod
    def of(cls, test: unittest.TestCase) -> "Podman":
        podman = cls()
        test.addCleanup(podman.close)
        podman.import_image()
        podman.start()
        return podman

    def import_image(self) -> None:
        root = self.directory / "image"
        for folder in ("bin", "etc", "tmp", "dev", "proc", "sys"):
            (root / folder).mkdir(parents=True)
        shutil.copy(BUSYBOX, root / "bin/busybox")
        for applet in APPLETS:
            (root / "bin" / applet).symlink_to("busybox")
        (root / "etc/passwd").write_text("root:x:0:0::/:/bin/sh\nworker:x:1234:1234::/:/bin/sh\n")
        tar = subprocess.Popen(["tar", "-C", str(root), "-c", "."], stdout=subprocess.PIPE)
        done = subprocess.run(
            [*self.words, "import", "--change", "ENV PATH=/bin", "-", IMAGE],
            stdin=tar.stdout, capture_output=True, text=True, timeout=DEADLINE,
        )
        if tar.wait() != 0 or done.returncode != 0:
            raise AssertionError(f"podman import: {done.stderr}")

    def start(self) -> None:
        self.process = subprocess.Popen(
            [*self.words, "system", "service", "--time=0", f"unix://{self.socket}"],
            stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL, start_new_session=True, cwd=self.directory,
        )
        wait_until("podman's service", self._answers)

    def _answers(self) -> bool:
        try:
            return self.call("GET", "/_ping")[0] == 200
        except OSError:
            return False

    def stop(self) -> None:
        """The service alone: containers go on without it."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
        self.socket.unlink(missing_ok=True)

    def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        connection = _OverSocket(self.socket)
        text = None if body is None else json.dumps(body)
        connection.request(method, path, text, {} if text is None else {"Content-Type": "application/json"})
        answer = connection.getresponse()
        said = answer.read()
        connection.close()
        try:
            return answer.status, json.loads(said)
        except ValueError:
            return answer.status, said.decode(errors="replace")

    def containers(self) -> list[dict[str, Any]]:
        """All of Chappe's, whether they run or not."""
        filters = urllib.parse.quote(json.dumps({"label": ["chappe.owner"]}))
        return self.call("GET", f"/containers/json?all=true&filters={filters}")[1]

    def running(self) -> list[dict[str, Any]]:
        return [each for each in self.containers() if each["State"] == "running"]

    def image_digest(self) -> str:
        image = self.call("GET", "/images/" + urllib.parse.quote(IMAGE, safe="") + "/json")[1]
        return image["RepoDigests"][0] if image.get("RepoDigests") else image["Id"]

    def close(self) -> None:
        if self.process is None:
            self.start()
        for each in self.call("GET", "/containers/json?all=true")[1]:
            self.call("DELETE", f"/containers/{each['Id']}?force=true")
        self.stop()
        self.log.close()
        # Layers may still be mounted beneath it.
        subprocess.run([*self.words, "system", "reset", "--force"], capture_output=True, timeout=DEADLINE)
        shutil.rmtree(self.directory, ignore_errors=True)
