#!/bin/bash
# aiortc 1.16.0 (PyPI) connects to a peer with an RSA certificate or fails, by which of the two takes the DTLS client's part.
#
# libdatachannel (node-datachannel 0.33.4, npm) is given an RSA-2048 certificate, which RFC 8827 lets an endpoint have.
# When aiortc offers, libdatachannel answers with a=setup:active and is the client: connected. When libdatachannel offers,
# aiortc answers with a=setup:active; its ClientHello names only suites that authenticate with ECDSA, the server has none
# in common with them, and the handshake fails. The fingerprints and the ICE checks are good in both. So a server that has
# to keep an RSA certificate reaches aiortc only as the active side.
#
# Output seen:
#   aiortc 1.16.0, node-datachannel 0.33.4
#   aiortc offers, the peer with RSA is the client: connected
#   the peer with RSA offers and is the server: failed
#   authentication in aiortc's cipher suites: ECDSA
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
    aiortc==1.16.0 aioice==0.13.0 av==18.1.0 pyopenssl==26.4.0 cryptography==50.0.2 pylibsrtp==1.0.0 >&2
npm install --silent --no-audit --no-fund --prefix . node-datachannel@0.33.4 >&2
openssl req -x509 -newkey rsa:2048 -nodes -keyout rsa.key -out rsa.pem -days 30 -subj /CN=peer 2> openssl.log
cat > peer.mjs <<'JS'
// A libdatachannel peer with an RSA certificate: "offer" or "answer", descriptions as JSON lines.
import { createInterface } from 'node:readline';
import { PeerConnection } from 'node-datachannel';

const pc = new PeerConnection('rsa', {
  iceServers: [], bindAddress: '127.0.0.1', certificatePemFile: 'rsa.pem', keyPemFile: 'rsa.key',
});
pc.onGatheringStateChange((state) => { if (state === 'complete') console.log(JSON.stringify(pc.localDescription())); });
if (process.argv[2] === 'offer') pc.createDataChannel('any');
const lines = createInterface({ input: process.stdin });
lines.on('line', (line) => { const { type, sdp } = JSON.parse(line); pc.setRemoteDescription(sdp, type); });
lines.on('close', () => process.exit());
JS
cat > call.py <<'PY'
import asyncio, json, re, sys
from importlib.metadata import version

import aioice.ice
from OpenSSL import SSL
from aiortc import RTCCertificate, RTCPeerConnection, RTCSessionDescription
from aiortc.rtcdtlstransport import SRTP_PROFILES

# Nothing leaves this machine.
aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]


async def call(peer_offers):
    peer = await asyncio.create_subprocess_exec(
        "node", "peer.mjs", "offer" if peer_offers else "answer", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE)

    async def hear():
        return RTCSessionDescription(**json.loads(await asyncio.wait_for(peer.stdout.readline(), 20)))

    def say(description):
        peer.stdin.write(json.dumps({"type": description.type, "sdp": description.sdp}).encode() + b"\n")

    pc = RTCPeerConnection()
    ended = asyncio.Event()

    @pc.on("connectionstatechange")
    def changed():
        if pc.connectionState in ("connected", "failed"):
            ended.set()

    if peer_offers:
        await pc.setRemoteDescription(await hear())
        await pc.setLocalDescription(await pc.createAnswer())
        say(pc.localDescription)
    else:
        pc.createDataChannel("any")
        await pc.setLocalDescription(await pc.createOffer())
        say(pc.localDescription)
        await pc.setRemoteDescription(await hear())
    await asyncio.wait_for(ended.wait(), 20)
    state = pc.connectionState
    peer.stdin.close()
    await peer.wait()
    await pc.close()
    return state


def authentications():
    """What a client context of aiortc's proves servers with, from the names of its cipher suites."""
    context = RTCCertificate.generateCertificate()._create_ssl_context(SRTP_PROFILES)
    names = SSL.Connection(context, None).get_cipher_list()
    return sorted({re.search("ECDSA|RSA|PSK|DSS", name).group() for name in names if not name.startswith("TLS_")})


print(f"aiortc {version('aiortc')}, node-datachannel {json.load(open('node_modules/node-datachannel/package.json'))['version']}")
as_server = asyncio.run(call(peer_offers=False))
print(f"aiortc offers, the peer with RSA is the client: {as_server}")
as_client = asyncio.run(call(peer_offers=True))
print(f"the peer with RSA offers and is the server: {as_client}")
suites = authentications()
print(f"authentication in aiortc's cipher suites: {', '.join(suites)}")
sys.exit(0 if (as_server, as_client, suites) == ("connected", "failed", ["ECDSA"]) else 1)
PY
venv/bin/python call.py
