#!/bin/bash
# JsSIP 3.13.8 (npm) refreshes a session that its peer never agreed to time, with a method that the peer does not allow.
#
# At its defaults JsSIP offers "Session-Expires: 90" and "Supported: timer". The 200 OK here has neither Session-Expires
# nor Supported, from a peer without RFC 4028, and its Allow names INVITE, ACK, CANCEL and BYE only. By RFC 4028, section
# 7.2, such a session has no expiration and needs no refresh, and by section 7.4 UPDATE is for peers that list it in
# Allow, with a re-INVITE for the others. JsSIP makes itself the refresher, and 45 seconds after the answer sends an
# UPDATE all the same. It takes the refusal (501) in silence, sends no re-INVITE in its place, and neither ends the call
# nor tells the application. So a server that watches for refreshes sees none from it that it can take.
#
# The call runs in Node over a transport in memory, with libdatachannel (node-datachannel 0.33.4) for WebRTC.
#
# Output seen (takes 60 seconds):
#   JsSIP 3.13.8
#   0 s: INVITE, Session-Expires: 90
#   0 s: ACK
#   45 s: UPDATE, Session-Expires: 90;refresher=uac
#   60 s: the call is established
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm install --silent --no-audit --no-fund --prefix . jssip@3.13.8 node-datachannel@0.33.4 >&2
cat > call.mjs <<'JS'
globalThis.window = globalThis;
const { RTCPeerConnection, RTCSessionDescription } = await import('node-datachannel/polyfill');
Object.assign(globalThis, { RTCPeerConnection, RTCSessionDescription });
const { default: JsSIP } = await import('jssip');

const began = Date.now();
const seconds = () => Math.round((Date.now() - began) / 1000);
const header = (message, name) => message.match(new RegExp(`^${name}: *(.*)$`, 'im'))?.[1];
const copied = (message, names) => names.map((name) => `${name}: ${header(message, name)}`);
const peer = new RTCPeerConnection();
const requests = [];

async function answer(invite) {
  await peer.setRemoteDescription({ type: 'offer', sdp: invite.split('\r\n\r\n')[1] });
  await peer.setLocalDescription(await peer.createAnswer());
  const { sdp } = peer.localDescription;
  return ['SIP/2.0 200 OK', ...copied(invite, ['Via', 'From', 'Call-ID', 'CSeq']), `To: ${header(invite, 'To')};tag=peer`,
    'Contact: <sip:peer@127.0.0.1>', 'Allow: INVITE, ACK, CANCEL, BYE',
    'Content-Type: application/sdp', `Content-Length: ${sdp.length}`, '', sdp].join('\r\n');
}

const transport = {
  url: 'ws://127.0.0.1', sip_uri: 'sip:127.0.0.1;transport=ws', via_transport: 'WS',
  connect() { setTimeout(() => this.onconnect()); },
  disconnect() {},
  isConnected: () => true,
  isConnecting: () => false,
  send(message) {
    const method = message.split(' ')[0];
    const expires = header(message, 'Session-Expires');
    requests.push({ method, at: seconds(), expires });
    console.log(`${seconds()} s: ${method}${expires ? `, Session-Expires: ${expires}` : ''}`);
    const status = method === 'UPDATE' ? '501 Not Implemented' : '200 OK';
    if (method === 'INVITE') answer(message).then((text) => this.ondata(text));
    else if (method !== 'ACK') setTimeout(() => this.ondata([`SIP/2.0 ${status}`,
      ...copied(message, ['Via', 'From', 'To', 'Call-ID', 'CSeq']), 'Content-Length: 0', '', ''].join('\r\n')));
    return true;
  },
};

console.log(`JsSIP ${JsSIP.version}`);
const ua = new JsSIP.UA({ sockets: [transport], uri: 'sip:page@127.0.0.1', register: false });
ua.start();
const session = ua.call('sip:peer@127.0.0.1', {
  mediaConstraints: { audio: false, video: false },
  eventHandlers: { peerconnection: ({ peerconnection }) => peerconnection.createDataChannel('any') },
});
let told = 'nothing';
for (const event of ['failed', 'ended']) session.on(event, ({ cause }) => { told = `${event}: ${cause}`; });
await new Promise((resolve) => setTimeout(resolve, 60_000));
console.log(`${seconds()} s: the call is ${session.isEstablished() ? 'established' : told}`);
const [invite, ack, update, ...more] = requests;
process.exit(invite.expires === '90' && ack.method === 'ACK' && update?.method === 'UPDATE'
  && update.at >= 44 && update.at <= 48 && update.expires === '90;refresher=uac'
  && more.length === 0 && session.isEstablished() && told === 'nothing' ? 0 : 1);
JS
node call.mjs
