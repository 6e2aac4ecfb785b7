#!/bin/bash
# libdatachannel 0.24.5 (node-datachannel 0.33.4, npm) answers every re-offer of a call with the direction of its first answer.
#
# A peer offers a call with sendrecv, then with the directions of a hold, in the same session with greater versions. By
# RFC 3264, section 6.1, the answer to sendonly is recvonly or inactive, to recvonly sendonly or inactive, to inactive
# inactive. libdatachannel says sendrecv to each. A call that begins with sendonly stays recvonly when the peer offers
# sendrecv, so it is never taken off hold. The application here leaves the direction to the library; it is given one
# track, and the track has no event for a change. werift and aiortc, left to themselves in the same way, answer by the
# RFC. So a PBX that holds such a peer reads "sendrecv" in the answer to its sendonly, and has to keep to what it offered.
#
# Output seen (direction of each offer, and of the answer to it):
#   libdatachannel 0.24.5: sendrecv=sendrecv sendonly=sendrecv inactive=sendrecv recvonly=sendrecv sendrecv=sendrecv
#   libdatachannel 0.24.5: sendonly=recvonly sendrecv=recvonly
#   libdatachannel 0.24.5: tracks and events of the five offers: 1
#   werift 0.25.2: sendrecv=sendrecv sendonly=recvonly inactive=inactive recvonly=sendonly sendrecv=sendrecv
#   werift 0.25.2: sendonly=recvonly sendrecv=sendrecv
#   aiortc 1.16.0: sendrecv=sendrecv sendonly=recvonly inactive=inactive recvonly=sendonly sendrecv=sendrecv
#   aiortc 1.16.0: sendonly=recvonly sendrecv=sendrecv
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
    aiortc==1.16.0 aioice==0.13.0 av==18.1.0 pyopenssl==26.4.0 cryptography==50.0.2 pylibsrtp==1.0.0 >&2
npm install --silent --no-audit --no-fund --prefix . werift@0.25.2 node-datachannel@0.33.4 >&2

fingerprint=$(printf 'AB:%.0s' {1..31})AB
printf '%s\r\n' 'v=0' 'o=- 1 {version} IN IP4 127.0.0.1' 's=-' 't=0 0' 'a=group:BUNDLE audio' \
    'm=audio 4002 UDP/TLS/RTP/SAVPF 0' 'c=IN IP4 127.0.0.1' 'a=mid:audio' 'a=rtcp-mux' 'a={direction}' \
    'a=rtpmap:0 PCMU/8000' 'a=ice-ufrag:peer' 'a=ice-pwd:thisisthepasswordofthepeer' "a=fingerprint:sha-256 $fingerprint" \
    'a=setup:actpass' 'a=candidate:1 1 UDP 2130706431 127.0.0.1 4002 typ host' > offer.sdp

cat > node_answers.mjs <<'JS'
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import nodeDatachannel from 'node-datachannel';
import { MediaStreamTrack, RTCPeerConnection, RTCRtpCodecParameters } from 'werift';

const template = readFileSync('offer.sdp', 'utf8');
const HOLDS = ['sendrecv', 'sendonly', 'inactive', 'recvonly', 'sendrecv'];
const FIRST_HELD = ['sendonly', 'sendrecv'];

function libdatachannel() {
  const pc = new nodeDatachannel.PeerConnection('any', { iceServers: [], bindAddress: '127.0.0.1' });
  const tracks = [];
  let told = 0;
  pc.onTrack((track) => {
    told += 1;
    for (const event of ['onOpen', 'onClosed', 'onError']) track[event](() => { told += 1; });
    tracks.push(track);
  });
  const answer = async (sdp) => {
    pc.setRemoteDescription(sdp, 'offer');
    for (let n = 0; n < 250 && pc.signalingState() !== 'stable'; n += 1) await sleep(20);
    await sleep(500);
    return pc.localDescription().sdp;
  };
  return { answer, told: () => told };
}

function werift() {
  const pcmu = new RTCRtpCodecParameters({ mimeType: 'audio/PCMU', clockRate: 8000, channels: 1, payloadType: 0 });
  const pc = new RTCPeerConnection({
    codecs: { audio: [pcmu] }, iceServers: [], iceUseIpv6: false, iceInterfaceAddresses: { udp4: '127.0.0.1' },
  });
  pc.addTransceiver(new MediaStreamTrack({ kind: 'audio' }), { direction: 'sendrecv' });
  const answer = async (sdp) => {
    await pc.setRemoteDescription({ type: 'offer', sdp });
    await pc.setLocalDescription(await pc.createAnswer());
    return pc.localDescription.sdp;
  };
  return { answer };
}

async function answers(name, { answer }, directions) {
  const pairs = [];
  for (const [n, direction] of directions.entries()) {
    const sdp = await answer(template.replace('{direction}', direction).replace('{version}', n + 1));
    pairs.push(`${direction}=${sdp.match(/^a=(sendrecv|sendonly|recvonly|inactive)/m)[1]}`);
  }
  console.log(`${name}: ${pairs.join(' ')}`);
}

const native = `libdatachannel ${nodeDatachannel.getLibraryVersion()}`;
const peer = libdatachannel();
await answers(native, peer, HOLDS);
const told = peer.told();
await answers(native, libdatachannel(), FIRST_HELD);
console.log(`${native}: tracks and events of the five offers: ${told}`);
const { version } = JSON.parse(readFileSync('node_modules/werift/package.json'));
await answers(`werift ${version}`, werift(), HOLDS);
await answers(`werift ${version}`, werift(), FIRST_HELD);
process.exit();
JS
cat > aiortc_answers.py <<'PY'
import asyncio, re
from importlib.metadata import version

import aioice.ice
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack

aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]


async def answers(*directions):
    pc = RTCPeerConnection()
    pc.addTrack(AudioStreamTrack())
    template = open("offer.sdp", newline="").read()
    pairs = []
    for number, direction in enumerate(directions, 1):
        await pc.setRemoteDescription(RTCSessionDescription(template.format(direction=direction, version=number), "offer"))
        await pc.setLocalDescription(await pc.createAnswer())
        answered = re.search(r"^a=(sendrecv|sendonly|recvonly|inactive)", pc.localDescription.sdp, re.M)[1]
        pairs.append(f"{direction}={answered}")
    await pc.close()
    print(f"aiortc {version('aiortc')}: {' '.join(pairs)}")


asyncio.run(answers("sendrecv", "sendonly", "inactive", "recvonly", "sendrecv"))
asyncio.run(answers("sendonly", "sendrecv"))
PY
node node_answers.mjs | tee seen
venv/bin/python aiortc_answers.py | tee -a seen
cat > expected <<'TEXT'
libdatachannel 0.24.5: sendrecv=sendrecv sendonly=sendrecv inactive=sendrecv recvonly=sendrecv sendrecv=sendrecv
libdatachannel 0.24.5: sendonly=recvonly sendrecv=recvonly
libdatachannel 0.24.5: tracks and events of the five offers: 1
werift 0.25.2: sendrecv=sendrecv sendonly=recvonly inactive=inactive recvonly=sendonly sendrecv=sendrecv
werift 0.25.2: sendonly=recvonly sendrecv=sendrecv
aiortc 1.16.0: sendrecv=sendrecv sendonly=recvonly inactive=inactive recvonly=sendonly sendrecv=sendrecv
aiortc 1.16.0: sendonly=recvonly sendrecv=sendrecv
TEXT
cmp seen expected
