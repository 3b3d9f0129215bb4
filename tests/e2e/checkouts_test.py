"""`--dags` in a git checkout: what git pulls, switches and swaps is deployed at once, and not while git is at work."""

import json
import os
import shutil
import subprocess
import unittest
from pathlib import Path

from cluster import Cluster, wait_until


def dag(name: str, schedule: str) -> str:
    return f"{{name: {name}, schedule: '{schedule}', tasks: [{{id: t, noop: true}}]}}"


@unittest.skipUnless(shutil.which("git"), "git is not installed")
class Checkouts(unittest.TestCase):
    def setUp(self) -> None:
        self.cluster = Cluster.of(self)
        self.origin = self.cluster.directory / "origin"
        self.git(self.cluster.directory, "init", "--quiet", "--initial-branch", "main", str(self.origin))
        self.commit({"dags/a.yaml": dag("a", "@daily")})

    def git(self, where: Path, *arguments: str) -> str:
        environment = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null",
                       "GIT_AUTHOR_NAME": "ann", "GIT_AUTHOR_EMAIL": "ann@example.org",
                       "GIT_COMMITTER_NAME": "ann", "GIT_COMMITTER_EMAIL": "ann@example.org"}
        return subprocess.run(["git", "-C", str(where), *arguments], check=True, capture_output=True, text=True,
                              env=environment).stdout.strip()

    def commit(self, files: dict[str, str]) -> str:
        """Of these files, in the origin; the new commit."""
        for name, text in files.items():
            (self.origin / name).parent.mkdir(parents=True, exist_ok=True)
            (self.origin / name).write_text(text)
        self.git(self.origin, "add", "--all")
        self.git(self.origin, "commit", "--quiet", "--message", "more")
        return self.git(self.origin, "rev-parse", "HEAD")

    def clone(self) -> Path:
        checkout = self.cluster.directory / "checkout"
        self.git(self.cluster.directory, "clone", "--quiet", str(self.origin), str(checkout))
        return checkout

    def dags(self) -> dict[str, dict]:
        shown = self.cluster.chappe("dags", "--output", "json", "--state-dir", str(self.cluster.state)).stdout
        return {each["name"]: each for each in json.loads(shown)["items"] if each["deployed"]}

    def wait_for(self, **schedules: str) -> None:
        wait_until("the checkout to be deployed", lambda: {name: each["schedule"] for name, each in self.dags().items()},
                   lambda seen: seen == schedules)

    def test_what_is_pulled_is_deployed(self) -> None:
        checkout = self.clone()
        first = self.git(checkout, "rev-parse", "HEAD").strip()
        self.cluster.start_scheduler("--dags", str(checkout / "dags"))
        self.wait_for(a="@daily")
        self.assertEqual(self.dags()["a"]["commit"], first)
        second = self.commit({"dags/a.yaml": dag("a", "@weekly"), "dags/team/b.yaml": dag("b", "@hourly")})
        self.git(checkout, "pull", "--quiet")
        self.wait_for(a="@weekly", b="@hourly")
        self.assertEqual({name: each["commit"] for name, each in self.dags().items()},
                         {"a": second.strip(), "b": second.strip()})
        self.git(checkout, "reset", "--quiet", "--hard", "HEAD~1")
        self.wait_for(a="@daily")
        self.assertEqual(self.dags()["a"]["commit"], first)

    def test_a_link_that_is_swapped_changes_all_files_at_once(self) -> None:
        """As git-sync does: a worktree for each commit, and a link to the newest."""
        root = self.cluster.directory / "sync"
        root.mkdir()
        for number, text in enumerate((dag("a", "@daily"), dag("a", "@weekly"))):
            self.commit({"dags/a.yaml": text, "number": str(number)})
            self.git(self.origin, "worktree", "add", "--quiet", "--detach", str(root / f"rev-{number}"))
        (root / "current").symlink_to("rev-0")
        self.cluster.start_scheduler("--dags", str(root / "current/dags"))
        self.wait_for(a="@daily")
        origin = self.dags()["a"]["origin"]
        (root / "next").symlink_to("rev-1")
        (root / "next").rename(root / "current")
        self.wait_for(a="@weekly")
        self.assertEqual(self.dags()["a"]["origin"], origin, "it is the same file")

    def test_nothing_is_read_while_git_is_at_work(self) -> None:
        checkout = self.clone()
        self.cluster.start_scheduler("--dags", str(checkout / "dags"))
        self.wait_for(a="@daily")
        lock = checkout / ".git/index.lock"
        lock.touch()
        (checkout / "dags/a.yaml").write_text(dag("half", "@daily"))
        (checkout / "dags/a.yaml").write_text(dag("a", "@monthly"))
        lock.unlink()
        self.wait_for(a="@monthly")
        shown = self.cluster.chappe("dags", "--output", "json", "--state-dir", str(self.cluster.state)).stdout
        self.assertNotIn("half", shown)


if __name__ == "__main__":
    unittest.main()
