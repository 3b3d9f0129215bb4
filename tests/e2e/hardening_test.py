"""What is built into the command: the compiler's and the linker's protections, looked for in the file itself."""

import re
import shutil
import subprocess
import unittest
from pathlib import Path

from cluster import Cluster, chappe_binary
from sanitizers import setting


@unittest.skipIf(shutil.which("readelf") is None, "SKIPPED: no readelf: the command's protections were not looked at")
@unittest.skipIf(bool(setting("CHAPPE_SANITIZE")), "SKIPPED: a build with sanitizers has their protections instead")
class Hardening(unittest.TestCase):
    def readelf(self, *options: str) -> str:
        command = ["readelf", "--wide", *options, chappe_binary()]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def test_it_is_loaded_at_a_random_address(self) -> None:
        self.assertRegex(self.readelf("--file-header"), r"Type:\s+DYN \(Position-Independent Executable file\)")

    def test_its_tables_are_bound_at_start_and_read_only_then(self) -> None:
        self.assertIn("GNU_RELRO", self.readelf("--program-headers"))
        self.assertRegex(self.readelf("--dynamic"), r"\((FLAGS|FLAGS_1)\).*NOW")

    def test_no_memory_is_both_written_and_run(self) -> None:
        segments = self.readelf("--program-headers")
        self.assertRegex(segments, r"GNU_STACK(?:\s+0x[0-9a-f]+)+\s+RW\s", "the stack")
        self.assertNotRegex(segments, r"LOAD(?:\s+0x[0-9a-f]+)+\s+RWE", "no segment")
        self.assertNotIn("TEXTREL", self.readelf("--dynamic"))

    def test_it_looks_for_libraries_where_the_system_has_them(self) -> None:
        self.assertNotRegex(self.readelf("--dynamic"), r"\((RPATH|RUNPATH)\)")

    def test_its_stack_frames_are_guarded(self) -> None:
        self.assertIn("__stack_chk_fail", self.readelf("--dyn-syms"))

    def test_an_optimized_build_checks_sizes_where_it_copies(self) -> None:
        if setting("CMAKE_BUILD_TYPE") != "Release":
            self.skipTest("SKIPPED: only an optimized build has these checks")
        self.assertRegex(self.readelf("--dyn-syms"), r"__mem\w+_chk")


class Memory(unittest.TestCase):
    def test_the_schedulers_memory_with_its_keys_goes_into_no_core_file(self) -> None:
        cluster = Cluster.of(self)
        scheduler = cluster.start_scheduler().process.pid
        limits = Path(f"/proc/{scheduler}/limits").read_text()
        self.assertRegex(limits, r"Max core file size\s+0\s+0")
        cluster.start_worker()
        run = cluster.submit("{name: limits, tasks: [{id: a, run: ulimit -c}]}")
        cluster.wait_for_run(run, "success")
        expected = subprocess.run(["sh", "-c", "ulimit -c"], capture_output=True, text=True, check=True).stdout
        self.assertEqual(cluster.log(run, "a"), expected, "tasks may leave one as before")


if __name__ == "__main__":
    unittest.main()
