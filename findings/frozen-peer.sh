#!/bin/bash
# Of a frozen peer, werift tells by "failed" after half a minute, libdatachannel by "failed" and "closed", aiortc by "closed" alone.
#
# Each calls a libdatachannel peer of its own, whose process is stopped (SIGSTOP) once all are connected. Its sockets stay
# open, so no ICMP error helps; all that is missing is its answers to consent checks (RFC 7675: consent ends after 30
# seconds) and its own checks. The W3C's states have "disconnected" for a peer that may come back and "failed" for one
# that did not; pages restart ICE on them. Here "disconnected" comes from none of the three. werift goes straight to
# "failed". libdatachannel says "failed", and "closed" in the same moment, which leaves nothing to restart. aiortc skips
# "failed" too: its state becomes "closed", which otherwise means that the application itself called close(). So an
# application that waits for "failed" or "disconnected" misses the end of an aiortc call.
#
# Output seen (seconds after the peer froze; they vary by some):
#   aiortc 1.16.0: closed after 31 s
#   werift 0.25.2: failed after 27 s
#   libdatachannel 0.24.5: failed after 28 s, closed after 28 s
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
    aiortc==1.16.0 aioice==0.13.0 av==18.1.0 pyopenssl==26.4.0 cryptography==50.0.2 pylibsrtp==1.0.0 >&2
npm install --silent --no-audit --no-fund --prefix . werift@0.25.2 node-datachannel@0.33.4 >&2

cat > peer.mjs <<'JS'
// Answers one offer. A JSON line in, one out.
import { createInterface } from 'node:readline';
import { PeerConnection } from 'node-datachannel';

const kept = [];
const pc = new PeerConnection('frozen', { iceServers: [], bindAddress: '127.0.0.1' });
pc.onTrack((track) => kept.push(track));
pc.onGatheringStateChange((state) => { if (state === 'complete') console.log(JSON.stringify(pc.localDescription())); });
const lines = createInterface({ input: process.stdin });
lines.on('line', (line) => { const { type, sdp } = JSON.parse(line); pc.setRemoteDescription(sdp, type); });
lines.on('close', () => process.exit());
JS
cat > watch.py <<'PY'
import asyncio, json, signal, sys, time
from importlib.metadata import version

import aioice.ice
from aiortc import RTCPeerConnection, RTCSessionDescription

aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]


async def main(seconds):
    peer = await asyncio.create_subprocess_exec("node", "peer.mjs", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE)
    pc, seen, connected = RTCPeerConnection(), [], asyncio.Event()

    @pc.on("connectionstatechange")
    def changed():
        seen.append([pc.connectionState, time.monotonic()])
        if pc.connectionState == "connected":
            connected.set()

    pc.addTransceiver("audio")
    await pc.setLocalDescription(await pc.createOffer())
    peer.stdin.write(json.dumps({"type": "offer", "sdp": pc.localDescription.sdp}).encode() + b"\n")
    await pc.setRemoteDescription(RTCSessionDescription(**json.loads(await peer.stdout.readline())))
    await asyncio.wait_for(connected.wait(), 20)
    await asyncio.sleep(2)
    seen.clear()
    peer.send_signal(signal.SIGSTOP)
    began = time.monotonic()
    await asyncio.sleep(seconds)
    print(json.dumps({"name": f"aiortc {version('aiortc')}", "states": [[state, round(at - began)] for state, at in seen]}))
    peer.kill()
    await peer.wait()
    await pc.close()


asyncio.run(main(int(sys.argv[1])))
PY
cat > watch.mjs <<'JS'
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import nodeDatachannel from 'node-datachannel';
import { RTCPeerConnection } from 'werift';

const SECONDS = 60;
const wait = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

/** A party tells its `changed` each of its states, makes an `offer` and takes the answer with `accept`. */
async function werift(changed) {
  const pc = new RTCPeerConnection({ iceServers: [], iceUseIpv6: false,
    iceInterfaceAddresses: { udp4: '127.0.0.1' }, iceAdditionalHostAddresses: ['127.0.0.1'] });
  pc.connectionStateChange.subscribe(changed);
  pc.addTransceiver('audio');
  await pc.setLocalDescription(await pc.createOffer());
  const { version } = JSON.parse(readFileSync('node_modules/werift/package.json'));
  return { name: `werift ${version}`, offer: pc.localDescription, accept: (answer) => pc.setRemoteDescription(answer) };
}

async function libdatachannel(changed) {
  const pc = new nodeDatachannel.PeerConnection('watcher', { iceServers: [], bindAddress: '127.0.0.1' });
  pc.onStateChange(changed);
  const gathered = new Promise((resolve) => pc.onGatheringStateChange((state) => { if (state === 'complete') resolve(); }));
  const audio = new nodeDatachannel.Audio('0', 'SendRecv');
  audio.addAudioCodec(0, 'PCMU');
  const track = pc.addTrack(audio);
  pc.setLocalDescription('offer');
  await gathered;
  return { name: `libdatachannel ${nodeDatachannel.getLibraryVersion()}`, offer: pc.localDescription(),
    track, accept: ({ type, sdp }) => pc.setRemoteDescription(sdp, type) };
}

async function watch(make) {
  const peer = spawn('node', ['peer.mjs'], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: peer.stdout })[Symbol.asyncIterator]();
  let seen = [];
  const party = await make((state) => seen.push([state, Date.now()]));
  peer.stdin.write(`${JSON.stringify({ type: party.offer.type, sdp: party.offer.sdp })}\n`);
  await party.accept(JSON.parse((await lines.next()).value));
  for (let n = 0; n < 200 && seen.at(-1)?.[0] !== 'connected'; n += 1) await wait(0.1);
  if (seen.at(-1)?.[0] !== 'connected') throw new Error(`${party.name} did not connect`);
  await wait(2);
  seen = [];
  peer.kill('SIGSTOP');
  const began = Date.now();
  await wait(SECONDS);
  peer.kill('SIGKILL');
  return { name: party.name, states: seen.map(([state, at]) => [state, Math.round((at - began) / 1000)]) };
}

async function watchAiortc() {
  const watcher = spawn('venv/bin/python', ['watch.py', `${SECONDS}`], { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  for await (const part of watcher.stdout) text += part;
  return JSON.parse(text);
}

const all = await Promise.all([watchAiortc(), watch(werift), watch(libdatachannel)]);
for (const { name, states } of all) {
  console.log(`${name}: ${states.map(([state, at]) => `${state} after ${at} s`).join(', ')}`);
}
const expected = ['closed', 'failed', 'failed, closed'];
process.exit(all.every(({ states }, n) => states.map(([state]) => state).join(', ') === expected[n]
  && states.every(([, at]) => at >= 20 && at <= 45)) ? 0 : 1);
JS
node watch.mjs
