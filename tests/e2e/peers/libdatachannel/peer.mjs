// libdatachannel as a phone: peer.mjs URL ACCOUNT PASSWORD FREQUENCY HEARD [SAVE].
//
// It sends a tone of FREQUENCY Hz, and writes what it hears to HEARD, as 16-bit samples at 8000 Hz.

import { setTimeout as sleep } from 'node:timers/promises';

import libdatachannel from 'node-datachannel';

import { log, obey, print } from '../../browser/lines.mjs';
import { listener, payloadOf, speak } from '../audio.mjs';
import { Phone } from '../sip.mjs';

const [url, account, password, frequency, heard, save] = process.argv.slice(2);
const phone = new Phone({ url, account, password, save }, answerOffer);
const hear = listener(heard);
const SSRC = 0x64617461;

const kept = [];
let connection, described, track, hush, held;

const methods = {
  register: () => phone.register(),

  async call(number) {
    connect();
    use(connection.addTrack(audio('SendRecv')));
    await negotiate((sdp) => phone.invite(number, sdp));
    await opened();
  },

  async answer() {
    const invite = await phone.nextInvite();
    connect();
    connection.onTrack((offered) => use(offered));
    await phone.accept(invite, await answerOffer(invite.body));
    await opened();
  },

  hold: () => redirect('SendOnly'),
  unhold: () => redirect('SendRecv'),

  async hangup() {
    await phone.bye();
    close();
  },

  async ended() {
    await phone.ended();
    close();
  },
};

function connect() {
  connection = new libdatachannel.PeerConnection(account, { iceServers: [], disableAutoNegotiation: true });
  connection.onLocalDescription(() => (described = true));
  connection.onStateChange((state) => log(`it is ${state}`));
}

function audio(direction) {
  const media = new libdatachannel.Audio('audio', direction);
  media.addAudioCodec(0, 'PCMU/8000');
  media.addSSRC(SSRC, 'peer');
  return media;
}

function use(given) {
  track = given;
  track.onMessage((packet) => {
    const payload = payloadOf(packet);
    if (payload) hear(payload);
  });
  const send = (packet) => track.isOpen() && track.sendMessageBinary(packet);
  hush = speak(Number(frequency), SSRC, (packet) => held || send(packet));
}

/** A track of the same mid replaces the description of the first; if it were collected as garbage, it would close it. */
async function redirect(direction) {
  kept.push(connection.addTrack(audio(direction)));
  await negotiate((sdp) => phone.offer(sdp));
  held = direction === 'SendOnly';
  const fitting = held ? 'a=recvonly' : 'a=sendrecv';
  if (!connection.remoteDescription().sdp.includes(fitting)) throw new Error(`the answer is not ${fitting}`);
}

async function negotiate(send) {
  const answer = await send(await describe('offer'));
  connection.setRemoteDescription(answer, 'answer');
}

async function answerOffer(sdp) {
  connection.setRemoteDescription(sdp, 'offer');
  return describe('answer');
}

async function describe(type) {
  described = false;
  connection.setLocalDescription(type);
  await until(() => described && connection.gatheringState() === 'complete', 'candidates');
  return connection.localDescription().sdp;
}

async function opened() {
  await until(() => connection.state() === 'connected', 'connection');
  await until(() => track?.isOpen(), 'open track');
}

async function until(holds, what) {
  for (const end = Date.now() + 15_000; !holds(); await sleep(20)) {
    if (Date.now() > end) throw new Error(`no ${what} after 15 s; it is ${connection.state()}`);
  }
}

function close() {
  hush?.();
  connection.close();
}

print({ ready: true });
await obey((method, given) => methods[method](...given));
process.exit();
