"""How a message travels: a webhook, or a mail.

Owns the two channels and their forms. A webhook is a POST of JSON, signed where a secret is set:
`X-Almanac-Signature: sha256=HMAC(secret, body)`. Whether and when to send is the outbox's.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import smtplib
import ssl
from collections.abc import Mapping
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import Any, Protocol

import httpx

from daemon.operating import NotifySettings

_TIMEOUT_S = 20.0
SIGNATURE = "X-Almanac-Signature"


class Channel(Protocol):
    """One way to people. `send` raises whatever went wrong."""

    name: str

    async def send(self, kind: str, subject: str, body: Mapping[str, Any], *, key: str) -> None: ...


def channels_of(settings: NotifySettings) -> list[Channel]:
    """The channels that the settings name; none is legal."""
    found: list[Channel] = []
    if settings.webhook_url is not None:
        found.append(Webhook(settings))
    if settings.smtp_host is not None and settings.mail_to:
        found.append(Mail(settings))
    return found


class Webhook:
    """Redirects are not followed: the address is a secret."""

    name = "webhook"

    def __init__(self, settings: NotifySettings) -> None:
        assert settings.webhook_url is not None
        self._url = settings.webhook_url.get_secret_value()
        secret = settings.webhook_secret
        self._secret = secret.get_secret_value().encode() if secret else None

    async def send(self, kind: str, subject: str, body: Mapping[str, Any], *, key: str) -> None:
        data = json.dumps(
            {"key": key, "kind": kind, "subject": subject, **body}, ensure_ascii=False
        ).encode()
        headers = {"Content-Type": "application/json"}
        if self._secret is not None:
            digest = hmac.new(self._secret, data, hashlib.sha256).hexdigest()
            headers[SIGNATURE] = f"sha256={digest}"
        async with httpx.AsyncClient(timeout=_TIMEOUT_S, follow_redirects=False) as client:
            answer = await client.post(self._url, content=data, headers=headers)
        if answer.status_code >= 300:
            raise OSError(f"the webhook answered {answer.status_code}")


class Mail:
    """Plain text by SMTP."""

    name = "mail"

    def __init__(self, settings: NotifySettings) -> None:
        self._settings = settings

    async def send(self, kind: str, subject: str, body: Mapping[str, Any], *, key: str) -> None:
        settings = self._settings
        message = EmailMessage()
        message["Subject"] = f"[almanac] {' '.join(subject.split())}"
        message["From"] = settings.mail_from
        message["To"] = ", ".join(settings.mail_to)
        message["Date"] = formatdate()
        message["Message-ID"] = make_msgid(domain="almanac")
        message["X-Almanac-Kind"] = kind
        lines = [subject, "", *(f"{name}: {value}" for name, value in body.items()), ""]
        message.set_content("\n".join(lines))
        await asyncio.to_thread(self._deliver, message)

    def _deliver(self, message: EmailMessage) -> None:
        settings = self._settings
        assert settings.smtp_host is not None
        with smtplib.SMTP(settings.smtp_host, settings.smtp_port, timeout=_TIMEOUT_S) as server:
            if settings.smtp_tls:
                server.starttls(context=ssl.create_default_context())  # a password follows
            if settings.smtp_user and settings.smtp_password:
                server.login(settings.smtp_user, settings.smtp_password.get_secret_value())
            server.send_message(message)
