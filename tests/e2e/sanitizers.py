"""Tests beneath a sanitizer, as CTest starts them in a build with CHAPPE_SANITIZE:

  sanitizers.py python NAME MODULE.CLASS.TEST       a test of Python
  sanitizers.py program PROGRAM --gtest_filter=NAME...     one of GoogleTest
  sanitizers.py empty FOLDER, sanitizers.py show FOLDER    before and after all of them; `show` fails where a report is left

Skips what tests/sanitizers.txt says cannot be had there. What a sanitizer finds in any process of the test, it writes to a
file of the test's name, and the test fails though nobody missed that process: cmake/sanitizer_options.cc.in.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

LIST = Path(__file__).resolve().parents[1] / "sanitizers.txt"
VARIABLES = ("ASAN_OPTIONS", "LSAN_OPTIONS", "TSAN_OPTIONS", "UBSAN_OPTIONS")
FILTER = "--gtest_filter="
SHOWN_MAX = 8000  # Characters of a report.


def build_of(program: str) -> Path:
    """Where a program of ours was built; the program's folder where that cannot be told."""
    folders = Path(program).absolute().parents
    return next((each for each in folders if (each / "CMakeCache.txt").exists()), folders[0])


def setting(name: str, program: str = os.environ.get("CHAPPE", "")) -> str:
    """What the build that the program is from says of it; "" where that cannot be told."""
    cache = build_of(program) / "CMakeCache.txt"
    found = re.search(rf"^{name}:\w+=(.*)$", cache.read_text(), re.M) if cache.exists() else None
    return found[1] if found else ""


def memory_bound(size: int) -> float:
    """Of a daemon of ours; none in a build with a sanitizer, which has memory of its own and keeps what was freed."""
    return float("inf") if setting("CHAPPE_SANITIZE") else size


def reason_to_skip(test: str, sanitizer: str) -> str:
    """What the list says of the test, whose name there may end with *; "" where it is to run."""
    for line in LIST.read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        beneath, name, reason = line.split(None, 2)
        if beneath in sanitizer.split(",") and (test == name or (name.endswith("*") and test.startswith(name[:-1]))):
            return reason
    return ""


def show(reports: list[Path]) -> int:
    """The exit code."""
    for each in reports:
        print(f"---- {each}\n{each.read_text(errors='replace')[:SHOWN_MAX]}", file=sys.stderr)
    return 1 if reports else 0


def run(name: str, program: str, command: list[str]) -> int:
    """One test by its name, of the build that the program is from."""
    if reason := reason_to_skip(name, setting("CHAPPE_SANITIZE", program)):
        print(f"SKIPPED: {reason}\nOK (skipped=1)\n[  SKIPPED ] {name}")  # As either kind says it.
        return 0
    report = build_of(program) / "reports" / name.replace("/", "_")
    for variable in VARIABLES:
        os.environ[variable] = ":".join(filter(None, (os.environ.get(variable), f"log_path={report}")))
    code = subprocess.run(command).returncode
    return show(sorted(report.parent.glob(f"{report.name}.*"))) or (1 if code else 0)


def run_program(program: str, words: list[str]) -> int:
    (name,) = [word.removeprefix(FILTER) for word in words if word.startswith(FILTER)] or [""]
    if "--gtest_list_tests" in words:
        os.execv(program, [program, *words])
    return run(name, program, [program, *words])


def main() -> int:
    kind, first, *rest = sys.argv[1:]
    if kind == "empty":
        for each in Path(first).iterdir():
            each.unlink()
        return 0
    if kind == "show":
        return show(sorted(Path(first).iterdir()))
    if kind == "program":
        return run_program(first, rest)
    return run(first, os.environ["CHAPPE"], [sys.executable, "-B", "-m", "unittest", "-v", *rest])


if __name__ == "__main__":
    sys.exit(main())
