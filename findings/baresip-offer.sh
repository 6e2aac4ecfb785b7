#!/bin/bash
# baresip 1.0.0 (Debian 12) offers ICE, DTLS-SRTP and UDP/TLS/RTP/SAVPF, and yet aiortc and werift refuse to talk to it.
#
# With mediaenc=dtls_srtp and medianat=ice, which are for WebRTC peers, its INVITE has the protocol, candidates and a
# fingerprint. But it has them its own way: a=ice-ufrag, a=ice-pwd, a=setup and a=fingerprint once, at session level
# (which RFC 8839 and RFC 8122 allow), the hash in capitals, a=minptime, which is no attribute but a parameter of Opus,
# and two components with a=rtcp and no a=rtcp-mux, although it asks for a=rtcp-rsize, and no a=mid. aiortc 1.16.0 raises
# for the missing rtcp-mux, werift 0.25.2 for the missing mid. Neither minds the rest, and libdatachannel 0.24.5 takes it
# as it is. With "rtcp_mux yes" in its config baresip offers component 1 with a=rtcp-mux; a=mid it does not offer then
# either. So who talks to baresip has to read DTLS and ICE attributes from both levels, and to do without mux and mid.
#
# Output seen:
#   User-Agent: baresip v1.0.0 (x86_64/linux)
#   session level: ice-ufrag, ice-pwd, setup, fingerprint:SHA-256; m-section: UDP/TLS/RTP/SAVPF, rtcp, rtcp-rsize, minptime, components 1 2
#   aiortc 1.16.0: refused (RTCP mux is not enabled)
#   aiortc 1.16.0, a=rtcp-mux added: accepted
#   werift 0.25.2: refused (mid not assigned)
#   werift 0.25.2, a=mid added: accepted
#   libdatachannel 0.24.5: accepted
#
# Debian 12, amd64, its package lists fetched.
set -euo pipefail
work=$(mktemp -d)
baresip=
trap '[ -z "$baresip" ] || kill "$baresip" 2> /dev/null || true; rm -rf "$work"' EXIT
cd "$work"
mkdir packages root home
(cd packages && apt-get -qq -o APT::Sandbox::User= -o Acquire::Retries=3 download \
    baresip-core=1.0.0-4+b3 libre0=1.1.0-1+b2 librem0=0.6.0-4 libssl3 zlib1g >&2)
for package in packages/*.deb; do dpkg-deb -x "$package" root; done
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
    aiortc==1.16.0 aioice==0.13.0 av==18.1.0 pyopenssl==26.4.0 cryptography==50.0.2 pylibsrtp==1.0.0 >&2
npm install --silent --no-audit --no-fund --prefix . werift@0.25.2 node-datachannel@0.33.4 >&2

cat > invited.py <<'PY'
"""Waits for one INVITE and keeps its description."""
import re, socket

phone = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
phone.bind(("127.0.0.1", 0))
phone.settimeout(60)
with open("port", "w") as file:
    print(phone.getsockname()[1], file=file)
head, offer = phone.recv(65535).decode().split("\r\n\r\n", 1)
session, section = offer.split("m=audio", 1)
attribute = lambda names, text: [found for found in re.findall(r"a=([a-z-]+(?::SHA-256)?)", text) if re.split(":", found)[0] in names]
components = sorted(set(re.findall(r"a=candidate:\S+ (\d)", section)))
print(re.search(r"User-Agent:.*", head)[0].strip())
print(f"session level: {', '.join(attribute(('ice-ufrag', 'ice-pwd', 'setup', 'fingerprint'), session))}; "
      f"m-section: {section.split()[1]}, {', '.join(attribute(('rtcp', 'rtcp-mux', 'rtcp-rsize', 'mid', 'minptime'), section))}, "
      f"components {' '.join(components)}")
with open("offer.sdp", "w", newline="") as file:
    file.write(offer)
PY
cat > aiortc_hears.py <<'PY'
import asyncio
from importlib.metadata import version

import aioice.ice
from aiortc import RTCPeerConnection, RTCSessionDescription

aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]


async def outcome(more):
    pc = RTCPeerConnection()
    try:
        await pc.setRemoteDescription(RTCSessionDescription(open("offer.sdp", newline="").read() + more, "offer"))
        await pc.createAnswer()
        return "accepted"
    except ValueError as error:
        return f"refused ({error})"
    finally:
        await pc.close()


print(f"aiortc {version('aiortc')}: {asyncio.run(outcome(''))}")
print(f"aiortc {version('aiortc')}, a=rtcp-mux added: {asyncio.run(outcome('a=rtcp-mux' + chr(13) + chr(10)))}")
PY
cat > node_hears.mjs <<'JS'
import { readFileSync } from 'node:fs';
import nodeDatachannel from 'node-datachannel';
import { RTCPeerConnection } from 'werift';

const offer = readFileSync('offer.sdp', 'utf8');

async function werift(more) {
  const pc = new RTCPeerConnection({ iceServers: [], iceUseIpv6: false, iceInterfaceAddresses: { udp4: '127.0.0.1' } });
  try {
    await pc.setRemoteDescription({ type: 'offer', sdp: offer + more });
    await pc.createAnswer();
    return 'accepted';
  } catch (error) {
    return `refused (${error.message})`;
  }
}

function libdatachannel() {
  const pc = new nodeDatachannel.PeerConnection('any', { iceServers: [], bindAddress: '127.0.0.1', disableAutoNegotiation: true });
  try {
    pc.setRemoteDescription(offer, 'offer');
    return pc.signalingState() === 'have-remote-offer' ? 'accepted' : pc.signalingState();
  } catch (error) {
    return `refused (${error.message})`;
  }
}

const { version } = JSON.parse(readFileSync('node_modules/werift/package.json'));
console.log(`werift ${version}: ${await werift('')}`);
console.log(`werift ${version}, a=mid added: ${await werift('a=mid:0\r\n')}`);
console.log(`libdatachannel ${nodeDatachannel.getLibraryVersion()}: ${libdatachannel()}`);
process.exit();
JS

python3 invited.py > seen & invited=$!
until [ -s port ]; do sleep 0.1; done
cat > home/config <<CONFIG
module_path $work/root/usr/lib/baresip/modules
sip_listen 127.0.0.1:0
module g711.so
module ausine.so
module dtls_srtp.so
module ice.so
module_app account.so
module_app menu.so
audio_source ausine,440
CONFIG
echo '<sip:caller@127.0.0.1;transport=udp>;regint=0;mediaenc=dtls_srtp;medianat=ice' > home/accounts
LD_LIBRARY_PATH=root/usr/lib/x86_64-linux-gnu:root/lib/x86_64-linux-gnu \
    root/usr/bin/baresip -f home -e "/dial sip:peer@127.0.0.1:$(cat port)" > baresip.log 2>&1 & baresip=$!
wait "$invited"
kill "$baresip"
baresip=
venv/bin/python aiortc_hears.py >> seen
node node_hears.mjs >> seen
cat seen
cat > expected <<'TEXT'
User-Agent: baresip v1.0.0 (x86_64/linux)
session level: ice-ufrag, ice-pwd, setup, fingerprint:SHA-256; m-section: UDP/TLS/RTP/SAVPF, rtcp, rtcp-rsize, minptime, components 1 2
aiortc 1.16.0: refused (RTCP mux is not enabled)
aiortc 1.16.0, a=rtcp-mux added: accepted
werift 0.25.2: refused (mid not assigned)
werift 0.25.2, a=mid added: accepted
libdatachannel 0.24.5: accepted
TEXT
cmp seen expected
