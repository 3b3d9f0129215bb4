"""Who may know whom: docs/design/layers.md, CMakeLists.txt and every #include must tell the same story."""

import re
import unittest
from collections import defaultdict

import sources

unittest.TestCase.maxDiff = None

# A folder may know folders of lower levels only. The engine's folders and the tools (2.x) are ordered among themselves.
LEVELS = {
    "engine/base": 0.0,
    "engine/calendar": 1.0,
    "engine/expr": 1.05,
    "engine/lineage": 1.0,
    "engine/model": 1.1,
    "engine/placement": 1.2,
    "engine/run": 1.3,
    "engine/ports": 2.0,
    "proto/json": 2.1,
    "storage/digest": 2.1,
    "proto/http": 2.1,
    "proto/metrics": 2.1,
    "proto/chappe": 2.1,
    "dags/loader": 3.0,
    "proto/wire": 3.0,
    "dags/argo": 3.1,
    "storage/local": 3.1,
    "storage/s3": 3.1,
    "storage/sqlite": 3.1,
    "proto/transport": 3.1,
    "storage/open": 3.2,
    "worker/agent": 4.0,
    "worker/exec": 4.0,
    "worker/container": 4.05,
    "worker/data": 3.9,
    "worker/artifacts": 4.0,
    "worker/request": 4.0,
    "scheduler/quarantine": 3.9,
    "scheduler/api": 4.0,
    "scheduler/launch": 4.0,
    "scheduler/notify": 4.0,
    "worker/app": 4.1,
    "scheduler/app": 4.1,
    "cli/worker": 4.2,
    "cli": 4.3,
}

# Each third-party library is known to one folder. fmt and tl::expected belong to the language, as far as we go.
LIBRARIES = {
    "date": "engine/calendar",
    "zmq": "proto/transport",
    "google": "proto/wire",
    "nlohmann": "proto/json",
    "yaml-cpp": "dags/loader",
    "curl": "proto/http",
    "nettle": "storage/digest",
    "sqlite3": "storage/sqlite",
    "pugixml": "storage/s3",
    "archive": "worker/artifacts",
    "archive_entry": "worker/artifacts",
    "boost": "scheduler/api",
    "prometheus": "proto/metrics",
    "CLI": "cli",
    "spdlog": "cli/worker",
}
EVERYWHERE = {"fmt", "tl"}

# What a pure engine has no use for: clocks that tick, files, threads, chance, exceptions.
NOT_IN_THE_ENGINE = {
    "atomic", "barrier", "condition_variable", "exception", "filesystem", "fstream", "future", "iostream", "latch",
    "mutex", "random", "semaphore", "shared_mutex", "stdexcept", "stop_token", "system_error", "thread",
}


# Time zones are knowledge, like the length of February, but it stands in files of the machine: one file reads them.
READS_ZONES = "engine/calendar/zone_database.cc"


def known_through_cmake() -> dict[str, set[str]]:
    """From CMakeLists.txt: for each folder, the folders whose headers its library may include."""
    text = (sources.ROOT / "CMakeLists.txt").read_text()
    folders, links = {}, {}
    for library, folder, linked in re.findall(r"chappe_library\((\S+) (\S+)([^)]*)\)", text):
        folders[library] = folder
        links[library] = linked.split()
    folders["messages"] = "proto/chappe"

    def closure(library: str, seen: set[str]) -> set[str]:
        for linked in links.get(library, []):
            if linked in folders and linked not in seen:
                seen.add(linked)
                closure(linked, seen)
        return seen

    return {folders[library]: {folders[known] for known in closure(library, set())} for library in links}


def top_folder(header: str) -> str:
    """The folder of LEVELS that a header is in, or the header's own folder."""
    folder = header.rpartition("/")[0]
    return next((level for level in LEVELS if folder == level or folder.startswith(level + "/")), folder)


