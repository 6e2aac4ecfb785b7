// The page's phone with SIP.js. `told` is what it reports to: see `Phone` in phone.js.

import { Inviter, Registerer, RegistererState, SessionState, UserAgent, Web } from 'sip.js';

export class SipJsLine {
  #told;
  #agent = null;
  #registerer = null;
  #session = null;
  #direction = null;

  constructor(told) {
    this.#told = told;
  }

  async register({ server, uri, password }) {
    const { user } = UserAgent.makeURI(uri);
    this.#agent = new UserAgent({
      uri: UserAgent.makeURI(uri),
      authorizationUsername: user,
      authorizationPassword: password,
      transportOptions: { server },
      sessionDescriptionHandlerFactory: Web.defaultSessionDescriptionHandlerFactory((...given) => this.#media(...given)),
      // Only this machine: the library's own default names a public STUN server.
      sessionDescriptionHandlerFactoryOptions: { peerConnectionConfiguration: { iceServers: [] } },
      delegate: {
        onConnect: () => this.#told.note('connected'),
        onDisconnect: () => this.#told.note('disconnected'),
        onInvite: (session) => this.#ring(session),
      },
    });
    await this.#agent.start();
    this.#registerer = new Registerer(this.#agent);
    this.#registerer.stateChange.addListener((state) => {
      if (state === RegistererState.Registered) this.#told.note('registered');
      if (state === RegistererState.Unregistered) this.#told.note('unregistered');
    });
    const onReject = ({ message }) => this.#told.note('registrationFailed', message.statusCode);
    await this.#registerer.register({ requestDelegate: { onReject } });
  }

  async unregister() {
    await this.#registerer.unregister();
    await this.#agent.stop();
  }

  /** Calls. With `direction` the offer's audio has it; the library calls sendonly and inactive a call on hold. */
  dial(number, { direction, video }) {
    this.#direction = direction;
    const session = new Inviter(this.#agent, this.#address(number), {
      sessionDescriptionHandlerOptions: { constraints: { audio: true, video }, hold: isHold(direction) },
    });
    this.#begin(session, 'local');
    const requestDelegate = { onProgress: () => this.#told.note('progress', 'remote'), onReject: ({ message }) => this.#failed(message) };
    return session.invite({ requestDelegate });
  }

  answer({ video }) {
    this.#direction = null;
    return this.#session.accept({ sessionDescriptionHandlerOptions: { constraints: { audio: true, video } } });
  }

  async hold() {
    await this.#renegotiated(true);
    this.#mute(true);
    this.#told.note('hold', 'local');
  }

  async unhold() {
    this.#mute(false);
    await this.#renegotiated(false);
    this.#told.note('unhold', 'local');
  }

  /** Sends a re-INVITE with this direction, which the transceivers have already. */
  renegotiate(direction) {
    return this.#renegotiated(isHold(direction));
  }

  /** Restarts ICE, in the library's way: the re-INVITE waits for the new candidates. */
  restart() {
    return this.#renegotiated(false, { offerOptions: { iceRestart: true } });
  }

  dtmf(digits, duration) {
    this.#session.sessionDescriptionHandler.sendDtmf(digits, { duration, interToneGap: 120 });
  }

  /** Sends INFO. */
  info(contentType, content, extraHeaders) {
    const body = { contentDisposition: 'Info-Package', contentType, content };
    return this.#session.info({ requestOptions: { body, extraHeaders } });
  }

  transfer(number) {
    return this.#session.refer(this.#address(number));
  }

  hangup() {
    const { state } = this.#session;
    if (state === SessionState.Established) return this.#session.bye();
    return this.#session instanceof Inviter ? this.#session.cancel() : this.#session.reject();
  }

  #address(number) {
    return UserAgent.makeURI(`sip:${number}@${this.#agent.configuration.uri.host}`);
  }

  #ring(session) {
    this.#begin(session, 'remote');
    this.#told.note('ringing', session.remoteIdentity.uri.user);
  }

  #begin(session, originator) {
    this.#session = session;
    this.#told.begin(originator);
    let ending = 'local: Terminated';
    session.delegate = { onBye: () => (ending = 'remote: Terminated') };
    let established = false;
    session.stateChange.addListener((state) => {
      if (state === SessionState.Established) {
        established = true;
        this.#told.note('accepted');
        this.#told.note('confirmed');
      }
      if (state === SessionState.Terminated) this.#told.note(established ? 'ended' : 'failed', ending);
    });
  }

  #failed({ statusCode, reasonPhrase }) {
    this.#told.note('rejected', `remote: ${statusCode} ${reasonPhrase}`);
  }

  #renegotiated(hold, more = {}) {
    return new Promise((resolve, reject) => {
      setTimeout(() => reject(new Error('the re-INVITE was not answered')), 10_000);
      // It is called when the answer is applied, and also when the answer was unfit and the library sent BYE.
      const onAccept = () => {
        const { state } = this.#session;
        if (state === SessionState.Established) resolve(true);
        else reject(new Error(`the answer to the re-INVITE ended the call: ${state}`));
      };
      const onReject = ({ message }) => reject(new Error(`the re-INVITE was refused: ${message.statusCode}`));
      const options = { sessionDescriptionHandlerOptions: { hold, ...more }, requestDelegate: { onAccept, onReject } };
      this.#session.invite(options).catch(reject);
    });
  }

  /** Stops the microphone during a hold, as the library's SessionManager does. */
  #mute(held) {
    for (const { track } of this.#session.sessionDescriptionHandler.peerConnection.getSenders()) {
      if (track) track.enabled = !held;
    }
  }

  /** What the library gets for its constraints: with a direction nothing, since the page has its own transceiver then. */
  async #media(constraints, handler) {
    if (!this.#direction) return navigator.mediaDevices.getUserMedia(constraints);
    await this.#told.offer(handler.peerConnection, this.#direction);
    return new MediaStream();
  }
}

const isHold = (direction) => direction === 'sendonly' || direction === 'inactive';
