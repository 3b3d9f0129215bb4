"""What a run came to, read from the store and the object store after all daemons are gone; and the laws it must keep."""

import collections
import contextlib
import hashlib
import sqlite3
from pathlib import Path
from typing import Any

SUCCESS = 7  # task_states in storage/sqlite/schema.cc.


def open_store(state: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{state / 'chappe.db'}?mode=ro", uri=True)


def sha256_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


class EndState:
    """Of one run. `problems` is empty where nothing was lost and nothing was committed twice."""

    def __init__(self, state: Path, run: str, objects: Path) -> None:
        self.problems: list[str] = []
        self.objects = objects
        with contextlib.closing(open_store(state)) as store:
            self.seq, self.state, instances = self._one(
                store, "SELECT r.seq, s.name, r.instances FROM runs r JOIN run_states s ON s.id = r.state WHERE r.id = ?", run
            )
            self._check_pages(store)
            self._check_tasks(store, instances)
            self.outputs = self._outputs(store)
            self.values = self._values(store)
            self.assets = self._assets(store)

    def _one(self, store: sqlite3.Connection, query: str, *values: Any) -> Any:
        (row,) = store.execute(query, values).fetchall()
        return row

    def _of_run(self, column: str) -> str:
        return f"{column} BETWEEN {self.seq << 32} AND {(self.seq << 32) + 0xFFFFFFFF}"

    def _check_pages(self, store: sqlite3.Connection) -> None:
        (verdict,) = self._one(store, "PRAGMA integrity_check")
        if verdict != "ok":
            self.problems.append(f"integrity_check: {verdict}")

    def _check_tasks(self, store: sqlite3.Connection, instances: int) -> None:
        """Every instance has one attempt that succeeded: its last."""
        tasks = store.execute(f"SELECT id, state, attempt, message FROM tasks WHERE {self._of_run('id')}").fetchall()
        earlier = store.execute(
            f"SELECT task, attempt, reason, attempt_no, started_at_us FROM earlier_attempts WHERE {self._of_run('task')}"
        ).fetchall()
        self.started_in_vain = sum(started != 0 for *_, started in earlier)
        self.winners = {task: attempt for task, _, attempt, _ in tasks}
        if len(tasks) != instances:
            self.problems.append(f"{len(tasks)} task rows of {instances} instances")
        for task, state, _, message in tasks:
            if state != SUCCESS:
                self.problems.append(f"task {task & 0xFFFFFFFF} is in state {state}: {message}")
        for task, attempt, reason, number, _ in earlier:
            if reason == 0:
                self.problems.append(f"task {task & 0xFFFFFFFF}: attempt {number} succeeded, and a later one did too")
            if attempt == self.winners.get(task):
                self.problems.append(f"task {task & 0xFFFFFFFF}: attempt {number} stands twice")

    def _outputs(self, store: sqlite3.Connection) -> dict[tuple[int, str], str]:
        """Hash of each artifact by (position, name): recorded once, by the attempt that won, and its bytes are there."""
        rows = store.execute(
            f"SELECT task, attempt, name, object_key, sha256 FROM artifacts WHERE {self._of_run('task')}"
        ).fetchall()
        found: dict[tuple[int, str], str] = {}
        for task, attempt, name, key, sha256 in rows:
            where = (task & 0xFFFFFFFF, name)
            if where in found:
                self.problems.append(f"artifact {where} is recorded twice")
            if attempt != self.winners[task]:
                self.problems.append(f"artifact {where} is not of the attempt that won")
            if sha256_of(self.objects / "objects" / key) != sha256:
                self.problems.append(f"artifact {where}: the object holds other bytes")
            found[where] = sha256
        return found

    def _values(self, store: sqlite3.Connection) -> dict[tuple[int, str], str]:
        rows = store.execute(
            f"SELECT task, attempt, name, value FROM task_values WHERE {self._of_run('task')}"
        ).fetchall()
        counts = collections.Counter((task, name) for task, _, name, _ in rows)
        self.problems += [f"value {where} is recorded {times} times" for where, times in counts.items() if times > 1]
        self.problems += [f"a value of task {task & 0xFFFFFFFF} is not of the attempt that won"
                          for task, attempt, _, _ in rows if attempt != self.winners[task]]
        return {(task & 0xFFFFFFFF, name): value for task, _, name, value in rows}

    def _assets(self, store: sqlite3.Connection) -> dict[str, str]:
        """Hash of each asset by URI: one version, published, and the URI shows its bytes."""
        rows = store.execute(
            "SELECT uri, producer, attempt, sha256, published_at_us FROM asset_versions"
            f" WHERE {self._of_run('producer')}"
        ).fetchall()
        found: dict[str, str] = {}
        for uri, producer, attempt, sha256, published in rows:
            if uri in found:
                self.problems.append(f"{uri} has two versions")
            if attempt != self.winners[producer]:
                self.problems.append(f"{uri} is not of the attempt that won")
            if published == 0:
                self.problems.append(f"{uri} was never published")
            if sha256_of(self.objects / "assets" / uri) != sha256:
                self.problems.append(f"{uri} shows other bytes than its version has")
            found[uri] = sha256
        return found

    def same_as(self, other: "EndState") -> bool:
        """Outputs and values; of assets the hashes, in the order of their URIs, which may name the run."""
        def by_uri(assets: dict[str, str]) -> list[str]:
            return [sha256 for _, sha256 in sorted(assets.items())]

        return (self.state, self.outputs, self.values, by_uri(self.assets)) == (
            other.state, other.outputs, other.values, by_uri(other.assets))
