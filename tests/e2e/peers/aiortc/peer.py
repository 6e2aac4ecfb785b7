"""aiortc as a phone: peer.py URL ACCOUNT PASSWORD FREQUENCY HEARD [SAVE].

It sends a tone of FREQUENCY Hz, and writes what it hears to HEARD, as 16-bit samples at 8000 Hz.
"""

import asyncio
import math
import os
import struct
import sys
import time
from fractions import Fraction

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))

from aiortc import AudioStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from av import AudioFrame

from lines import obey
from sip import Phone

PACKET = 160


class Tone(AudioStreamTrack):
    """An endless tone in frames of 20 ms."""

    def __init__(self, frequency):
        super().__init__()
        self.step, self.loudness = math.tau * frequency / 8000, 8000
        self.sent, self.began = 0, None

    async def recv(self):
        self.began = self.began or time.monotonic()
        await asyncio.sleep(self.began + self.sent / 8000 - time.monotonic())
        samples = [int(self.loudness * math.sin(self.step * (self.sent + at))) for at in range(PACKET)]
        frame = AudioFrame(format="s16", layout="mono", samples=PACKET)
        frame.planes[0].update(struct.pack(f"<{PACKET}h", *samples))
        frame.pts, frame.sample_rate, frame.time_base = self.sent, 8000, Fraction(1, 8000)
        self.sent += PACKET
        return frame


class Peer:
    def __init__(self, url, account, password, frequency, heard, save=None):
        self.phone = Phone(url, account, password, save, self.answer_offer)
        self.frequency, self.heard = float(frequency), open(heard, "wb", buffering=0)

    async def register(self):
        await self.phone.register()

    async def call(self, number):
        self.connect()
        self.transceiver = self.connection.addTransceiver(self.tone, "sendrecv")
        await self.negotiate(lambda sdp: self.phone.invite(number, sdp))
        await self.connected()

    async def answer(self):
        invite = await self.phone.next_invite()
        self.connect()
        self.connection.addTrack(self.tone)
        await self.phone.accept(invite, await self.answer_offer(invite.body))
        self.transceiver = self.connection.getTransceivers()[0]
        await self.connected()

    async def hold(self):
        await self.redirect("sendonly")

    async def unhold(self):
        await self.redirect("sendrecv")

    async def hangup(self):
        await self.phone.bye()
        await self.connection.close()

    async def ended(self):
        await asyncio.wait_for(self.phone.ended.wait(), 40)
        await self.connection.close()

    def connect(self):
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.connection.on("track", lambda track: self.phone.keep(asyncio.create_task(self.listen(track))))
        self.tone = Tone(self.frequency)

    async def redirect(self, direction):
        self.transceiver.direction = direction
        self.tone.loudness = 0 if direction == "sendonly" else 8000
        await self.negotiate(self.phone.offer)
        if self.transceiver.currentDirection != direction:
            raise ValueError(f"the answer makes it {self.transceiver.currentDirection}")

    async def negotiate(self, send):
        await self.connection.setLocalDescription(await self.connection.createOffer())
        answer = await send(self.connection.localDescription.sdp)
        await self.connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))

    async def answer_offer(self, sdp):
        await self.connection.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
        await self.connection.setLocalDescription(await self.connection.createAnswer())
        return self.connection.localDescription.sdp

    async def connected(self):
        end = time.monotonic() + 15
        while self.connection.connectionState != "connected":
            if self.connection.connectionState == "failed" or time.monotonic() > end:
                raise ConnectionError(f"it is {self.connection.connectionState}")
            await asyncio.sleep(0.05)

    async def listen(self, track):
        while True:
            frame = await track.recv()
            self.heard.write(bytes(frame.planes[0])[: frame.samples * 2])


asyncio.run(obey(Peer(*sys.argv[1:])))
