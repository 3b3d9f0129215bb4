"""A Docker for one test, as tests/e2e/podman.py has a Podman: a daemon on a socket, a storage and an image of its own."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

from cluster import DEADLINE, wait_until
from podman import BUSYBOX, Podman, _OverSocket


def missing() -> str:
    """Why this machine cannot run Docker; "" where it can."""
    for program in ("dockerd", "containerd", "runc"):
        if shutil.which(program) is None:
            return f"no {program}"
    if os.getuid() != 0:
        return "only root starts a dockerd"
    return "" if BUSYBOX.exists() else "no static busybox"


class Docker(Podman):
    """Its containers are a child's of its own containerd; bridge and firewall of the machine are left alone."""

    def import_image(self, applets: tuple[str, ...] = ()) -> None:
        self.start()  # It imports by its API alone.
        super().import_image(applets)

    def import_folder(self, root: Path, image: str) -> None:
        tar = subprocess.run(["tar", "-C", str(root), "-c", "."], capture_output=True, check=True).stdout
        name, tag = image.rsplit(":", 1)
        connection = _OverSocket(self.socket)
        connection.request("POST", f"/images/create?fromSrc=-&repo={name}&tag={tag}&changes=ENV%20PATH%3D/bin", tar)
        answer = connection.getresponse()
        said = answer.read()
        connection.close()
        if answer.status != 200:
            raise AssertionError(f"docker import: {said!r}")

    def start(self) -> None:
        if self.process is not None:
            return
        settings = self.directory / "daemon.json"
        settings.write_text("{}\n")  # Not the machine's.
        self.process = subprocess.Popen(
            ["dockerd", f"--host=unix://{self.socket}", f"--data-root={self.directory}/root", f"--exec-root={self.directory}/run",
             f"--pidfile={self.directory}/pid", "--bridge=none", "--iptables=false", "--ip6tables=false", "--storage-driver=vfs",
             f"--config-file={settings}"],
            stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL, start_new_session=True, cwd=self.directory,
        )
        wait_until("dockerd", self._answers)

    def close(self) -> None:
        assert self.process is not None
        if self._answers():
            for each in self.call("GET", "/containers/json?all=true")[1]:
                self.call("DELETE", f"/containers/{each['Id']}?force=true")
        self.process.send_signal(signal.SIGTERM)  # It ends its containerd, and unmounts what it mounted.
        self.process.wait(DEADLINE)
        self.log.close()
        shutil.rmtree(self.directory, ignore_errors=True)
