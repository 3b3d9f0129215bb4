"""The files of the project, as the tidy tests look at them."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCE_FOLDERS = ("engine", "dags", "proto", "storage", "scheduler", "worker", "cli", "tests", "bench")


def beneath(folder: str, *endings: str) -> list[Path]:
    """Files beneath a folder of the project whose names end so, in a stable order."""
    return sorted(path for path in (ROOT / folder).rglob("*") if path.is_file() and path.name.endswith(endings))


def cpp() -> list[Path]:
    return [path for folder in SOURCE_FOLDERS for path in beneath(folder, ".h", ".cc")]


def written() -> list[Path]:
    """Everything that people read: sources, scripts, DAGs, pages."""
    pages = [path for path in ROOT.iterdir() if path.is_file() and path.suffix in (".md", ".txt", ".json")]
    folders = SOURCE_FOLDERS + ("scripts", "docs", "cmake", "deploy", ".ci")
    return pages + [
        path for folder in folders for path in beneath(folder, "") if path.suffix != ".pyc" and is_text(path)
    ]


def is_text(path: Path) -> bool:
    return b"\0" not in path.read_bytes()[:8192]


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def folder(path: Path) -> str:
    return path.parent.relative_to(ROOT).as_posix()


def includes(path: Path) -> list[tuple[int, str, bool]]:
    """(line, what, quoted) of each #include."""
    found = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if match := re.match(r'\s*#\s*include\s*(["<])([^">]+)[">]', line):
            found.append((number, match[2], match[1] == '"'))
    return found
