// werift as a phone: peer.mjs URL ACCOUNT PASSWORD FREQUENCY HEARD [SAVE].
//
// It sends a tone of FREQUENCY Hz, and writes what it hears to HEARD, as 16-bit samples at 8000 Hz.

import { MediaStreamTrack, RTCPeerConnection, RTCRtpCodecParameters } from 'werift';

import { obey, print } from '../../browser/lines.mjs';
import { listener, speak } from '../audio.mjs';
import { Phone, timely } from '../sip.mjs';

const [url, account, password, frequency, heard, save] = process.argv.slice(2);
const phone = new Phone({ url, account, password, save }, answerOffer);
const hear = listener(heard);
const PCMU = new RTCRtpCodecParameters({ mimeType: 'audio/PCMU', clockRate: 8000, channels: 1, payloadType: 0 });

let connection, transceiver, hush, held;

const methods = {
  register: () => phone.register(),

  async call(number) {
    connect();
    transceiver = connection.addTransceiver(tone(), { direction: 'sendrecv' });
    await negotiate((sdp) => phone.invite(number, sdp));
    await connected();
  },

  async answer() {
    const invite = await phone.nextInvite();
    connect();
    connection.addTrack(tone());
    await phone.accept(invite, await answerOffer(invite.body));
    transceiver = connection.getTransceivers()[0];
    await connected();
  },

  hold: () => redirect('sendonly'),
  unhold: () => redirect('sendrecv'),

  async hangup() {
    await phone.bye();
    await close();
  },

  async ended() {
    await phone.ended();
    await close();
  },
};

function connect() {
  connection = new RTCPeerConnection({ codecs: { audio: [PCMU] }, iceServers: [] });
  connection.onTrack.subscribe((track) => track.onReceiveRtp.subscribe((rtp) => hear(rtp.payload)));
}

function tone() {
  const track = new MediaStreamTrack({ kind: 'audio' });
  hush = speak(Number(frequency), 0x77657269, (packet) => held || track.writeRtp(packet));
  return track;
}

async function redirect(direction) {
  transceiver.setDirection(direction);
  await negotiate((sdp) => phone.offer(sdp));
  const current = transceiver.currentDirection;
  held = direction === 'sendonly';
  if (current !== direction) throw new Error(`the answer makes it ${current}`);
}

async function negotiate(send) {
  await connection.setLocalDescription(await connection.createOffer());
  const answer = await send(connection.localDescription.sdp);
  await connection.setRemoteDescription({ type: 'answer', sdp: answer });
}

async function answerOffer(sdp) {
  await connection.setRemoteDescription({ type: 'offer', sdp });
  await connection.setLocalDescription(await connection.createAnswer());
  return connection.localDescription.sdp;
}

async function connected() {
  if (connection.connectionState === 'connected') return;
  const states = connection.connectionStateChange;
  await timely(states.watch((state) => state === 'connected'), 'connection', 15_000);
}

async function close() {
  hush();
  await connection.close();
}

print({ ready: true });
await obey((method, given) => methods[method](...given));
process.exit();
