// The page's phone with JsSIP. `told` is what it reports to: see `Phone` in phone.js.

import JsSIP from 'jssip';

JsSIP.debug.enable('JsSIP:Transport JsSIP:RTCSession');

export class JsSipLine {
  #told;
  #agent = null;
  #session = null;

  constructor(told) {
    this.#told = told;
  }

  /** `options` are those of JsSIP.UA; without any it asks for no session timers. */
  register({ server, uri, password, options = {} }) {
    const agent = new JsSIP.UA({
      sockets: [new JsSIP.WebSocketInterface(server)], uri, password, session_timers: false, register: true, ...options,
    });
    this.#agent = agent;
    for (const name of ['connected', 'disconnected', 'registered', 'unregistered']) agent.on(name, () => this.#told.note(name));
    agent.on('registrationFailed', ({ cause }) => this.#told.note('registrationFailed', cause));
    agent.on('newRTCSession', ({ session, originator }) => this.#begin(session, originator));
    agent.start();
  }

  unregister() {
    this.#agent.stop();
  }

  /** Calls. With `direction` the offer's audio has it, by a transceiver of the page. */
  dial(number, { direction, ...media }) {
    const options = direction ? { mediaConstraints: { audio: false, video: false }, pcConfig: media.pc } : asked(media);
    const session = this.#agent.call(this.#address(number), options);
    // The library makes its offer in the next turn of the event loop.
    return direction && this.#told.offer(session.connection, direction);
  }

  answer(media) {
    this.#session.answer(asked(media));
  }

  hold() {
    return this.#renegotiated((done) => this.#session.hold({}, done));
  }

  unhold() {
    return this.#renegotiated((done) => this.#session.unhold({}, done));
  }

  /** Sends a re-INVITE with the directions that the transceivers have now. */
  renegotiate() {
    return this.#renegotiated((done) => this.#session.renegotiate({}, done));
  }

  /** Restarts ICE, in the library's way: the re-INVITE waits for the new candidates. */
  restart() {
    return this.#renegotiated((done) => this.#session.renegotiate({ rtcOfferConstraints: { iceRestart: true } }, done));
  }

  dtmf(digits, duration) {
    this.#session.sendDTMF(digits, { transportType: 'RFC2833', duration, interToneGap: 120 });
  }

  /** Sends INFO. */
  info(contentType, body, extraHeaders) {
    this.#session.sendInfo(contentType, body, { extraHeaders });
  }

  transfer(number) {
    this.#session.refer(this.#address(number));
  }

  hangup() {
    this.#session.terminate();
  }

  #address(number) {
    return `sip:${number}@${this.#agent.configuration.uri.host}`;
  }

  #begin(session, originator) {
    this.#session = session;
    this.#told.begin(originator);
    for (const name of ['progress', 'accepted', 'confirmed', 'hold', 'unhold']) {
      session.on(name, ({ originator } = {}) => this.#told.note(name, originator));
    }
    for (const name of ['ended', 'failed']) {
      session.on(name, ({ cause, originator }) => this.#told.note(name, `${originator}: ${cause}`));
    }
    for (const kind of ['createofferfailed', 'createanswerfailed', 'setlocaldescriptionfailed', 'setremotedescriptionfailed']) {
      session.on(`peerconnection:${kind}`, (error) => this.#told.note(kind, String(error)));
    }
    session.on('sdp', (description) => {
      description.sdp = this.#told.description(description);
    });
    if (originator === 'remote') this.#told.note('ringing', session.remote_identity.uri.user);
  }

  #renegotiated(start) {
    return new Promise((resolve, reject) => {
      setTimeout(() => reject(new Error('the re-INVITE was not answered')), 10_000);
      if (!start(() => resolve(true))) reject(new Error('the phone is not ready for a re-INVITE'));
    });
  }
}

function asked({ pc, video }) {
  return { mediaConstraints: { audio: true, video }, pcConfig: pc };
}
