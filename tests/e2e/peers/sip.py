"""A small SIP phone over WebSocket (RFC 3261, RFC 7118): one account, one call at a time.

It carries descriptions as the WebRTC stack writes them, and hands on those of Asterisk as they arrive.
"""

import asyncio
import hashlib
import os
import re
import secrets

import websockets

from lines import log

PATIENCE = 20


class Message:
    """A SIP message: start line, headers in their order, body."""

    def __init__(self, text):
        head, _, self.body = text.partition("\r\n\r\n")
        self.start, *lines = head.split("\r\n")
        self.headers = [tuple(part.strip() for part in line.split(":", 1)) for line in lines]
        first, _, rest = self.start.partition(" ")
        self.status = int(rest[:3]) if first == "SIP/2.0" else None
        self.method = self["CSeq"].split()[1] if self.status else first

    def __getitem__(self, name):
        return next((value for header, value in self.headers if header.lower() == name.lower()), "")

    def all(self, *names):
        return [(header, value) for header, value in self.headers if header in names]


class Phone:
    """`on_offer(sdp)` gives the answer to an offer of Asterisk."""

    def __init__(self, url, account, password, save, on_offer):
        self.url, self.account, self.password, self.save = url, account, password, save
        self.on_offer, self.sequence, self.number = on_offer, 0, 0
        self.contact = f"<sip:{account}@{secrets.token_hex(6)}.invalid;transport=ws>"
        self.waiting, self.invited, self.ended = {}, asyncio.Queue(), asyncio.Event()
        self.target = self.local = self.remote = self.call_id = None
        self.routes, self.acknowledged, self.tasks = [], asyncio.Event(), set()

    async def register(self):
        self.socket = await websockets.connect(self.url, subprotocols=["sip"], compression=None)
        self.keep(asyncio.create_task(self.read()))
        self.call_id, self.local = secrets.token_hex(8), f"<sip:{self.account}@localhost>;tag={secrets.token_hex(4)}"
        headers = f"Contact: {self.contact};expires=600\r\n"
        await self.request("REGISTER", "sip:localhost", f"<sip:{self.account}@localhost>", headers)

    async def invite(self, number, sdp):
        """Calls; returns the answer."""
        self.ended.clear()
        self.call_id, self.local = secrets.token_hex(8), f"<sip:{self.account}@localhost>;tag={secrets.token_hex(4)}"
        self.target, self.remote, self.routes = f"sip:{number}@localhost", f"<sip:{number}@localhost>", []
        return await self.offer(sdp)

    async def offer(self, sdp):
        """Sends an INVITE, also within the call; returns the answer."""
        answer = await self.request("INVITE", self.target, self.remote, f"Contact: {self.contact}\r\n", sdp)
        self.learn(answer)
        await self.acknowledge(self.target, answer)
        return answer.body

    async def next_invite(self):
        return await asyncio.wait_for(self.invited.get(), PATIENCE)

    async def accept(self, invite, sdp):
        """Answers an INVITE and waits for the ACK."""
        self.ended.clear()
        self.acknowledged.clear()
        tag = secrets.token_hex(4)
        self.call_id, self.local = invite["Call-ID"], f"{invite['To']};tag={tag}"
        self.remote, self.routes = invite["From"], [value for _, value in invite.all("Record-Route")]
        self.target = re.search(r"<([^>]+)>", invite["Contact"])[1]
        await self.respond(invite, "200 OK", sdp, tag)
        await asyncio.wait_for(self.acknowledged.wait(), PATIENCE)

    async def bye(self):
        await self.request("BYE", self.target, self.remote)
        self.ended.set()

    def learn(self, answer):
        self.remote = answer["To"]
        self.target = re.search(r"<([^>]+)>", answer["Contact"])[1]

    async def request(self, method, uri, to, more="", body="", credentials=None):
        """Sends a request, with credentials when it is challenged; returns the 200."""
        self.sequence += 1
        self.waiting[self.sequence] = asyncio.get_running_loop().create_future()
        extra = more + (self.authorization(method, uri, credentials) if credentials else "")
        await self.send(f"{method} {uri} SIP/2.0", self.dialog(method, to, self.sequence) + extra, body)
        answer = await asyncio.wait_for(self.waiting[self.sequence], PATIENCE)
        if answer.status in (401, 407) and not credentials:
            if method == "INVITE":
                await self.acknowledge(uri, answer)
            return await self.request(method, uri, to, more, body, answer)
        if answer.status != 200:
            raise ConnectionError(f"{method} got {answer.start}")
        return answer

    def dialog(self, method, to, sequence):
        via = f"Via: SIP/2.0/WS {self.contact[5:].split('@')[1].split(';')[0]};branch=z9hG4bK{secrets.token_hex(6)}\r\n"
        routes = "".join(f"Route: {route}\r\n" for route in self.routes)
        return (
            f"{via}Max-Forwards: 70\r\nTo: {to}\r\nFrom: {self.local}\r\nCall-ID: {self.call_id}\r\n"
            f"CSeq: {sequence} {method}\r\n{routes}"
        )

    async def acknowledge(self, uri, answer):
        sequence = answer["CSeq"].split()[0]
        await self.send(f"ACK {uri} SIP/2.0", self.dialog("ACK", answer["To"], sequence), "")

    def authorization(self, method, uri, challenge):
        """Digest of RFC 2617 without qop, which chan_sip does not use."""
        name = "Authorization" if challenge.status == 401 else "Proxy-Authorization"
        asked = challenge["WWW-Authenticate"] or challenge["Proxy-Authenticate"]
        realm, nonce = (re.search(f'{part}="([^"]*)"', asked)[1] for part in ("realm", "nonce"))
        first, second = md5(f"{self.account}:{realm}:{self.password}"), md5(f"{method}:{uri}")
        return (
            f'{name}: Digest username="{self.account}", realm="{realm}", nonce="{nonce}", uri="{uri}", '
            f'response="{md5(f"{first}:{nonce}:{second}")}", algorithm=MD5\r\n'
        )

    async def respond(self, request, status, sdp="", tag=None):
        headers = request.all("Via", "From", "Call-ID", "CSeq", "Record-Route")
        to = request["To"] if "tag=" in request["To"] else f"{request['To']};tag={tag or secrets.token_hex(4)}"
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
        contact = f"Contact: {self.contact}\r\n" if request.method == "INVITE" else ""
        await self.send(f"SIP/2.0 {status}", f"{lines}To: {to}\r\n{contact}", sdp)

    async def send(self, start, headers, body):
        kind = "Content-Type: application/sdp\r\n" if body else ""
        text = f"{start}\r\n{headers}{kind}Content-Length: {len(body.encode())}\r\n\r\n{body}"
        self.record("out", text)
        await self.socket.send(text)

    async def read(self):
        async for text in self.socket:
            text = text if isinstance(text, str) else text.decode()
            self.record("in", text)
            message = Message(text)
            if message.status:
                self.take_answer(message)
            else:
                self.keep(asyncio.create_task(self.take_request(message)))

    def take_answer(self, message):
        waiting = self.waiting.get(int(message["CSeq"].split()[0]))
        if message.status >= 200 and waiting and not waiting.done() and message.method != "ACK":
            waiting.set_result(message)

    async def take_request(self, request):
        if request.method == "ACK":
            self.acknowledged.set()
        elif request.method == "INVITE" and "tag=" in request["To"]:
            await self.respond(request, "200 OK", await self.on_offer(request.body))
        elif request.method == "INVITE":
            await self.respond(request, "180 Ringing")
            self.invited.put_nowait(request)
        else:
            await self.respond(request, "200 OK")
            if request.method == "BYE":
                self.ended.set()

    def keep(self, task):
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def record(self, direction, text):
        log(f"{direction}\n{text}")
        if self.save:
            self.number += 1
            kind = re.sub(r"\W+", "-", text.split("\r\n")[0])[:24]
            path = os.path.join(self.save, f"{self.number:02}-{direction}-{kind}.sip")
            with open(path, "w", newline="") as file:
                file.write(text)


def md5(text):
    return hashlib.md5(text.encode()).hexdigest()