class Layers(unittest.TestCase):
    def test_libraries_link_lower_levels_only(self) -> None:
        wrong = [
            f"CMakeLists.txt: {folder} (level {LEVELS[folder]}) links {known} (level {LEVELS[known]})"
            for folder, all_known in known_through_cmake().items()
            for known in all_known
            if LEVELS[known] >= LEVELS[folder]
        ]
        self.assertEqual(wrong, [])

    def test_every_folder_with_sources_has_a_level(self) -> None:
        product = (path for path in sources.cpp() if sources.name(path).split("/")[0] not in ("tests", "bench"))
        unknown = {sources.folder(path) for path in product if top_folder(sources.name(path)) not in LEVELS}
        self.assertEqual(unknown, set())

    def test_headers_come_from_linked_libraries(self) -> None:
        known = known_through_cmake()
        wrong = []
        for path in sources.cpp():
            folder = top_folder(sources.name(path))
            for line, header, quoted in sources.includes(path):
                target = top_folder(header)
                if quoted and folder in known and target != folder and target not in known[folder]:
                    wrong.append(f"{sources.name(path)}:{line}: {folder} may not know {header}")
        self.assertEqual(wrong, [])

    def test_scheduler_and_worker_meet_in_proto(self) -> None:
        wrong = [
            f"{sources.name(path)}:{line}: includes {header}"
            for ours, theirs in (("scheduler", "worker/"), ("worker", "scheduler/"))
            for path in sources.beneath(ours, ".h", ".cc")
            for line, header, _ in sources.includes(path)
            if header.startswith(theirs)
        ]
        self.assertEqual(wrong, [])

    def test_quoted_headers_are_ours_and_named_from_the_root(self) -> None:
        wrong = [
            f"{sources.name(path)}:{line}: no such file: {header}"
            for path in sources.cpp()
            for line, header, quoted in sources.includes(path)
            if quoted and not header.endswith(".pb.h") and (".." in header or not (sources.ROOT / header).is_file())
        ]
        self.assertEqual(wrong, [])


class ThirdParties(unittest.TestCase):
    def test_each_library_is_known_to_one_folder(self) -> None:
        wrong = []
        for path in sources.cpp():
            folder = top_folder(sources.name(path))
            if folder.split("/")[0] in ("tests", "bench"):
                continue
            for line, header, quoted in sources.includes(path):
                library = header.split("/")[0].removesuffix(".hpp").removesuffix(".h")
                home = LIBRARIES.get(library, folder)
                if not quoted and folder != home and not folder.startswith(home + "/"):
                    wrong.append(f"{sources.name(path)}:{line}: {header} belongs to {LIBRARIES[library]}")
                if header.endswith(".pb.h") and folder != "proto/wire":
                    wrong.append(f"{sources.name(path)}:{line}: messages belong to proto/wire")
        self.assertEqual(wrong, [])

    def test_every_library_in_use_is_in_the_table(self) -> None:
        wrong = defaultdict(list)
        for path in sources.cpp():
            if sources.name(path).split("/")[0] in ("tests", "bench"):
                continue
            for line, header, quoted in sources.includes(path):
                library = header.split("/")[0].removesuffix(".hpp").removesuffix(".h")
                of_the_system = not header.endswith(".hpp") and (
                    "/" not in header or header.startswith(("sys/", "linux/", "netinet/", "arpa/", "net/", "asm/"))
                )
                if not (quoted or library in LIBRARIES or library in EVERYWHERE or of_the_system):
                    wrong[library].append(f"{sources.name(path)}:{line}")
        self.assertEqual(dict(wrong), {})


class Engine(unittest.TestCase):
    def test_knows_only_the_pure_part_of_the_standard_library(self) -> None:
        wrong = []
        for path in sources.beneath("engine", ".h", ".cc"):
            for line, header, quoted in sources.includes(path):
                pure = "." not in header and "/" not in header and header not in NOT_IN_THE_ENGINE
                zones = sources.name(path) == READS_ZONES and header.startswith("date/")
                if not (quoted or pure or zones or header.split("/")[0] in EVERYWHERE):
                    wrong.append(f"{sources.name(path)}:{line}: {header}")
        self.assertEqual(wrong, [])

    def test_reads_no_clock_and_throws_nothing(self) -> None:
        forbidden = re.compile(r"(_clock::now\(|\bthrow\b|\btime\(nullptr\)|\bgetenv\(|\bstd::rand\b|\bfopen\()")
        wrong = [
            f"{sources.name(path)}:{number}: {line.strip()}"
            for path in sources.beneath("engine", ".h", ".cc")
            if sources.name(path) != READS_ZONES
            for number, line in enumerate(path.read_text().splitlines(), 1)
            if forbidden.search(line.split("//")[0])
        ]
        self.assertEqual(wrong, [])


if __name__ == "__main__":
    unittest.main()
