"""People are told: by a web hook, e-mail and a program, whatever dies or is away meanwhile."""

import base64
import email
import json
import socketserver
import stat
import threading
import unittest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cluster import Cluster, free_port, wait_until


class WebHook:
    """A receiver of JSON; answers with `status`."""

    def __init__(self, port: int = 0) -> None:
        self.got: list[dict[str, object]] = []
        self.status = 200
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                hook.got.append({"path": self.path, "type": self.headers["Content-Type"], **body})
                self.send_response(hook.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/hook?key=geheim"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class MailServer:
    """As much of SMTP as a client needs; refuses mail to nobody@."""

    def __init__(self) -> None:
        self.got: list[tuple[list[str], str]] = []
        mails = self.got

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                self.say("220 ready")
                to: list[str] = []
                while line := self.rfile.readline().decode().strip():
                    verb = line[:4].upper()
                    if verb == "RCPT":
                        if "nobody@" in line:
                            self.say("550 no such person")
                            continue
                        to.append(line.partition(":")[2].split()[0])
                    if verb == "DATA":
                        self.say("354 go on")
                        text = ""
                        while (part := self.rfile.readline().decode()) != ".\r\n":
                            text += part
                        mails.append((to, text))
                    self.say("221 bye" if verb == "QUIT" else "250 well")

            def say(self, text: str) -> None:
                self.wfile.write(text.encode() + b"\r\n")

        self.server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"smtp://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class Notify(unittest.TestCase):
    def setUp(self) -> None:
        self.cluster = Cluster.of(self)
        self.secrets = self.cluster.directory / "secrets"
        self.secrets.mkdir()
        self.options = ["--notify-secrets", str(self.secrets)]

    def start(self) -> None:
        self.scheduler = self.cluster.start_scheduler(*self.options)
        self.cluster.start_worker()

    def hook(self, port: int = 0) -> WebHook:
        hook = WebHook(port)
        self.addCleanup(hook.close)
        (self.secrets / "chat").write_text(hook.url + "\n")
        return hook

    def run_dag(self, notify: str, command: str = "exit 3", state: str = "failed") -> str:
        run = self.cluster.submit(f"""
            name: told
            owner: ann@example.org
            notify:
              - {notify}
            tasks:
              - {{id: work, run: "{command}"}}
            """)
        self.cluster.wait_for_run(run, state)
        return run

    def told(self, state: str, count: int = 1) -> list[dict[str, object]]:
        """The notifications, once so many are in this state."""

        def look() -> list[dict[str, object]]:
            return self.cluster.get("/api/v1/notifications")["items"]

        return wait_until(f"{count} to be {state}", look, lambda all: sum(n["state"] == state for n in all) >= count)

    def test_a_web_hook_hears_of_failures_and_of_the_first_success_after(self) -> None:
        hook = self.hook()
        self.start()
        notify = '{on: [failure, recovered], webhook: "${{ secrets.chat }}"}'
        run = self.run_dag(notify)
        self.told("sent")
        self.run_dag(notify, "true", "success")
        self.told("sent", 2)
        self.run_dag(notify, "true", "success")
        self.assertEqual([one["notice"] for one in hook.got], ["failure", "recovered"])
        failure = hook.got[0]
        self.assertEqual((failure["dag"], failure["run"], failure["type"]), ("told", run, "application/json"))
        self.assertEqual(failure["path"], "/hook?key=geheim")
        self.assertIn(f"told {run}: failed; tasks: work", failure["text"])
        listed = self.cluster.chappe("notifications", "list", "--state", "sent", "--state-dir", str(self.cluster.state)).stdout
        self.assertIn("recovered", listed)
        for text in (self.scheduler.said(), json.dumps(self.told("sent", 2))):
            self.assertNotIn("geheim", text)

    def test_an_e_mail_goes_to_the_owner(self) -> None:
        server = MailServer()
        self.addCleanup(server.close)
        self.options += ["--smtp", server.url, "--mail-from", "chappe@example.org"]
        self.start()
        run = self.run_dag("{on: [failure], email: [owner, bob@example.org]}", state="failed")
        self.told("sent")
        ((to, text),) = server.got
        self.assertEqual(to, ["<ann@example.org>", "<bob@example.org>"])
        mail = email.message_from_string(text)
        subject = "".join(part.decode(code or "ascii") for part, code in email.header.decode_header(mail["Subject"]))
        self.assertTrue(subject.startswith(f"[chappe] told {run}: failed"), subject)
        self.assertIn("tasks: work", base64.b64decode(mail.get_payload()).decode())
        self.assertEqual((mail["From"], mail["To"]), ("chappe@example.org", "ann@example.org, bob@example.org"))
        self.run_dag("{on: [failure], email: [nobody@example.org]}")
        (refused,) = [one for one in self.told("given_up") if one["state"] == "given_up"]
        self.assertIn("550", str(refused["told"]))

    def test_a_program_of_the_operators_reads_it_and_no_other_runs(self) -> None:
        program = self.cluster.directory / "page"
        seen = self.cluster.directory / "seen"
        program.write_text(f'#!/bin/sh\necho "$1" > {seen}\ncat >> {seen}\n')
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        self.options += ["--notify-command", f"page={program}"]
        self.start()
        self.run_dag("{on: [failure], command: [page, 'two words']}")
        self.told("sent")
        first, body = seen.read_text().splitlines()
        self.assertEqual((first, json.loads(body)["notice"]), ("two words", "failure"))
        self.run_dag("{on: [failure], command: [/bin/sh, -c, 'touch /tmp/x']}")
        (refused,) = [one for one in self.told("given_up") if one["state"] == "given_up"]
        self.assertIn("--notify-command", str(refused["told"]))

    def test_nothing_is_lost_while_the_receiver_is_away_and_the_scheduler_dies(self) -> None:
        port = free_port()
        (self.secrets / "chat").write_text(f"http://127.0.0.1:{port}/hook")
        self.start()
        run = self.run_dag('{on: [failure], webhook: "${{ secrets.chat }}"}')
        wait_until("a try", lambda: self.cluster.get("/api/v1/notifications")["items"][0]["tries"])
        self.scheduler.kill()
        hook = self.hook(port)
        self.scheduler = self.cluster.start_scheduler(*self.options)
        self.told("sent")
        self.assertEqual([one["run"] for one in hook.got], [run])
        self.scheduler.kill()
        self.scheduler = self.cluster.start_scheduler(*self.options)
        self.run_dag('{on: [failure], webhook: "${{ secrets.chat }}"}')
        self.told("sent", 2)
        self.assertEqual(len(hook.got), 2)

    def test_many_at_once_become_a_summary(self) -> None:
        hook = self.hook()
        self.start()
        checks = "\n".join(f'              - {{id: c{i}, check: {{metric: {{expr: "1 > 2"}}}}}}' for i in range(15))
        run = self.cluster.submit(f"""
            name: many
            notify:
              - {{on: [gate], webhook: "${{{{ secrets.chat }}}}"}}
            tasks:
{checks}
            """)
        self.cluster.wait_for_run(run, "failed")
        self.told("sent", 10)
        states = [one["state"] for one in self.cluster.get("/api/v1/notifications")["items"]]
        self.assertEqual((states.count("sent"), states.count("pending")), (10, 5))
        self.assertEqual(len(hook.got), 10)


if __name__ == "__main__":
    unittest.main()
