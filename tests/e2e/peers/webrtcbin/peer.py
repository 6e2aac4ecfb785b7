"""GStreamer's webrtcbin as a phone: peer.py URL ACCOUNT PASSWORD FREQUENCY HEARD [SAVE].

It sends a tone of FREQUENCY Hz, and writes what it hears to HEARD, as 16-bit samples at 8000 Hz. It cannot hold:
GStreamer 1.22 refuses an answer that changes a direction.
"""

import asyncio
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstSdp", "1.0")
gi.require_version("GstWebRTC", "1.0")
from gi.repository import Gst, GstSdp, GstWebRTC

from lines import log, obey
from sip import Phone

TONE = (
    "webrtcbin name=rtc bundle-policy=max-bundle audiotestsrc is-live=true freq={frequency} volume=0.25 "
    "samplesperbuffer=160 ! audio/x-raw,rate=8000,channels=1 ! mulawenc ! rtppcmupay ! "
    "application/x-rtp,media=audio,encoding-name=PCMU,payload=0,clock-rate=8000 ! rtc."
)
EAR = "rtppcmudepay ! mulawdec ! filesink location={heard} buffer-mode=unbuffered sync=false async=false"


class Peer:
    def __init__(self, url, account, password, frequency, heard, save=None):
        self.phone = Phone(url, account, password, save, self.answer_offer)
        self.frequency, self.heard = float(frequency), heard

    async def register(self):
        await self.phone.register()

    async def call(self, number):
        self.connect()
        await self.negotiate(lambda sdp: self.phone.invite(number, sdp))
        await self.connected()

    async def answer(self):
        invite = await self.phone.next_invite()
        self.connect()
        await self.phone.accept(invite, await self.answer_offer(invite.body))
        await self.connected()

    async def hangup(self):
        await self.phone.bye()
        self.pipeline.set_state(Gst.State.NULL)

    async def ended(self):
        await asyncio.wait_for(self.phone.ended.wait(), 40)
        self.pipeline.set_state(Gst.State.NULL)

    def connect(self):
        self.pipeline = Gst.parse_launch(TONE.format(frequency=self.frequency))
        self.rtc = self.pipeline.get_by_name("rtc")
        self.rtc.connect("pad-added", self.listen)
        self.pipeline.set_state(Gst.State.PLAYING)

    def listen(self, _, pad):
        if pad.get_direction() == Gst.PadDirection.SRC:
            ear = Gst.parse_bin_from_description(EAR.format(heard=self.heard), True)
            self.pipeline.add(ear)
            ear.sync_state_with_parent()
            pad.link(ear.get_static_pad("sink"))

    async def negotiate(self, send):
        offer = await self.ask("create-offer", Gst.Structure.new_empty("options"))
        await self.ask("set-local-description", offer.get_value("offer"))
        await self.describe(await send(await self.gathered()), GstWebRTC.WebRTCSDPType.ANSWER)

    async def answer_offer(self, sdp):
        await self.describe(sdp, GstWebRTC.WebRTCSDPType.OFFER)
        answer = await self.ask("create-answer", Gst.Structure.new_empty("options"))
        await self.ask("set-local-description", answer.get_value("answer"))
        return await self.gathered()

    async def describe(self, sdp, kind):
        _, message = GstSdp.SDPMessage.new_from_text(sdp)
        await self.ask("set-remote-description", GstWebRTC.WebRTCSessionDescription.new(kind, message))

    async def ask(self, signal, given):
        """Emits a signal and waits for its promise; returns the reply, or raises its error."""
        promise = Gst.Promise.new()
        self.rtc.emit(signal, given, promise)
        await asyncio.get_running_loop().run_in_executor(None, promise.wait)
        reply = promise.get_reply()
        if reply is not None and reply.has_field("error"):
            raise ValueError(f"{signal}: {reply.get_value('error').message}")
        return reply

    async def gathered(self):
        done = GstWebRTC.WebRTCICEGatheringState.COMPLETE
        await self.until(lambda: self.rtc.get_property("ice-gathering-state") == done, "candidates")
        return self.rtc.get_property("local-description").sdp.as_text()

    async def connected(self):
        done = GstWebRTC.WebRTCPeerConnectionState.CONNECTED
        await self.until(lambda: self.rtc.get_property("connection-state") == done, "connection")

    async def until(self, holds, what):
        end = time.monotonic() + 15
        while not holds():
            if time.monotonic() > end:
                state = self.rtc.get_property("connection-state").value_nick
                raise TimeoutError(f"no {what} after 15 s; it is {state}")
            await asyncio.sleep(0.02)


Gst.init(None)
log(Gst.version_string())
asyncio.run(obey(Peer(*sys.argv[1:])))
