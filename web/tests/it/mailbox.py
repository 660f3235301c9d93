"""A mail server for tests, by aiosmtpd: prints the port it has, then every mail as a line of JSON. Ends with its standard input."""
import asyncio
import email
import email.policy
import json
import sys

from aiosmtpd.smtp import SMTP


class Post:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("unknown-"):
            return "550 5.1.1 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        headers = {name.lower(): str(value) for name, value in mail.items()}
        for to in envelope.rcpt_tos:
            print(json.dumps({"to": to, "headers": headers, "text": mail.get_content()}), flush=True)
        return "250 taken"


async def main():
    server = await asyncio.get_running_loop().create_server(lambda: SMTP(Post(), enable_SMTPUTF8=True), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)


asyncio.run(main())
