"""The Debian package: what is in it, and that it works out of its own tree."""

import re
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from cluster import ROOT, chappe_binary

DEBIAN = ROOT / "deploy" / "debian"


def run(*command: str, **options: object) -> str:
    done = subprocess.run(command, capture_output=True, text=True, **options)
    if done.returncode != 0:
        raise AssertionError(f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done.stdout


@unittest.skipIf(
    shutil.which("dpkg-deb") is None or shutil.which("systemd-analyze") is None,
    "SKIPPED: no dpkg-deb or no systemd-analyze: the package was not built",
)
class Package(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.directory = Path(tempfile.mkdtemp(prefix="chappe-package-"))
        cls.addClassCleanup(shutil.rmtree, cls.directory, ignore_errors=True)
        build = Path(chappe_binary()).parent
        run("cpack", "-G", "DEB", "--config", str(build / "CPackConfig.cmake"), "-B", str(cls.directory))
        (cls.package,) = cls.directory.glob("chappe_*.deb")
        cls.root = cls.directory / "root"
        run("dpkg-deb", "--extract", str(cls.package), str(cls.root))
        run("dpkg-deb", "--control", str(cls.package), str(cls.directory / "control"))

    def test_it_is_whole(self) -> None:
        """One test: it takes longer to build the package than to look at it."""
        for name in [name for name in dir(self) if name.startswith("check_")]:
            with self.subTest(name):
                getattr(self, name)()

    def check_its_command_runs(self) -> None:
        told = run(str(self.root / "usr/bin/chappe"), "version")
        self.assertEqual(told.strip(), run("dpkg-deb", "--field", str(self.package), "Version").strip())

    def check_it_names_what_it_needs(self) -> None:
        depends = run("dpkg-deb", "--field", str(self.package), "Depends")
        for library in ("libfmt9", "libcurl4", "libstdc++6", "tzdata", "ca-certificates"):
            self.assertIn(library, depends)

    def check_its_settings_are_read_and_kept_at_an_upgrade(self) -> None:
        self.assertEqual((self.directory / "control/conffiles").read_text(), "/etc/chappe/chappe.yaml\n")
        file = self.root / "etc/chappe/chappe.yaml"
        told = run(chappe_binary(), "--config", str(file), "config", "show", "--origin")
        self.assertRegex(told, r"scheduler.dags +/etc/chappe/dags +\S+chappe.yaml:\d+\n")

    def check_its_scripts_are_scripts_that_a_shell_reads(self) -> None:
        for script in ("postinst", "prerm", "postrm"):
            file = self.directory / "control" / script
            self.assertTrue(file.stat().st_mode & 0o111, script)
            run("sh", "-n", str(file))

    def check_systemd_takes_its_units(self) -> None:
        for unit in sorted(self.root.glob("lib/systemd/system/*.service")):
            # What they name is not installed here: in this tree.
            text = unit.read_text().replace("/usr/bin/chappe", str(self.root / "usr/bin/chappe"))
            mine = self.directory / unit.name
            mine.write_text(re.sub(r"^Documentation=.*\n", "", text, flags=re.M))
            told = subprocess.run(["systemd-analyze", "verify", str(mine)], capture_output=True, text=True)
            self.assertEqual((told.returncode, told.stderr), (0, ""), unit.name)

    def check_its_manual_page_names_every_command(self) -> None:
        page = (self.root / "usr/share/man/man1/chappe.1").read_text().replace("\\-", "-")
        help_text = run(chappe_binary(), "--help")
        commands = re.findall(r"^  ([a-z-]+) +\S", help_text.split("Subcommands:")[1], re.M)
        self.assertGreater(len(commands), 20)
        self.assertEqual([command for command in commands if not re.search(rf"\b{command}\b", page)], [])

    def complete(self, *words: str) -> list[str]:
        script = (
            f"source {self.root}/usr/share/bash-completion/completions/chappe; COMP_WORDS=({' '.join(words)} '');"
            f"COMP_WORDS[{len(words) - 1}]={words[-1]!r}; COMP_CWORD={len(words) - 1}; _chappe; echo ${{COMPREPLY[@]}}"
        )
        path = f"{Path(chappe_binary()).parent}:/usr/bin:/bin"
        return run("bash", "-c", script, env={"PATH": path, "HOME": str(self.directory)}).split()

    def check_a_shell_completes_commands_and_options(self) -> None:
        self.assertIn("retry", self.complete("chappe", "re"))
        self.assertEqual(self.complete("chappe", "token", ""), ["create", "list", "revoke"])
        self.assertEqual(self.complete("chappe", "runs", "--sta"), ["--state"])
        file = self.directory / "fine.yaml"
        file.write_text("{name: fine, tasks: [{id: one, noop: true}]}")
        run(chappe_binary(), "run", str(file), env={"PATH": "/usr/bin:/bin", "HOME": str(self.directory)})
        self.assertEqual(self.complete("chappe", "trigger", "f"), ["fine"])
        self.assertEqual(self.complete("chappe", "mark", "l"), ["latest"])
