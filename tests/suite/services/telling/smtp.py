"""A server for e-mail. It prints its port, then each letter as one line of JSON, as the standard library reads it.

smtp.py MODE CERTIFICATE KEY REFUSED BUSY
MODE is starttls, smtps or plain; REFUSED an address nobody has here; BUSY how often it is out of order first.
LOGIN is `user:password` of who may send; without it anybody may. It ends with its standard input.
"""
import asyncio
import json
import logging
import os
import ssl
import sys
from email import message_from_bytes, policy

from aiosmtpd.smtp import SMTP, AuthResult

mode, certificate, key, refused, busy = sys.argv[1:]
busy = int(busy)
login = os.environ.get("LOGIN")


def say(value):
    print(json.dumps(value), flush=True)


class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options):
        global busy
        if busy > 0:
            busy -= 1
            return "451 4.7.1 come again later"
        if address == refused:
            return "550 5.1.1 nobody of that name"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        raw = envelope.original_content
        message = message_from_bytes(raw, policy=policy.default)
        say({
            "over_tls": session.ssl is not None or mode == "smtps",
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "hello": session.host_name,
            "headers": {name.lower(): str(value) for name, value in message.items()},
            "defects": [str(defect) for defect in message.defects],
            "text": message.get_content().replace("\r\n", "\n"),
            "ascii": raw.isascii(),
            "longest": max(len(line) for line in raw.split(b"\r\n")),
        })
        return "250 OK"


def authenticate(server, session, envelope, mechanism, data):
    given = data.login.decode() + ":" + data.password.decode()
    return AuthResult(success=given == login, handled=False)


def smtp():
    return SMTP(
        Handler(),
        hostname="mail.test",
        tls_context=context if mode == "starttls" else None,
        require_starttls=mode == "starttls",
        authenticator=authenticate if login else None,
        auth_required=bool(login),
        auth_require_tls=mode == "starttls",
        auth_exclude_mechanism=[] if login else ["PLAIN", "LOGIN"],
    )


async def main():
    loop = asyncio.get_running_loop()
    server = await loop.create_server(smtp, "127.0.0.1", 0, ssl=context if mode == "smtps" else None)
    say(server.sockets[0].getsockname()[1])
    await loop.run_in_executor(None, sys.stdin.read)
    os._exit(0)


logging.getLogger("mail.log").setLevel(logging.CRITICAL)
logging.getLogger("asyncio").setLevel(logging.CRITICAL)
context = None
if mode != "plain":
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
asyncio.run(main())
