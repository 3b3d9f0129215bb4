"""How files are written: heads, sizes, words, links, formatting."""

import re
import shutil
import subprocess
import unittest

import sources

unittest.TestCase.maxDiff = None

# The ratchets: today's exceptions. They may shrink and go; nothing may be added without a reason in the commit.
FILE_LINES_MAX = 500
TEST_LINES_MAX = 800  # A test file is a list of stories; one does not need the other.
LONG_FILES: dict[str, int] = {}
FUNCTION_LINES_MAX = 80
LONG_FUNCTIONS: dict[str, int] = {}

# Written as a pattern that does not find itself.
UNFINISHED = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")
PLACES = re.compile(r"(?<![\w.])/(work|home|root|Users)/")
VAGUE_NAMES = {"common", "util", "utils", "helper", "helpers", "misc", "src"}


def functions(text: str) -> list[tuple[str, int, int]]:
    """(first line's text, number, lines) of what starts and ends in the first column: our format's free functions."""
    found, start = [], None
    for number, line in enumerate(text.splitlines(), 1):
        if start is None:
            opens = line.endswith("{") and line[:1].strip() and not line.startswith(("namespace", "extern", "}"))
            if opens and not re.match(r"(struct|class|enum|union|inline constexpr|constexpr|const|static const)\b", line):
                start = (line, number)
        elif line == "}":
            found.append((start[0], start[1], number - start[1] + 1))
            start = None
        elif line.startswith("}"):
            start = None
    return found


class Heads(unittest.TestCase):
    def test_headers_say_what_they_are_for(self) -> None:
        wrong = [
            sources.name(path)
            for path in sources.cpp()
            if path.suffix == ".h" and not path.read_text().startswith("/// \\file\n/// ")
        ]
        self.assertEqual(wrong, [])

    def test_headers_are_included_once(self) -> None:
        wrong = [
            sources.name(path)
            for path in sources.cpp()
            if path.suffix == ".h" and "\n#pragma once\n" not in path.read_text()
        ]
        self.assertEqual(wrong, [])


class Sizes(unittest.TestCase):
    def test_files_stay_short(self) -> None:
        lengths = {sources.name(path): len(path.read_text().splitlines()) for path in sources.cpp()}
        long = {
            name: lines
            for name, lines in lengths.items()
            if lines > LONG_FILES.get(name, TEST_LINES_MAX if name.startswith("tests/") else FILE_LINES_MAX)
        }
        self.assertEqual(long, {}, "split them: two ideas share a file")

    def test_functions_stay_short(self) -> None:
        long = {}
        for path in sources.cpp():
            for head, number, lines in functions(path.read_text()):
                key = f"{sources.name(path)}: {head.rstrip(' {')}"
                if lines > LONG_FUNCTIONS.get(key, FUNCTION_LINES_MAX):
                    long[f"{key} (line {number})"] = lines
        self.assertEqual(long, {})

    def test_exceptions_are_still_needed(self) -> None:
        lengths = {sources.name(path): len(path.read_text().splitlines()) for path in sources.cpp()}
        gone = [name for name, lines in LONG_FILES.items() if lengths.get(name, 0) != lines]
        heads = {
            f"{sources.name(path)}: {head.rstrip(' {')}": lines
            for path in sources.cpp()
            for head, _, lines in functions(path.read_text())
        }
        gone += [key for key, lines in LONG_FUNCTIONS.items() if heads.get(key, 0) != lines]
        self.assertEqual(gone, [], "the ratchet: write down the new, smaller number, or take the line out")


