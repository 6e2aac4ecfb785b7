// The page under test: a SIP phone whose every method the driver may call as `phone.<method>(...)`.
//
// It sends a pure tone and measures by frequency what it hears: a call has audio if the right tone arrives,
// not just packets. SIP is done by one of several libraries, behind the same methods.

import { firstAudio } from './arrival.js';
import { messages, watchConnections, watchSockets } from './taps.js';
import { Ear } from './ear.js';
import { Gaps } from './gaps.js';
import { JsSipLine } from './jssip.js';
import { Microphone } from './microphone.js';
import { SipJsLine } from './sipjs.js';
import { SipMlLine } from './sipml.js';
import { SimpleUserLine } from './simpleuser.js';
import { pictures, selected, summary } from './statistics.js';
import { CONTENT_TYPE, HEADERS, Trickle, untilAudio, withoutCandidates } from './trickle.js';

const LIBRARIES = { jssip: JsSipLine, sipjs: SipJsLine, simpleuser: SimpleUserLine, sipml: SipMlLine };

class Phone {
  #line = null;
  #connection = null;
  #ear = new Ear();
  #microphone = new Microphone();
  #events = [];
  #waiting = [];
  #unnamed = false;
  #without;
  #trickles = null;
  #trickle = null;
  #gaps = null;
  #gathering = null;
  #audio = null;

