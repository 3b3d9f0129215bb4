"""One test beneath a sanitizer: `sanitizers.py NAME MODULE.CLASS.TEST`, as CTest starts it in a build with CHAPPE_SANITIZE.
Around all of them: `sanitizers.py --empty FOLDER`, and `--show FOLDER`, which fails where a report is left.

Skips what tests/sanitizers.txt says cannot be had there. What a sanitizer finds in any process of the test, it writes to a
file of the test's name, and the test fails though nobody missed that process: cmake/sanitizer_options.cc.in.
"""

import os
import re
import sys
import unittest
from pathlib import Path

LIST = Path(__file__).resolve().parents[1] / "sanitizers.txt"
VARIABLES = ("ASAN_OPTIONS", "LSAN_OPTIONS", "TSAN_OPTIONS", "UBSAN_OPTIONS")
SHOWN_MAX = 8000  # Characters of a report.


def setting(name: str) -> str:
    """What the build that CHAPPE is from says of it; "" where that cannot be told."""
    cache = Path(os.environ.get("CHAPPE", "")).parent / "CMakeCache.txt"
    found = re.search(rf"^{name}:\w+=(.*)$", cache.read_text(), re.M) if cache.exists() else None
    return found[1] if found else ""


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


def run(name: str, test: str) -> int:
    if reason := reason_to_skip(name, setting("CHAPPE_SANITIZE")):
        print(f"SKIPPED: {reason}\nOK (skipped=1)")
        return 0
    folder = Path(os.environ["CHAPPE"]).parent / "reports"
    for variable in VARIABLES:
        os.environ[variable] = ":".join(filter(None, (os.environ.get(variable), f"log_path={folder / name}")))
    sys.path.insert(0, os.getcwd())
    passed = unittest.main(None, argv=[sys.argv[0], "-v", test], exit=False).result.wasSuccessful()
    return show(sorted(folder.glob(f"{name}.*"))) or (0 if passed else 1)


def main() -> int:
    first, second = sys.argv[1:]
    if first == "--empty":
        for each in Path(second).iterdir():
            each.unlink()
        return 0
    return show(sorted(Path(second).iterdir())) if first == "--show" else run(first, second)


if __name__ == "__main__":
    sys.exit(main())