class Words(unittest.TestCase):
    def each_line(self):
        for path in sources.written():
            for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
                yield sources.name(path), number, line

    def test_nothing_is_left_for_later(self) -> None:
        wrong = [f"{name}:{number}: {line.strip()}" for name, number, line in self.each_line() if UNFINISHED.search(line)]
        self.assertEqual(wrong, [])

    def test_no_path_of_one_machine(self) -> None:
        wrong = [f"{name}:{number}: {line.strip()}" for name, number, line in self.each_line() if PLACES.search(line)]
        self.assertEqual(wrong, [])

    def test_nothing_has_a_vague_name(self) -> None:
        wrong = [
            sources.name(path)
            for path in sources.written()
            if VAGUE_NAMES & {part.partition(".")[0] for part in path.relative_to(sources.ROOT).parts}
        ]
        self.assertEqual(wrong, [])

    def test_tests_wait_by_condition(self) -> None:
        """A rest is fine inside a loop that looks at something and has a deadline."""
        sleep = re.compile(r"\b(sleep_for|sleep_until|usleep|nanosleep|sleep)\(")
        wrong = []
        python = [path for folder in ("tests/e2e", "tests/faults") for path in sources.beneath(folder, ".py")]
        for path in [*sources.beneath("tests", ".cc", ".h"), *python]:
            lines = path.read_text().splitlines()
            for number, line in enumerate(lines):
                near = " ".join(lines[max(0, number - 6) : number + 1])
                if sleep.search(line) and not re.search(r"\b(while|for)\b", near):
                    wrong.append(f"{sources.name(path)}:{number + 1}: {line.strip()}")
        self.assertEqual(wrong, [], "poll a condition with a deadline")


class Pages(unittest.TestCase):
    def test_links_lead_somewhere(self) -> None:
        wrong = []
        for page in [*sources.ROOT.glob("*.md"), *sources.beneath("docs", ".md")]:
            for target in re.findall(r"\]\(([^)#\s]+)", page.read_text()):
                if not re.match(r"[a-z]+:", target) and not (page.parent / target).exists():
                    wrong.append(f"{sources.name(page)}: {target}")
        self.assertEqual(wrong, [])

    def test_the_manual_names_every_key_of_the_language(self) -> None:
        keys = "".join((sources.ROOT / "dags/loader" / name).read_text() for name in ("keys.h", "keys_of_tests.h"))
        page = (sources.ROOT / "docs/guide/dag-file.md").read_text()
        known = {key for words in re.findall(r"k\w+Known\[\] = \{(.*?)\}", keys, re.S) for key in re.findall(r'"(\w+)"', words)}
        self.assertGreater(len(known), 60)
        self.assertEqual({key for key in known if not re.search(rf"\b{key}\b", page)}, set())

    def test_the_manual_names_every_variable_that_a_task_finds(self) -> None:
        code = (sources.ROOT / "worker/app/environment.cc").read_text()
        page = (sources.ROOT / "docs/guide/dag-file.md").read_text()
        variables = set(re.findall(r'"(CHAPPE_[A-Z_]+[A-Z])"', code))
        self.assertGreater(len(variables), 10)
        self.assertEqual({name for name in variables if f"`{name}`" not in page}, set())

    def test_scripts_that_are_named_exist(self) -> None:
        wrong = []
        for page in [*sources.ROOT.glob("*.md"), *sources.beneath("docs", ".md")]:
            for script in re.findall(r"\bscripts/[a-z][\w-]*", page.read_text()):
                if not (sources.ROOT / script).is_file():
                    wrong.append(f"{sources.name(page)}: {script}")
        self.assertEqual(wrong, [])


class Format(unittest.TestCase):
    def test_sources_are_formatted(self) -> None:
        if shutil.which("clang-format-14") is None:
            self.skipTest("clang-format-14 is not installed: scripts/install-deps")
        command = ["clang-format-14", "--dry-run", *map(sources.name, sources.cpp())]
        said = subprocess.run(command, capture_output=True, text=True, cwd=sources.ROOT, check=True).stderr
        wrong = sorted({line.split(":")[0] for line in said.splitlines() if "warning: code should be" in line})
        self.assertEqual(wrong, [], "scripts/format --all")


if __name__ == "__main__":
    unittest.main()
