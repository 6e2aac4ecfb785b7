// The page under test: a SIP phone whose every method the driver may call as `phone.<method>(...)`.
//
// It sends a pure tone and measures by frequency what it hears: a call has audio if the right tone arrives,
// not just packets.

import JsSIP from 'jssip';
import { Ear } from './ear.js';
import { Picture } from './picture.js';
import { pictures, summary } from './statistics.js';
import { Voice } from './voice.js';

const audio = { audio: true, video: false };

class Phone {
  #agent = null;
  #session = null;
  #ear = new Ear();
  #voice = new Voice();
  #picture = new Picture();
  #events = [];
  #waiting = [];
  #source = { kind: 'microphone' };
  #unnamed = false;
  #without;

  /** Registers. `source` is the audio that calls send: `{kind: 'tone', frequency}`, or `{kind: 'microphone'}`. */
  async register({ server, uri, password, source }) {
    this.#source = source;
    const agent = new JsSIP.UA({
      sockets: [new JsSIP.WebSocketInterface(server)], uri, password, session_timers: false, register: true,
    });
    this.#agent = agent;
    for (const name of ['connected', 'disconnected', 'registered', 'unregistered']) agent.on(name, () => this.#note(name));
    agent.on('registrationFailed', ({ cause }) => this.#note('registrationFailed', cause));
    agent.on('newRTCSession', ({ session, originator }) => this.#begin(session, originator));
    agent.start();
    return this.until(['registered', 'registrationFailed'], 15);
  }

  async unregister() {
    this.#agent.stop();
    return this.until(['disconnected'], 10);
  }

  /**
   * Calls; resolves when the INVITE is under way. `pc` is the configuration of RTCPeerConnection, `colours` are those of the
   * picture to send, `unnamed` removes the SSRCs from our offer (RFC 5576), `without` names a format that is removed from the
   * answer before the browser sees it (`telephone-event/8000`).
   */
  async dial(number, { pc = {}, colours, unnamed = false, without } = {}) {
    this.#forget();
    this.#unnamed = unnamed;
    this.#without = without;
    const target = `sip:${number}@${this.#agent.configuration.uri.host}`;
    this.#agent.call(target, { ...(await this.#media(colours)), pcConfig: pc });
  }

  async answer({ pc = {}, colours } = {}) {
    // Do not return this call to code that waits for the next one.
    this.#events = this.#events.filter(({ name }) => name !== 'ringing');
    this.#session.answer({ ...(await this.#media(colours)), pcConfig: pc });
  }

  /** Resolves with the first event of these names since the call began, or `null` after `seconds`. */
  until(names, seconds) {
    const seen = this.#events.find(({ name }) => names.includes(name));
    if (seen) return Promise.resolve(seen);
    return new Promise((resolve) => {
      const waiting = { names, resolve };
      this.#waiting.push(waiting);
      setTimeout(() => {
        this.#waiting = this.#waiting.filter((one) => one !== waiting);
        resolve(null);
      }, seconds * 1000);
    });
  }

  hold() {
    return this.#renegotiate((done) => this.#session.hold({}, done));
  }

  unhold() {
    return this.#renegotiate((done) => this.#session.unhold({}, done));
  }

  /** Sends digits as telephone-event (RFC 4733), through the browser's own sender. */
  dtmf(digits, duration) {
    this.#session.sendDTMF(digits, { transportType: 'RFC2833', duration, interToneGap: 120 });
  }

  hangup() {
    this.#session.terminate();
  }

  /** Transfers the far end to another number (REFER, blind). */
  transfer(number) {
    this.#session.refer(`sip:${number}@${this.#agent.configuration.uri.host}`);
  }

  /** The share of each of these tones in what is heard during `seconds`; see `Ear.listen`. */
  listen(frequencies, seconds) {
    return this.#ear.listen(frequencies, seconds);
  }

  /** The colours received at this moment, and the number of frames so far. */
  async look() {
    return { seen: this.#picture.look(), ...pictures(await this.#session.connection.getStats()) };
  }

  async statistics() {
    return summary(await this.#session.connection.getStats());
  }

  /** The descriptions as the browser holds them, for the log. */
  descriptions() {
    const { localDescription, remoteDescription, connectionState, iceConnectionState } = this.#session.connection;
    return { connectionState, iceConnectionState, local: localDescription?.sdp, remote: remoteDescription?.sdp };
  }

  /** Every event since the call began. */
  events() {
    return this.#events;
  }

  #begin(session, originator) {
    if (originator === 'remote') this.#forget();
    this.#session = session;
    for (const name of ['progress', 'accepted', 'confirmed', 'hold', 'unhold']) {
      session.on(name, ({ originator } = {}) => this.#note(name, originator));
    }
    for (const name of ['ended', 'failed']) {
      session.on(name, ({ cause, originator }) => this.#note(name, `${originator}: ${cause}`));
    }
    session.on('peerconnection', ({ peerconnection }) => this.#watch(peerconnection));
    if (session.connection) this.#watch(session.connection);
    for (const kind of ['createofferfailed', 'createanswerfailed', 'setlocaldescriptionfailed', 'setremotedescriptionfailed']) {
      session.on(`peerconnection:${kind}`, (error) => this.#note(kind, String(error)));
    }
    session.on('sdp', (description) => {
      const { originator, type } = description;
      if (originator === 'local' && this.#unnamed) description.sdp = description.sdp.replace(/^a=ssrc.*\r\n/gm, '');
      if (originator === 'remote' && this.#without) description.sdp = withoutFormat(this.#without, description.sdp);
      console.log(`SDP ${originator} ${type}\n${description.sdp}`);
    });
    if (originator === 'remote') this.#note('ringing', session.remote_identity.uri.user);
  }

  #watch(connection) {
    connection.addEventListener('track', ({ track }) => (track.kind === 'video' ? this.#picture.see(track) : this.#ear.hear(track)));
    for (const name of ['connectionState', 'iceConnectionState']) {
      connection.addEventListener(name.toLowerCase() + 'change', () => this.#note(name, connection[name]));
    }
  }

  /** Asks for the microphone as a page does: before that a browser hides its addresses (RFC 8828). */
  async #media(colours) {
    if (colours) {
      const mediaStream = (await this.#sound()).mediaStream ?? (await navigator.mediaDevices.getUserMedia(audio));
      mediaStream.addTrack(this.#picture.show(colours));
      return { mediaConstraints: { audio: true, video: true }, mediaStream };
    }
    return this.#sound();
  }

  async #sound() {
    if (this.#source.kind === 'microphone') return { mediaConstraints: audio };
    if (!this.#source.withoutPermission) {
      this.microphone ??= await navigator.mediaDevices.getUserMedia(audio);
    }
    return { mediaConstraints: audio, mediaStream: this.#voice.tone(this.#source.frequency) };
  }

  #renegotiate(start) {
    return new Promise((resolve, reject) => {
      setTimeout(() => reject(new Error('the re-INVITE was not answered')), 10_000);
      if (!start(() => resolve(true))) reject(new Error('the phone is not ready for a re-INVITE'));
    });
  }

  #forget() {
    this.#events = this.#events.filter(({ name }) => name === 'registered');
  }

  #note(name, detail) {
    console.log(`event ${name} ${detail ?? ''}`);
    const event = { name, detail, at: performance.now() };
    this.#events.push(event);
    const heard = this.#waiting.filter(({ names }) => names.includes(name));
    this.#waiting = this.#waiting.filter((one) => !heard.includes(one));
    for (const { resolve } of heard) resolve(event);
  }
}

function withoutFormat(name, sdp) {
  const payloadType = sdp.match(new RegExp(`^a=rtpmap:(\\d+) ${name}\\b`, 'm'))?.[1];
  if (!payloadType) return sdp;
  return sdp
    .replace(new RegExp(`^a=(rtpmap|fmtp):${payloadType} .*\r\n`, 'gm'), '')
    .replace(new RegExp(`^(m=audio .*) ${payloadType}\\b`, 'm'), '$1');
}

JsSIP.debug.enable('JsSIP:Transport JsSIP:RTCSession');
window.phone = new Phone();
