#!/bin/bash
# aiortc 1.16.0 (PyPI) refuses a whole answer because it declines the video.
#
# It offers audio and video. The answer takes the audio with everything that WebRTC wants, and declines the video as RFC
# 3264 (section 6) has it: port 0, one of the formats of the offer, whose details are to be ignored; a=mid stands there
# too. RFC 8829 (section 5.3.1) asks for no ICE and DTLS attributes in a section that is declined. aiortc looks for ICE
# credentials there all the same, and takes none of the answer, so there is no sound either. werift and libdatachannel
# take it. So a PBX that declines video with the bare line has to describe a stream in it as if it took it, all but the
# port.
#
# Output seen:
#   aiortc 1.16.0: refused (ICE username fragment or password is missing)
#   aiortc 1.16.0, ICE, DTLS, a=rtcp-mux and a=rtpmap in the declined section: accepted
#   werift 0.25.2: accepted
#   libdatachannel 0.24.5: accepted
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
    aiortc==1.16.0 aioice==0.13.0 av==18.1.0 pyopenssl==26.4.0 cryptography==50.0.2 pylibsrtp==1.0.0 >&2
npm install --silent --no-audit --no-fund --prefix . werift@0.25.2 node-datachannel@0.33.4 >&2

fingerprint=$(printf 'AB:%.0s' {1..31})AB
printf '%s\r\n' 'v=0' 'o=- 1 1 IN IP4 127.0.0.1' 's=-' 't=0 0' 'a=group:BUNDLE {audio}' \
    'm=audio 4002 UDP/TLS/RTP/SAVPF 0' 'c=IN IP4 127.0.0.1' 'a=mid:{audio}' 'a=rtcp-mux' 'a=sendrecv' \
    'a=rtpmap:0 PCMU/8000' 'a=ice-ufrag:peer' 'a=ice-pwd:thisisthepasswordofthepeer' "a=fingerprint:sha-256 $fingerprint" \
    'a=setup:passive' 'a=candidate:1 1 UDP 2130706431 127.0.0.1 4002 typ host' \
    'm=video 0 UDP/TLS/RTP/SAVPF {vp8}' 'c=IN IP4 127.0.0.1' 'a=mid:{video}' > answer.sdp

cat > aiortc_offers.py <<'PY'
import asyncio, re
from importlib.metadata import version

import aioice.ice
from aiortc import RTCPeerConnection, RTCSessionDescription

aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]


async def outcome(more):
    pc = RTCPeerConnection()
    pc.addTransceiver("audio")
    pc.addTransceiver("video")
    await pc.setLocalDescription(await pc.createOffer())
    offer = pc.localDescription.sdp
    audio, video = re.findall(r"a=mid:(\S+)", offer)
    vp8 = re.search(r"a=rtpmap:(\d+) VP8", offer)[1]
    answer = open("answer.sdp", newline="").read().format(audio=audio, video=video, vp8=vp8)
    if more:
        answer += "".join(re.findall(r"a=(?:ice-|fingerprint|setup|rtcp-mux).*\r\n", answer)) + f"a=rtpmap:{vp8} VP8/90000\r\n"
    try:
        await pc.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        return "accepted"
    except ValueError as error:
        return f"refused ({error})"
    finally:
        await pc.close()


async def main():
    print(f"aiortc {version('aiortc')}: {await outcome(False)}")
    print(f"aiortc {version('aiortc')}, ICE, DTLS, a=rtcp-mux and a=rtpmap in the declined section: {await outcome(True)}")


asyncio.run(main())
PY
cat > node_offers.mjs <<'JS'
import { readFileSync } from 'node:fs';
import nodeDatachannel from 'node-datachannel';
import { RTCPeerConnection } from 'werift';

const template = readFileSync('answer.sdp', 'utf8');
const filled = (offer) => {
  const [audio, video] = [...offer.matchAll(/a=mid:(\S+)/g)].map((found) => found[1]);
  const vp8 = offer.match(/a=rtpmap:(\d+) VP8/)[1];
  return template.replaceAll('{audio}', audio).replaceAll('{video}', video).replaceAll('{vp8}', vp8);
};

async function werift() {
  const pc = new RTCPeerConnection({ iceServers: [], iceUseIpv6: false, iceInterfaceAddresses: { udp4: '127.0.0.1' } });
  pc.addTransceiver('audio');
  pc.addTransceiver('video');
  await pc.setLocalDescription(await pc.createOffer());
  const answer = filled(pc.localDescription.sdp);
  try {
    await pc.setRemoteDescription({ type: 'answer', sdp: answer });
    return 'accepted';
  } catch (error) {
    return `refused (${error.message})`;
  }
}

async function libdatachannel() {
  const pc = new nodeDatachannel.PeerConnection('any', { iceServers: [], bindAddress: '127.0.0.1' });
  const [audio, video] = [new nodeDatachannel.Audio('a', 'SendRecv'), new nodeDatachannel.Video('v', 'SendRecv')];
  audio.addAudioCodec(0, 'PCMU');
  video.addVP8Codec(96);
  const tracks = [pc.addTrack(audio), pc.addTrack(video)];
  const offered = new Promise((resolve) => pc.onLocalDescription(resolve));
  pc.setLocalDescription('offer');
  const answer = filled(await offered);
  try {
    pc.setRemoteDescription(answer, 'answer');
    return tracks.length === 2 && pc.signalingState() === 'stable' ? 'accepted' : 'taken in part';
  } catch (error) {
    return `refused (${error.message})`;
  }
}

const { version } = JSON.parse(readFileSync('node_modules/werift/package.json'));
console.log(`werift ${version}: ${await werift()}`);
console.log(`libdatachannel ${nodeDatachannel.getLibraryVersion()}: ${await libdatachannel()}`);
process.exit();
JS
venv/bin/python aiortc_offers.py | tee seen
node node_offers.mjs | tee -a seen
cat > expected <<'TEXT'
aiortc 1.16.0: refused (ICE username fragment or password is missing)
aiortc 1.16.0, ICE, DTLS, a=rtcp-mux and a=rtpmap in the declined section: accepted
werift 0.25.2: accepted
libdatachannel 0.24.5: accepted
TEXT
cmp seen expected
