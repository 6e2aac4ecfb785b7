#!/bin/bash
# libdatachannel 0.24.5, werift 0.25.2 (npm) and aiortc 1.16.0 (PyPI) begin a new SDP session with every re-offer.
#
# A call of each library with itself is connected, and then the caller puts it on hold with a second offer. By RFC 3264,
# section 8, and RFC 8829, section 5.2.2, its o= line keeps the session id, and the version grows by one. libdatachannel
# and werift write another id at random and version 0, as in the first offer; aiortc writes the time in seconds for both,
# so the id is another here, and nothing changes within one second. The ICE credentials, the fingerprint and the mid are
# kept: it is the same call. So a peer that takes an offer with an equal version for a repetition, as RFC 3264 lets it,
# never sees the hold of two of the three, and a peer that compares the id sees another session.
#
# Output seen:
#   libdatachannel 0.24.5: connected; the hold has another id, version 0 then 0, the same ICE and DTLS session
#   werift 0.25.2: connected; the hold has another id, version 0 then 0, the same ICE and DTLS session
#   aiortc 1.16.0: connected; the hold has another id, version and id the time in seconds, the same ICE and DTLS session
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
    aiortc==1.16.0 aioice==0.13.0 av==18.1.0 pyopenssl==26.4.0 cryptography==50.0.2 pylibsrtp==1.0.0 >&2
npm install --silent --no-audit --no-fund --prefix . werift@0.25.2 node-datachannel@0.33.4 >&2

cat > node_offers.mjs <<'JS'
// Prints a JSON line for each library: its name, the state of the call, and its two offers.
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import nodeDatachannel from 'node-datachannel';
import { MediaStreamTrack, RTCPeerConnection, RTCRtpCodecParameters } from 'werift';

async function until(holds) {
  for (let n = 0; n < 500 && !holds(); n += 1) await sleep(20);
}

async function libdatachannel() {
  const [a, b] = ['a', 'b'].map((name) => new nodeDatachannel.PeerConnection(name, {
    iceServers: [], bindAddress: '127.0.0.1', disableAutoNegotiation: true,
  }));
  const tracks = [];
  b.onTrack((track) => tracks.push(track));
  // A track of the same mid replaces the description of the first.
  const offer = async (direction) => {
    const audio = new nodeDatachannel.Audio('audio', direction);
    audio.addAudioCodec(0, 'PCMU/8000');
    tracks.push(a.addTrack(audio));
    a.setLocalDescription('offer');
    await until(() => a.gatheringState() === 'complete' && a.signalingState() === 'have-local-offer');
    return a.localDescription().sdp;
  };
  const first = await offer('SendRecv');
  b.setRemoteDescription(first, 'offer');
  b.setLocalDescription('answer');
  await until(() => b.gatheringState() === 'complete' && b.signalingState() === 'stable');
  a.setRemoteDescription(b.localDescription().sdp, 'answer');
  await until(() => a.state() === 'connected');
  return { state: a.state(), first, second: await offer('SendOnly') };
}

async function werift() {
  const pcmu = new RTCRtpCodecParameters({ mimeType: 'audio/PCMU', clockRate: 8000, channels: 1, payloadType: 0 });
  const [a, b] = [1, 2].map(() => new RTCPeerConnection({
    codecs: { audio: [pcmu] }, iceServers: [], iceUseIpv6: false,
    iceInterfaceAddresses: { udp4: '127.0.0.1' }, iceAdditionalHostAddresses: ['127.0.0.1'],
  }));
  const transceiver = a.addTransceiver(new MediaStreamTrack({ kind: 'audio' }), { direction: 'sendrecv' });
  const offer = async (direction) => {
    transceiver.setDirection(direction);
    await a.setLocalDescription(await a.createOffer());
    return a.localDescription.sdp;
  };
  const first = await offer('sendrecv');
  await b.setRemoteDescription(a.localDescription);
  await b.setLocalDescription(await b.createAnswer());
  await a.setRemoteDescription(b.localDescription);
  await until(() => a.connectionState === 'connected');
  return { state: a.connectionState, first, second: await offer('sendonly') };
}

const { version } = JSON.parse(readFileSync('node_modules/werift/package.json'));
console.log(JSON.stringify({ name: `libdatachannel ${nodeDatachannel.getLibraryVersion()}`, ...await libdatachannel() }));
console.log(JSON.stringify({ name: `werift ${version}`, ...await werift() }));
process.exit();
JS
cat > aiortc_offers.py <<'PY'
import asyncio, json
from importlib.metadata import version

import aioice.ice
from aiortc import RTCPeerConnection

aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]


async def main():
    a, b = RTCPeerConnection(), RTCPeerConnection()
    transceiver = a.addTransceiver("audio")

    async def offer(direction):
        transceiver.direction = direction
        await a.setLocalDescription(await a.createOffer())
        return a.localDescription.sdp

    first = await offer("sendrecv")
    await b.setRemoteDescription(a.localDescription)
    await b.setLocalDescription(await b.createAnswer())
    await a.setRemoteDescription(b.localDescription)
    for _ in range(500):
        if a.connectionState == "connected":
            break
        await asyncio.sleep(0.02)
    state = a.connectionState
    # Both offers of one second have the same origin.
    await asyncio.sleep(2)
    print(json.dumps({"name": f"aiortc {version('aiortc')}", "state": state, "first": first, "second": await offer("sendonly")}))
    await a.close()
    await b.close()


asyncio.run(main())
PY
cat > compare.py <<'PY'
import json, re, sys, time

calls = [json.loads(line) for line in sys.stdin]
now = time.time() + 2208988800  # seconds since 1900

for call in calls:
    first, second = call["first"], call["second"]
    if "\na=sendrecv" not in first or "\na=sendonly" not in second:
        sys.exit(f"{call['name']} offers no hold")
    (id1, version1), (id2, version2) = (re.search(r"^o=\S+ (\d+) (\d+) ", sdp, re.M).groups() for sdp in (first, second))
    kept = [re.findall(r"^a=(?:ice-ufrag|ice-pwd|fingerprint|mid):.*", sdp, re.M) for sdp in (first, second)]
    versions = f"{version1} then {version2}"
    if (id1, id2) == (version1, version2) and now - 60 < int(version1) < int(version2) <= now:
        versions = "and id the time in seconds"
    print(f"{call['name']}: {call['state']}; the hold has {'the same' if id1 == id2 else 'another'} id, "
          f"version {versions}, {'the same' if kept[0] == kept[1] else 'another'} ICE and DTLS session")
PY
{ node node_offers.mjs; venv/bin/python aiortc_offers.py; } | python3 compare.py | tee seen
cat > expected <<'TEXT'
libdatachannel 0.24.5: connected; the hold has another id, version 0 then 0, the same ICE and DTLS session
werift 0.25.2: connected; the hold has another id, version 0 then 0, the same ICE and DTLS session
aiortc 1.16.0: connected; the hold has another id, version and id the time in seconds, the same ICE and DTLS session
TEXT
cmp seen expected