  constructor() {
    this.#microphone.install();
    watchConnections((connection) => this.#watch(connection));
    watchSockets(() => {});
  }

  /**
   * Registers with the library `library`. `source` is the audio that calls send: `{kind: 'tone', frequency}`, or
   * `{kind: 'microphone'}`. `account` has the server, uri and password, and `options` for the library.
   */
  async register({ library = 'jssip', source, ...account }) {
    this.#microphone.use(source);
    const told = {
      note: (name, detail) => this.#note(name, detail),
      next: (names, seconds) => this.#next(names, seconds),
      begin: (originator) => originator === 'remote' && this.#forget(),
      description: (description) => this.#described(description),
      offer: (connection, direction) => this.#offer(connection, direction),
    };
    this.#line = new LIBRARIES[library](told);
    await this.#line.register(account);
    return this.until(['registered', 'registrationFailed'], 15);
  }

  async unregister() {
    await this.#line.unregister();
    return this.until(['disconnected'], 10);
  }

  /**
   * Calls; resolves when the INVITE is under way. `pc` is the configuration of RTCPeerConnection, `colours` are those of the
   * picture to send, `unnamed` removes the SSRCs from our offer (RFC 5576), `without` names a format that is removed from the
   * answer before the browser sees it (`telephone-event/8000`), `direction` is that of the offered audio. With `trickles` the
   * offer has no candidates, which `trickle` sends later; if it is `waits`, the page hears of no candidates of the other end.
   * `gathering` is the longest time in milliseconds that the offer waits for candidates from `pc.iceServers`.
   */
  async dial(number, { pc = {}, colours, unnamed = false, without, direction, trickles = null, gathering = null } = {}) {
    this.#forget();
    this.#gathering = gathering;
    this.#trickles = trickles;
    this.#unnamed = unnamed;
    this.#without = without;
    this.#paint(colours);
    await this.#line.dial(number, { pc, direction, video: colours !== undefined });
  }

  async answer({ pc = {}, colours } = {}) {
    // Do not return this call to code that waits for the next one.
    this.#events = this.#events.filter(({ name }) => name !== 'ringing');
    this.#paint(colours);
    await this.#line.answer({ pc, video: colours !== undefined });
  }

  /** Resolves with the first event of these names since the call began, or `null` after `seconds`. */
  until(names, seconds) {
    const seen = this.#events.find(({ name }) => names.includes(name));
    return seen ? Promise.resolve(seen) : this.#next(names, seconds);
  }

  /** Sends the candidates in INFO. Resolves with the milliseconds from there to the first audio packet, or `null`. */
  async trickle() {
    const [first, all] = this.#trickle.fragments();
    this.#line.info(CONTENT_TYPE, first, HEADERS);
    const audio = untilAudio(this.#connection, 10);
    await new Promise((resolve) => setTimeout(resolve, 20));
    this.#line.info(CONTENT_TYPE, all, HEADERS);
    return audio;
  }

  /**
   * Waits for the first audio packet of an accepted call. Resolves with the milliseconds from the answer to that packet, `null` if
   * there is none within `seconds`, the states of the transport, and the selected pair.
   */
  async path(seconds) {
    const milliseconds = await Promise.race([this.#audio, pause(seconds)]);
    const { connectionState, iceConnectionState } = this.#connection;
    const pair = milliseconds === null ? {} : selected(await this.#connection.getStats());
    return { milliseconds, connectionState, iceConnectionState, ...pair };
  }

  /** Milliseconds from the answer, sent or received, to the first audio of the call; `null` if none comes within `seconds`. */
  async arrival(seconds) {
    const accepted = await this.until(['accepted'], seconds);
    const arrived = accepted && await firstAudio(this.#connection, seconds);
    return arrived && arrived - accepted.at;
  }

  async hold() {
    await this.#line.hold();
  }

  async unhold() {
    await this.#line.unhold();
  }

  /** Offers another direction of the audio in a re-INVITE; sends the page's tone if it is one that sends. */
  async renegotiate(direction) {
    const [transceiver] = this.#connection.getTransceivers();
    if (direction.startsWith('send') && !transceiver.sender.track) {
      await transceiver.sender.replaceTrack(await this.#track());
    }
    transceiver.direction = direction;
    await this.#line.renegotiate(direction);
  }

  /** Adds a camera in a re-INVITE, with these colours, or removes it. */
  async camera(colours) {
    if (colours) {
      this.#paint(colours);
      const stream = await navigator.mediaDevices.getUserMedia({ video: true });
      this.#connection.addTrack(stream.getVideoTracks()[0], stream);
    } else {
      for (const transceiver of this.#connection.getTransceivers()) {
        if (transceiver.receiver.track.kind === 'video') transceiver.stop();
      }
    }
    await this.#line.renegotiate();
  }

  /** Restarts ICE (RFC 8445 section 9) in a re-INVITE, which has no candidates if it is `early`. Resolves with the milliseconds until its answer was applied. */
  async restart(early) {
    const began = performance.now();
    if (early) this.#connection.restartIce();
    await (early ? this.#line.renegotiate() : this.#line.restart());
    return performance.now() - began;
  }

  /** Starts to measure gaps in the received audio. */
  watchGaps() {
    this.#gaps?.finish();
    this.#gaps = new Gaps(this.#connection.getReceivers()[0]);
  }

  /** Ends the measurement; see `Gaps.finish`. */
  gap() {
    return this.#gaps.finish();
  }

  /** Sends digits as telephone-event (RFC 4733), through the browser's own sender. */
  dtmf(digits, duration) {
    this.#line.dtmf(digits, duration);
  }

  async hangup() {
    await this.#line.hangup();
  }

  /** Transfers the far end to another number (REFER, blind). */
  transfer(number) {
    this.#line.transfer(number);
  }

  /** The share of each of these tones in what is heard during `seconds`; see `Ear.listen`. */
  listen(frequencies, seconds) {
    return this.#ear.listen(frequencies, seconds);
  }

  /** The colours received at this moment, and the number of frames so far. */
  async look() {
    return { seen: this.#microphone.picture.look(), ...pictures(await this.#connection.getStats()) };
  }

  async statistics() {
    return summary(await this.#connection.getStats());
  }

  /** The descriptions as the browser holds them, and the audio's negotiated direction: sipML5 adds one at each resume. */
  descriptions() {
    const { localDescription, remoteDescription, connectionState, iceConnectionState } = this.#connection;
    const audio = this.#connection.getTransceivers().filter(({ receiver }) => receiver.track.kind === 'audio');
    const direction = audio.at(-1)?.currentDirection;
    return { connectionState, iceConnectionState, direction, local: localDescription?.sdp, remote: remoteDescription?.sdp };
  }

  /** Every event since the call began. */
  events() {
    return this.#events;
  }

  /** Every SIP message so far. */
  messages() {
    return messages;
  }

  /** Resolves with the next event of these names, or `null` after `seconds`. */
  #next(names, seconds) {
    return new Promise((resolve) => {
      const waiting = { names, resolve };
      this.#waiting.push(waiting);
      setTimeout(() => {
        this.#waiting = this.#waiting.filter((one) => one !== waiting);
        resolve(null);
      }, seconds * 1000);
    });
  }

  #paint(colours) {
    if (colours) this.#microphone.picture.paint(colours);
  }

  #described({ originator, type, sdp }) {
    let described = sdp;
    if (originator === 'local' && this.#unnamed) described = described.replace(/^a=ssrc.*\r\n/gm, '');
    if (originator === 'remote' && this.#without) described = withoutFormat(this.#without, described);
    console.log(`SDP ${originator} ${type}\n${described}`);
    return described;
  }

  /** Gives a new connection audio of this direction. */
  async #offer(connection, direction) {
    const { sender } = connection.addTransceiver('audio', { direction });
    if (direction.startsWith('send')) await sender.replaceTrack(await this.#track());
  }

  async #track() {
    return (await navigator.mediaDevices.getUserMedia({ audio: true })).getAudioTracks()[0];
  }

  #watch(connection) {
    this.#connection = connection;
    if (this.#trickles) this.#trickle = new Trickle(connection);
    if (this.#gathering !== null) limitGathering(connection, this.#gathering);
    if (this.#trickles === 'waits') hideRemoteCandidates(connection);
    const { picture } = this.#microphone;
    connection.addEventListener('track', ({ track }) => (track.kind === 'video' ? picture.see(track) : this.#ear.hear(track)));
    for (const name of ['connectionState', 'iceConnectionState']) {
      connection.addEventListener(name.toLowerCase() + 'change', () => this.#note(name, connection[name]));
    }
  }

  #forget() {
    this.#events = this.#events.filter(({ name }) => name === 'registered');
  }

  #note(name, detail) {
    console.log(`event ${name} ${detail ?? ''}`);
    const event = { name, detail, at: performance.now() };
    if (name === 'accepted' && this.#gathering !== null) this.#audio = untilAudio(this.#connection, 30);
    this.#events.push(event);
    const heard = this.#waiting.filter(({ names }) => names.includes(name));
    this.#waiting = this.#waiting.filter((one) => !heard.includes(one));
    for (const { resolve } of heard) resolve(event);
  }
}

const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000, null));

/** Makes the end of gathering look near: the library waits for it before it sends its offer. */
function limitGathering(connection, milliseconds) {
  const { get } = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(connection), 'iceGatheringState');
  let over = false;
  Object.defineProperty(connection, 'iceGatheringState', { get: () => (over ? 'complete' : get.call(connection)) });
  const end = () => {
    over = true;
    connection.dispatchEvent(new Event('icegatheringstatechange'));
  };
  connection.addEventListener('icegatheringstatechange', () => {
    if (get.call(connection) === 'gathering') setTimeout(end, milliseconds);
  }, { once: true });
}

function hideRemoteCandidates(connection) {
  const set = connection.setRemoteDescription.bind(connection);
  connection.setRemoteDescription = ({ type, sdp }) => set({ type, sdp: withoutCandidates(sdp) });
}

function withoutFormat(name, sdp) {
  const payloadType = sdp.match(new RegExp(`^a=rtpmap:(\\d+) ${name}\\b`, 'm'))?.[1];
  if (!payloadType) return sdp;
  return sdp
    .replace(new RegExp(`^a=(rtpmap|fmtp):${payloadType} .*\r\n`, 'gm'), '')
    .replace(new RegExp(`^(m=audio .*) ${payloadType}\\b`, 'm'), '$1');
}

window.phone = new Phone();
