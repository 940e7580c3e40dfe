"""Messages by mail, through a real SMTP conversation; what systemd is told; and the end."""

from __future__ import annotations

import asyncio
import os
import smtplib
import socket
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import pytest

from daemon.operating import NotifySettings
from daemon.upkeep import sdnotify
from daemon.upkeep.channels import Mail, channels_of

_OWN = "own"  # stands for this process: the names of tests must not change from run to run


class Mailbox(socketserver.ThreadingTCPServer):
    """A mail server that knows no TLS and keeps what it was given."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Conversation)
        self.received: list[bytes] = []
        self.asked: list[str] = []

    @property
    def port(self) -> int:
        return int(self.server_address[1])


class _Conversation(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        assert isinstance(self.server, Mailbox)
        self.say("220 mailbox")
        while line := self.rfile.readline().decode().strip():
            self.server.asked.append(line)
            match line.split(" ")[0].upper():
                case "EHLO":
                    self.say("250-mailbox\r\n250 8BITMIME")
                case "DATA":
                    self.say("354 go on")
                    self.server.received.append(self.letter())
                    self.say("250 kept")
                case "QUIT":
                    self.say("221 bye")
                    return
                case _:
                    self.say("250 well")

    def letter(self) -> bytes:
        lines: list[bytes] = []
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            lines.append(line.removeprefix(b"."))
        return b"".join(lines)

    def say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with Mailbox() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def settings(mailbox: Mailbox, *, tls: bool) -> NotifySettings:
    return NotifySettings(
        smtp_host="127.0.0.1",
        smtp_port=mailbox.port,
        smtp_tls=tls,
        mail_from="almanac@example.org",
        mail_to=("ann@example.org", "bob@example.org"),
    )


def send(channel: Mail, subject: str) -> None:
    asyncio.run(channel.send("promotion", subject, {"version": 3, "by": "Zoë"}, key="k"))


def test_a_mail_says_what_happened_to_everybody(mailbox: Mailbox) -> None:
    (channel,) = channels_of(settings(mailbox, tls=False))
    assert isinstance(channel, Mail)
    send(channel, "Version 3 is in production\r\nBcc: everybody@example.org")
    (content,) = mailbox.received
    letter = message_from_bytes(content, policy=default)
    assert letter["Subject"] == "[almanac] Version 3 is in production Bcc: everybody@example.org"
    assert letter["Bcc"] is None, "a subject is data from strangers and adds no line"
    assert letter["To"] == "ann@example.org, bob@example.org"
    assert letter["X-Almanac-Kind"] == "promotion"
    assert "version: 3\nby: Zoë" in letter.get_content().replace("\r\n", "\n")
    recipients = [line for line in mailbox.asked if line.upper().startswith("RCPT")]
    assert len(recipients) == 2


def test_a_server_without_tls_gets_nothing_when_tls_is_asked_for(mailbox: Mailbox) -> None:
    with pytest.raises(smtplib.SMTPNotSupportedError):
        send(Mail(settings(mailbox, tls=True)), "Version 3 is in production")
    assert mailbox.received == []


# -- sd_notify ------------------------------------------------------------------------------------


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """Stands for systemd's end of the socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield listening


def test_systemd_is_told_line_by_line(manager: socket.socket) -> None:
    assert sdnotify.notify(READY="1", STATUS="all: running")
    assert manager.recv(500) == b"READY=1\nSTATUS=all: running"


def test_without_systemd_nobody_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert not sdnotify.notify(READY="1")


@pytest.mark.parametrize(
    ("usec", "pid", "every_s"),
    [
        ("120000000", "", 60.0),
        ("120000000", _OWN, 60.0),
        ("120000000", "1", None),  # it is another process that is watched
        ("", "", None),
    ],
)
def test_the_watchdog_is_fed_twice_as_often_as_it_looks(
    monkeypatch: pytest.MonkeyPatch, usec: str, pid: str, every_s: float | None
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", usec)
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()) if pid == _OWN else pid)
    assert sdnotify.watchdog_s() == every_s


def test_children_do_not_speak_for_the_service(
    manager: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "1")
    assert not {"NOTIFY_SOCKET", "WATCHDOG_USEC"} & set(sdnotify.environment())


_LEAVING = """
import asyncio, logging, time
from daemon.stopping import leave
async def main():
    asyncio.get_running_loop().run_in_executor(None, time.sleep, 60)
    await asyncio.sleep(0.1)
    logging.getLogger().warning("drained")
    leave()
asyncio.run(main())
"""


def test_no_thread_keeps_a_drained_service(root: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _LEAVING], cwd=root, capture_output=True, text=True, timeout=30
    )
    assert (done.returncode, done.stderr) == (0, "drained\n")
