"""A container runtime for one test: Podman's service on a socket, a storage and an image of its own.

The image is made of busybox alone: no registry is asked for anything.
"""

import fcntl
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import unittest
import urllib.parse
from http.client import HTTPConnection
from pathlib import Path
from socket import AF_UNIX, socket
from typing import Any

from cluster import DEADLINE, chappe_binary, wait_until

IMAGE = "localhost/chappe-test:1"
BUSYBOX = Path("/bin/busybox")
APPLETS = "sh cat chmod cp dd echo env false head id kill ls mkdir mount printf ps seq sleep tail touch true trap wc yes".split()


def missing() -> str:
    """Why this machine cannot run containers; "" where it can."""
    for program in ("podman", "runc", "catatonit"):
        if shutil.which(program) is None:
            return f"no {program}"
    return "" if BUSYBOX.exists() else "no static busybox"


def no_debian() -> str:
    """Why this machine cannot run a Debian in containers; "" where it can."""
    if shutil.which("mmdebstrap") is None:
        return "no mmdebstrap"
    return missing() or ("" if os.getuid() == 0 else "only root makes a Debian")


def debian(name: str, *packages: str, index: bool = False) -> Path:
    """A small Debian 12 with these packages, as an archive for `podman import`; the first test makes it, others wait for that
    and later ones find it. `index`: with the index of all packages, as `apt-get update` leaves it."""
    kept = Path(chappe_binary()).parent / f"{name}.tar"
    with kept.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            part = kept.with_suffix(".part.tar")
            command = ["mmdebstrap", "--quiet", "--variant=apt", f"--include={','.join(packages)}"]
            command += ["--skip=cleanup/apt/lists"] if index else []
            subprocess.run([*command, "bookworm", str(part)], check=True, timeout=900)
            part.rename(kept)
    return kept


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
        # Without a --tmpdir of its own, one podman takes another's start for the machine's, and removes what it knows of ends.
        self.words = ["podman", "--root", str(self.directory / "root"), "--runroot", str(self.directory / "run"),
                      "--tmpdir", str(self.directory / "tmp")]
        self.process: subprocess.Popen[bytes] | None = None
        self.log = (self.directory / "log").open("wb")
        # What it gives by itself may be more than a machine allows.
        settings = self.directory / "containers.conf"
        settings.write_text('[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]\n')
        os.environ["CONTAINERS_CONF"] = str(settings)

    @classmethod
    def of(cls, test: unittest.TestCase, *applets: str) -> "Podman":
        """`applets`: of busybox, beside the usual ones."""
        podman = cls()
        test.addCleanup(podman.close)
        podman.import_image(applets)
        podman.start()
        return podman

    def import_image(self, applets: tuple[str, ...] = ()) -> None:
        root = self.directory / "image"
        for folder in ("bin", "etc", "tmp", "dev", "proc", "sys"):
            (root / folder).mkdir(parents=True)
        shutil.copy(BUSYBOX, root / "bin/busybox")
        for applet in (*APPLETS, *applets):
            (root / "bin" / applet).symlink_to("busybox")
        (root / "tmp").chmod(0o1777)
        (root / "etc/passwd").write_text("root:x:0:0::/:/bin/sh\nworker:x:1234:1234::/:/bin/sh\n")
        self.import_folder(root, IMAGE)

    def import_archive(self, tar: Path, image: str) -> None:
        subprocess.run([*self.words, "import", "--quiet", str(tar), image], check=True, capture_output=True, timeout=5 * DEADLINE)

    def import_folder(self, root: Path, image: str) -> None:
        """An image of one layer: what is in the folder."""
        tar = subprocess.Popen(["tar", "-C", str(root), "-c", "."], stdout=subprocess.PIPE)
        done = subprocess.run(
            [*self.words, "import", "--change", "ENV PATH=/bin", "-", image],
            stdin=tar.stdout, capture_output=True, text=True, timeout=2 * DEADLINE,
        )
        if tar.wait() != 0 or done.returncode != 0:
            raise AssertionError(f"podman import: {done.stderr}")

    def import_awscli(self, image: str) -> None:
        """The awscli of the Python that runs this, as /bin/aws in an image that has nothing else but busybox."""
        root = self.directory / "awscli"
        shutil.copytree(self.directory / "image", root, symlinks=True)
        stdlib = Path(sysconfig.get_paths()["stdlib"])
        waste = shutil.ignore_patterns("site-packages", "test", "tests", "__pycache__", "idlelib", "ensurepip", "config-*",
                                       "lib2to3", "turtledemo", "tkinter", "*.a")
        shutil.copytree(stdlib, root / "python/lib" / stdlib.name, ignore=waste)
        packages = root / "python/lib" / stdlib.name / "site-packages"
        packages.mkdir()
        for name in ("awscli", "botocore", "s3transfer", "dateutil", "urllib3", "jmespath", "docutils", "yaml", "colorama",
                     "rsa", "pyasn1", "six"):
            found = importlib.util.find_spec(name)
            if found is None or found.origin is None:
                raise AssertionError(f"this Python has no {name}")
            source = Path(found.origin)
            if source.name == "__init__.py":
                shutil.copytree(source.parent, packages / name, ignore=shutil.ignore_patterns("__pycache__", "examples"))
            else:
                shutil.copy(source, packages)
        program = Path(sys.executable).resolve()
        (root / "python/bin").mkdir()
        shutil.copy(program, root / "python/bin/python3")
        needed = [program, *(root / "python").rglob("*.so")]
        said = subprocess.run(["ldd", *map(str, needed)], capture_output=True, text=True).stdout
        for library in set(re.findall(r"(?:=> |^\s+)(/\S+)", said, re.M)):
            at = root / library.lstrip("/")
            at.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(library, at)
        (root / "bin/aws").write_text("#!/bin/sh\nexport PYTHONHOME=/python\n"
                                      'exec /python/bin/python3 -m awscli "$@"\n')
        (root / "bin/aws").chmod(0o755)
        self.import_folder(root, image)

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

    def image_digest(self, image_name: str = IMAGE) -> str:
        image = self.call("GET", "/images/" + urllib.parse.quote(image_name, safe="") + "/json")[1]
        return image["RepoDigests"][0] if image.get("RepoDigests") else image["Id"]

    def close(self) -> None:
        if self.process is None:
            self.start()
        for each in self.call("GET", "/containers/json?all=true")[1]:
            self.call("DELETE", f"/containers/{each['Id']}?force=true")
        self.stop()
        self.log.close()
        # Layers may still be mounted beneath it.
        subprocess.run([*self.words, "system", "reset", "--force"], capture_output=True, timeout=5 * DEADLINE)
        shutil.rmtree(self.directory, ignore_errors=True)
