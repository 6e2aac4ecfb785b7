#!/bin/bash
# werift 0.25.2 (npm) hears nothing from a peer whose SDP has no a=ssrc line, although the call is connected.
#
# RFC 5576 makes a=ssrc optional, and an RTP receiver learns a source from its packets. Two werift peers call each other
# with one audio section, without header extensions, and the answer loses its a=ssrc line on the way. ICE and DTLS succeed
# and both sides are "connected". The answerer's 100 packets arrive, and are dropped without a
# word, because no track is bound to their SSRC; the single payload type and the single section do not serve to bind one.
# With the line left in, all of them are heard. So a server for such peers has to announce its SSRC before it sends.
#
# Output seen (the numbers may differ by a few packets):
#   werift 0.25.2
#   a=ssrc in the answer: connected, the offerer heard 100 packets, the answerer 100
#   no a=ssrc in the answer: connected, the offerer heard 0 packets, the answerer 100
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm install --silent --no-audit --no-fund --prefix . werift@0.25.2 >&2
cat > call.mjs <<'JS'
import { readFileSync } from 'node:fs';
import { MediaStreamTrack, RTCPeerConnection, RTCRtpCodecParameters, RtpHeader, RtpPacket } from 'werift';

const PACKETS = 100;
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function party(ssrc) {
  const pcmu = new RTCRtpCodecParameters({ mimeType: 'audio/PCMU', clockRate: 8000, channels: 1, payloadType: 0 });
  const pc = new RTCPeerConnection({
    codecs: { audio: [pcmu] }, headerExtensions: {}, iceUseIpv6: false, iceServers: [],
    iceInterfaceAddresses: { udp4: '127.0.0.1' }, iceAdditionalHostAddresses: ['127.0.0.1'],
  });
  const track = new MediaStreamTrack({ kind: 'audio' });
  const self = { pc, heard: 0, say: (n) => track.writeRtp(new RtpPacket(
    new RtpHeader({ payloadType: 0, sequenceNumber: n, timestamp: n * 160, ssrc }), Buffer.alloc(160, 0xff))) };
  pc.onTrack.subscribe((heard) => heard.onReceiveRtp.subscribe(() => { self.heard += 1; }));
  pc.addTransceiver(track, { direction: 'sendrecv' });
  return self;
}

async function call(change) {
  const [a, b] = [party(1111), party(2222)];
  await a.pc.setLocalDescription(await a.pc.createOffer());
  await b.pc.setRemoteDescription(a.pc.localDescription);
  await b.pc.setLocalDescription(await b.pc.createAnswer());
  await a.pc.setRemoteDescription({ type: 'answer', sdp: change(b.pc.localDescription.sdp) });
  for (let n = 0; n < 500 && !(a.pc.connectionState === 'connected' && b.pc.connectionState === 'connected'); n += 1) await wait(20);
  const state = a.pc.connectionState;
  for (let n = 1; n <= PACKETS; n += 1) { a.say(n); b.say(n); await wait(10); }
  await wait(500);
  return { state, offerer: a.heard, answerer: b.heard };
}

const told = ({ state, offerer, answerer }) => `${state}, the offerer heard ${offerer} packets, the answerer ${answerer}`;
console.log(`werift ${JSON.parse(readFileSync('node_modules/werift/package.json')).version}`);
const named = await call((sdp) => sdp);
console.log(`a=ssrc in the answer: ${told(named)}`);
const unnamed = await call((sdp) => sdp.replace(/a=ssrc:.*\r\n/g, ''));
console.log(`no a=ssrc in the answer: ${told(unnamed)}`);
const most = PACKETS * 0.9;
process.exit(named.offerer > most && named.answerer > most && unnamed.state === 'connected'
  && unnamed.offerer === 0 && unnamed.answerer > most ? 0 : 1);
JS
node call.mjs
