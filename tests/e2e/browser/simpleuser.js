// The page's phone with SIP.js' SimpleUser on its defaults. `told` is what it reports to: see `Phone` in phone.js.

import { Web } from 'sip.js';

export class SimpleUserLine {
  #told;
  #user = null;
  #host = null;

  constructor(told) {
    this.#told = told;
  }

  async register({ server, uri, password }) {
    const [, user, host] = uri.match(/^sip:(.*)@(.*)$/);
    this.#host = host;
    this.#user = new Web.SimpleUser(server, {
      aor: uri,
      media: { remote: { audio: new Audio() } },
      userAgentOptions: {
        authorizationUsername: user,
        authorizationPassword: password,
        // Only this machine: the library's own default names a public STUN server.
        sessionDescriptionHandlerFactoryOptions: { peerConnectionConfiguration: { iceServers: [] } },
      },
      delegate: this.#delegate(),
    });
    await this.#user.connect();
    await this.#user.register();
  }

  async unregister() {
    await this.#user.unregister();
    await this.#user.disconnect();
  }

  dial(number) {
    return this.#user.call(`sip:${number}@${this.#host}`);
  }

  answer() {
    return this.#user.answer();
  }

  hold() {
    return this.#held(true, this.#user.hold());
  }

  unhold() {
    return this.#held(false, this.#user.unhold());
  }

  /** Sends one digit in INFO, as SimpleUser does. */
  dtmf(digit) {
    return this.#user.sendDTMF(digit);
  }

  hangup() {
    return this.#user.hangup();
  }

  #delegate() {
    const { note, begin } = this.#told;
    return {
      onServerConnect: () => note('connected'),
      onServerDisconnect: () => note('disconnected'),
      onRegistered: () => note('registered'),
      onUnregistered: () => note('unregistered'),
      onCallReceived: () => {
        begin('remote');
        note('ringing');
      },
      onCallAnswered: () => note('accepted'),
      onCallHold: (held) => note(held ? 'hold' : 'unhold', 'local'),
      onCallHangup: () => note('ended'),
    };
  }

  /** Waits until the re-INVITE was answered: the library's promise resolves when it is sent. */
  async #held(held, sending) {
    const answered = this.#told.next([held ? 'hold' : 'unhold', 'ended'], 10);
    await sending;
    const event = await answered;
    if (event?.name === 'ended') throw new Error('the answer to the re-INVITE ended the call');
    if (!event || this.#user.isHeld() !== held) throw new Error('the re-INVITE was not answered, or refused');
  }
}
