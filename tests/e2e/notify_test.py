"""People are told: by a web hook, e-mail and a program, whatever dies or is away meanwhile."""

import base64
import email
import json
import socketserver
import ssl
import stat
import subprocess
import threading
import unittest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cluster import Cluster, chappe_binary, free_port, wait_until


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


class Authority:
    """Signs for servers that are called localhost; trusted by nobody but those who are told."""

    def __init__(self, directory: Path, name: str, server: str = "localhost") -> None:
        self.ca, self.key, self.certificate = (directory / f"{name}{end}" for end in (".ca", ".key", ".crt"))
        ca_key, request, names = (directory / f"{name}{end}" for end in (".ca.key", ".csr", ".names"))
        new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        names.write_text(f"subjectAltName=DNS:{server}\n")
        self.openssl("req", "-x509", *new_key, "-days", "2", "-subj", f"/CN={name}", "-keyout", ca_key, "-out", self.ca)
        self.openssl("req", *new_key, "-subj", f"/CN={server}", "-keyout", self.key, "-out", request)
        self.openssl("x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", ca_key, "-CAcreateserial", "-days", "2",
                     "-extfile", names, "-out", self.certificate)

    @staticmethod
    def openssl(*words: object) -> None:
        subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True, timeout=30)

    def context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        return context


