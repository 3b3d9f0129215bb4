"""Answers one line of JSON with one: a graph of tasks that run `true` in a shell, carried out by Airflow. See peers.py.

As its documentation asks for: PostgreSQL, the local executor, scheduler, DAG processor and API server as processes of their own;
two tasks at a time, as everybody here has. All else is as it comes.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psycopg2

from peers import free_port

FINAL = ("success", "failed")
DAG = """
from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG
with DAG("{name}", schedule=None, is_paused_upon_creation=False, max_active_tasks=1000) as dag:
    tasks = [BashOperator(task_id=f"t{{i}}", bash_command="true") for i in range({size})]
    for i, upstream in enumerate({upstream}):
        for each in upstream:
            tasks[each] >> tasks[i]
"""


class Postgres:
    """A server in a directory of its own, which belongs to Debian's user for it: it runs as anybody but root."""

    def __init__(self) -> None:
        self.directory, self.port = Path(tempfile.mkdtemp(prefix="chappe-bench-")), free_port()
        self.programs = max(Path("/usr/lib/postgresql").iterdir(), key=lambda version: int(version.name)) / "bin"
        self.user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        if self.user:
            shutil.chown(self.directory, "postgres")
        self.call("initdb", "-D", str(self.directory / "data"), "-U", "airflow", "-A", "trust")
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self.directory}"
        self.call("pg_ctl", "-w", "-D", str(self.directory / "data"), "-l", str(self.directory / "log"), "-o", options, "start")
        self.call("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "airflow", "airflow")

    def call(self, program: str, *arguments: str) -> None:
        command = [*self.user, str(self.programs / program), *arguments]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=self.directory)

    def url(self, driver: str) -> str:
        return f"postgresql{driver}://airflow@127.0.0.1:{self.port}/airflow"

    def close(self) -> None:
        self.call("pg_ctl", "-D", str(self.directory / "data"), "-m", "immediate", "stop")
        shutil.rmtree(self.directory)


class Airflow:
    def __init__(self, directory: Path) -> None:
        self.dags, self.log = directory / "dags", directory / "log"
        self.dags.mkdir()
        self.database = Postgres()
        api = free_port()
        settings = {"AIRFLOW_HOME": str(directory), "AIRFLOW__CORE__DAGS_FOLDER": str(self.dags),
                    "AIRFLOW__CORE__EXECUTOR": "LocalExecutor", "AIRFLOW__CORE__PARALLELISM": "2",
                    "AIRFLOW__CORE__LOAD_EXAMPLES": "False", "AIRFLOW__API__PORT": str(api),
                    "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{api}/execution/",
                    "AIRFLOW__API_AUTH__JWT_SECRET": "of this run alone",
                    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": self.database.url("+psycopg2"),
                    "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "2"}
        self.environment = {**os.environ, **settings, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        self.call("db", "migrate")
        self.processes = [self.start(name) for name in ("api-server", "scheduler", "dag-processor")]
        self.connection = psycopg2.connect(self.database.url(""))
        self.connection.autocommit = True

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen(["airflow", *arguments], stdout=log, stderr=log, env=self.environment, start_new_session=True)

    def call(self, *arguments: str) -> None:
        if (code := self.start(*arguments).wait()) != 0:
            raise RuntimeError(f"airflow {' '.join(arguments)}: {code}\n{self.log.read_text()[-2000:]}")

    def ask(self, sql: str, *values: str) -> tuple[object, ...] | None:
        with self.connection.cursor() as cursor:
            cursor.execute(sql, values)
            return cursor.fetchone()

    def carry_out(self, upstream: list[list[int]], turn: int) -> float:
        """Seconds from when the run was queued to its end, as the database holds them: without submission."""
        name = f"dag_{turn}"
        (self.dags / f"{name}.py").write_text(DAG.format(name=name, size=len(upstream), upstream=upstream))
        while self.ask("SELECT 1 FROM serialized_dag WHERE dag_id = %s", name) is None:
            self.check()
        self.call("dags", "trigger", name)
        while (run := self.ask("SELECT state, extract(epoch FROM end_date - queued_at) FROM dag_run WHERE dag_id = %s", name)) is None \
                or run[0] not in FINAL:
            self.check()
        if run[0] != "success":
            raise RuntimeError(f"the run ended as {run[0]}\n{self.log.read_text()[-2000:]}")
        (self.dags / f"{name}.py").unlink()
        return float(run[1])

    def check(self) -> None:
        if any(process.poll() is not None for process in self.processes):
            raise RuntimeError(f"a part of Airflow has ended\n{self.log.read_text()[-2000:]}")
        time.sleep(0.2)

    def close(self) -> None:
        self.connection.close()
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
        self.database.close()


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # Whatever else prints is no answer.
    airflow = Airflow(Path.cwd())
    try:
        for turn, line in enumerate(sys.stdin):
            question = json.loads(line)
            answer = {"seconds": airflow.carry_out(question["upstream"], turn)} if question else {}
            print(json.dumps(answer), file=answers, flush=True)
    finally:
        airflow.close()


if __name__ == "__main__":
    main()
