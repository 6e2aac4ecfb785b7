#!/bin/bash
# libdatachannel 0.24.5 refuses a whole description that has an `a=rtcp-fb` line for all formats.
#
# RFC 4585 (section 4.2) lets "*" stand in the place of the payload type, for feedback that every format of the media section
# may use. Asterisk 22 with PJSIP writes such a line ("a=rtcp-fb:* transport-cc") into each offer and answer to an endpoint
# with `webrtc = yes`. libdatachannel reads a number there, and a call with such an Asterisk fails before its first packet.
# With the number of the only format in the same place it takes the description; aiortc and werift take both.
#
# Output seen:
#   a=rtcp-fb:* transport-cc
#     libdatachannel 0.24.5: libdatachannel error while adding remote description: Invalid integer "*" in description
#     werift 0.25.2: taken
#     aiortc 1.16.0: taken
#   a=rtcp-fb:0 transport-cc
#     libdatachannel 0.24.5: taken
#     werift 0.25.2: taken
#     aiortc 1.16.0: taken
#
# Node.js 18 or later, npm, Python 3.10 or later with venv.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm install --silent --no-audit --no-fund --prefix . node-datachannel@0.33.4 werift@0.25.2 >&2
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check aiortc==1.16.0 >&2

# An offer of one G.711 stream whose feedback line names the format $1.
offer() {
    printf '%s\r\n' v=0 'o=- 1 1 IN IP4 127.0.0.1' s=- 't=0 0' 'm=audio 9 UDP/TLS/RTP/SAVPF 0' 'c=IN IP4 127.0.0.1' \
        a=mid:0 a=sendrecv a=rtcp-mux 'a=rtpmap:0 PCMU/8000' "a=rtcp-fb:$1 transport-cc" a=setup:actpass \
        a=ice-ufrag:abcd a=ice-pwd:abcdefghijklmnopqrstuvwx 'a=candidate:1 1 UDP 2130706431 127.0.0.1 40000 typ host' \
        "a=fingerprint:sha-256 $(printf 'AB:%.0s' {1..31})AB"
}

cat > libdatachannel.mjs <<'JS'
import { readFileSync } from 'node:fs';
import rtc from 'node-datachannel';
const pc = new rtc.PeerConnection('peer', { iceServers: [], disableAutoNegotiation: true });
try {
  pc.setRemoteDescription(readFileSync(0, 'utf8'), 'offer');
  console.log('taken');
} catch (error) {
  console.log(error.message);
}
process.exit(0);
JS
cat > werift.mjs <<'JS'
import { readFileSync } from 'node:fs';
import { RTCPeerConnection } from 'werift';
const pc = new RTCPeerConnection({ iceServers: [] });
try {
  await pc.setRemoteDescription({ type: 'offer', sdp: readFileSync(0, 'utf8') });
  console.log('taken');
} catch (error) {
  console.log(error.message);
}
process.exit(0);
JS
cat > aiortc_peer.py <<'PY'
import asyncio
import sys

from aiortc import RTCPeerConnection, RTCSessionDescription


async def take() -> None:
    try:
        await RTCPeerConnection().setRemoteDescription(RTCSessionDescription(sys.stdin.read(), "offer"))
        print("taken")
    except Exception as error:
        print(error)


asyncio.run(take())
PY

{
    for format in '*' 0; do
        echo "a=rtcp-fb:$format transport-cc"
        echo "  libdatachannel 0.24.5: $(offer "$format" | node libdatachannel.mjs)"
        echo "  werift 0.25.2: $(offer "$format" | node werift.mjs)"
        echo "  aiortc 1.16.0: $(offer "$format" | venv/bin/python aiortc_peer.py)"
    done
} | tee seen
diff seen - <<'SEEN'
a=rtcp-fb:* transport-cc
  libdatachannel 0.24.5: libdatachannel error while adding remote description: Invalid integer "*" in description
  werift 0.25.2: taken
  aiortc 1.16.0: taken
a=rtcp-fb:0 transport-cc
  libdatachannel 0.24.5: taken
  werift 0.25.2: taken
  aiortc 1.16.0: taken
SEEN