class MailServer:
    """As much of SMTP as a client needs; refuses mail to nobody@. With `tls` it speaks nothing else; with `starttls` it
    offers TLS, and counts what it was told before."""

    def __init__(self, tls: ssl.SSLContext | None = None, starttls: ssl.SSLContext | None = None) -> None:
        self.got: list[tuple[list[str], str]] = []
        self.logins: list[str] = []
        self.in_the_open: list[str] = []
        mails = self.got
        server = self

        class Handler(socketserver.StreamRequestHandler):
            def setup(self) -> None:
                self.secure = False
                super().setup()

            def handle(self) -> None:
                try:
                    if tls is not None:
                        self.speak_by(tls)
                    self.talk()
                except (ssl.SSLError, ConnectionError):
                    pass  # Who does not trust this server hangs up.

            def speak_by(self, context: ssl.SSLContext) -> None:
                self.secure = True
                self.request = context.wrap_socket(self.request, server_side=True)
                super().setup()

            def talk(self) -> None:
                self.say("220 ready")
                to: list[str] = []
                while line := self.rfile.readline().decode().strip():
                    verb = line[:4].upper()
                    if verb == "EHLO":
                        self.say("250-here" if self.secure or starttls is None else "250-STARTTLS")
                        self.say("250 AUTH PLAIN" if self.secure else "250 SIZE")
                        continue
                    if verb == "STAR":
                        self.say("220 go on")
                        self.speak_by(starttls)
                        continue
                    if not self.secure:
                        server.in_the_open.append(line)
                    if verb == "AUTH":
                        self.say("334 ")
                        server.logins.append(base64.b64decode(self.rfile.readline()).decode())
                        self.say("235 well")
                        continue
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
        scheme, host = ("smtp", "127.0.0.1") if tls is None and starttls is None else ("smtps" if tls else "smtp", "localhost")
        self.url = f"{scheme}://{host}:{self.server.server_address[1]}"
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

    def mail_by_tls(self, server: MailServer, ca: Path | None) -> dict[str, object]:
        """What became of a mail that goes out with a login: sent, or why the first try failed."""
        self.addCleanup(server.close)
        login = self.cluster.directory / "login"
        login.write_text("ann:geheim\n")
        self.options += ["--smtp", server.url, "--mail-from", "chappe@example.org", "--smtp-login", str(login)]
        if ca is not None:
            self.options += ["--smtp-ca-file", str(ca)]
        self.start()
        self.run_dag("{on: [failure], email: [owner]}")
        first = wait_until("a try", lambda: self.cluster.get("/api/v1/notifications")["items"][0],
                           lambda seen: seen["tries"] or seen["state"] != "pending")
        self.assertNotIn("geheim", json.dumps(first) + self.scheduler.said())
        return first

    def test_mail_goes_by_tls_to_a_server_whose_signer_is_known(self) -> None:
        authority = Authority(self.cluster.directory, "ours")
        server = MailServer(tls=authority.context())
        self.assertEqual(self.mail_by_tls(server, authority.ca)["state"], "sent")
        self.assertEqual(([to for to, _ in server.got], server.logins), ([["<ann@example.org>"]], ["\0ann\0geheim"]))

    def test_starttls_comes_before_the_login(self) -> None:
        authority = Authority(self.cluster.directory, "ours")
        server = MailServer(starttls=authority.context())
        self.assertEqual(self.mail_by_tls(server, authority.ca)["state"], "sent")
        self.assertEqual((server.logins, server.in_the_open), (["\0ann\0geheim"], []))

    def test_a_server_that_another_signed_for_gets_nothing(self) -> None:
        authority = Authority(self.cluster.directory, "theirs")
        ours = Authority(self.cluster.directory, "ours")
        server = MailServer(tls=authority.context())
        first = self.mail_by_tls(server, ours.ca)
        self.assertEqual((first["state"], server.got, server.logins), ("pending", [], []))
        self.assertIn("certificate", str(first["told"]).lower())

    def test_a_server_of_another_name_gets_nothing(self) -> None:
        authority = Authority(self.cluster.directory, "ours", "mail.example.org")
        server = MailServer(starttls=authority.context())
        first = self.mail_by_tls(server, authority.ca)
        self.assertEqual((first["state"], server.got, server.logins, server.in_the_open), ("pending", [], [], []))

    def test_a_server_whose_signer_nobody_named_gets_nothing(self) -> None:
        server = MailServer(tls=Authority(self.cluster.directory, "ours").context())
        first = self.mail_by_tls(server, None)
        self.assertEqual((first["state"], server.got, server.logins), ("pending", [], []))

    def test_dags_that_do_not_say_who_is_told_have_the_schedulers_default(self) -> None:
        hook = self.hook()
        server = MailServer()
        self.addCleanup(server.close)
        default = self.cluster.directory / "notify.yaml"
        default.write_text("""
notify:
  - {on: [failure, recovered], webhook: "${{ secrets.chat }}"}
  - {on: [failure], email: [owner]}
""")
        self.options += ["--notify-default", str(default), "--smtp", server.url, "--mail-from", "chappe@example.org"]
        self.start()

        def submit(name: str, state: str, more: str = "") -> None:
            command = "exit 3" if state == "failed" else "true"
            self.cluster.wait_for_run(self.cluster.submit(f"""
                name: {name}
                owner: ann@example.org
                {more}
                tasks:
                  - {{id: work, run: "{command}"}}
                """), state)

        submit("silent", "failed", "notify: []")
        submit("plain", "failed")
        self.told("sent", 2)
        self.assertEqual([(one["dag"], one["notice"]) for one in hook.got], [("plain", "failure")])
        self.assertEqual([to for to, _ in server.got], [["<ann@example.org>"]])
        # What came to a DAG is known after a restart, too.
        self.scheduler.kill()
        self.scheduler = self.cluster.start_scheduler(*self.options)
        submit("plain", "success")
        self.told("sent", 3)
        self.assertEqual([(one["dag"], one["notice"]) for one in hook.got][1:], [("plain", "recovered")])

    def test_a_default_with_mistakes_is_told_at_the_start(self) -> None:
        default = self.cluster.directory / "notify.yaml"
        default.write_text("notify:\n  - {on: [failed], email: [owner]}\n")
        said = subprocess.run([chappe_binary(), "scheduler", "--state-dir", str(self.cluster.state), "--notify-default", str(default)],
                              capture_output=True, text=True, timeout=30, check=False)
        self.assertNotEqual(said.returncode, 0)
        self.assertIn(f"{default}:2:11: error: 'on' is one of failure", said.stderr)

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
