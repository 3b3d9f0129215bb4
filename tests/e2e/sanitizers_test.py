"""That a sanitizer's report fails a test which knows nothing of it, and that tests/sanitizers.txt lists what there is."""

import os
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from cluster import ROOT, chappe_binary
from sanitizers import LIST, reason_to_skip, setting

SANITIZER = setting("CHAPPE_SANITIZE")
FOUND = {
    "address,undefined": {"leak": "detected memory leaks", "overflow": "signed integer overflow", "freed": "heap-use-after-free"},
    "thread": {"race": "data race"},
}
CARELESS = """
import os, subprocess, unittest
class Careless(unittest.TestCase):
  def test_it(self):
    subprocess.run(os.environ["PLANTED"].split(), stderr=subprocess.DEVNULL)
"""


class List(unittest.TestCase):
    def test_it_names_sanitizers_and_tests_that_there_are_with_a_reason(self) -> None:
        sources = "".join(file.read_text() for file in (ROOT / "tests").rglob("*_test.cc"))
        known = {f"{suite}.{name}" for suite, name in re.findall(r"^TEST\w*\((\w+), (\w+)\)", sources, re.M)}
        for folder in ("e2e", "faults"):
            for file in (ROOT / "tests" / folder).glob("*_test.py"):
                name = ""
                for line in file.read_text().splitlines():
                    if found := re.match(r"class (\w+)\(|    def (test_\w+)\(", line):
                        name = found[1] or name
                        known.add(f"{folder}.{name}.{found[2]}")
        for line in LIST.read_text().splitlines():
            if line and not line.startswith("#"):
                sanitizer, name, reason = line.split(None, 2)
                self.assertIn(sanitizer, ("address", "thread"), line)
                self.assertTrue(any(reason_to_skip(each, sanitizer) == reason for each in known), f"no such test: {name}")


@unittest.skipUnless(SANITIZER, "SKIPPED: a build without sanitizers has no reports")
class Reports(unittest.TestCase):
    def run_beside(self, wish: str) -> subprocess.CompletedProcess[str]:
        """A test that passes whatever becomes of the program that it starts."""
        folder = tempfile.TemporaryDirectory(prefix="chappe-planted-")
        self.addCleanup(folder.cleanup)
        (Path(folder.name) / "careless_test.py").write_text(CARELESS)
        name = f"careless-{os.getpid()}-{wish}"
        planted = Path(chappe_binary()).parent / "tests" / "planted"
        done = subprocess.run(
            [sys.executable, "-B", ROOT / "tests/e2e/sanitizers.py", "python", name, "careless_test.Careless.test_it"],
            capture_output=True, text=True, cwd=folder.name, env={**os.environ, "PLANTED": f"{planted} {wish}"},
        )
        for each in (Path(chappe_binary()).parent / "reports").glob(f"{name}.*"):
            each.unlink()  # Or the whole suite would fail for it.
        return done

    def test_what_a_process_does_wrong_fails_a_test_that_does_not_look_at_it(self) -> None:
        for wish, told in FOUND[SANITIZER].items():
            with self.subTest(wish):
                done = self.run_beside(wish)
                self.assertIn(told, done.stderr)
                self.assertEqual(done.returncode, 1)

    def test_a_process_that_does_nothing_wrong_fails_nothing(self) -> None:
        done = self.run_beside("nothing")
        self.assertEqual(done.returncode, 0, done.stderr)


if __name__ == "__main__":
    unittest.main()
