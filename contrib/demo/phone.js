// A phone without a page: one account, one call at a time. SIP is JsSIP's.
//
// Events are reported as facts, objects with a `kind`; `sentences.js` puts them into words.

import JsSIP from 'jssip';
import { Microphone } from './microphone.js';

const { CONNECTION_ERROR } = JsSIP.C.causes;
const SOON = 50; // milliseconds

export class Phone {
  #tell;
  #agent = null;
  #session = null;
  #microphone = null;
  #asking = false;
  #digits = '';

  /** `tell` is called with every fact. */
  constructor(tell) {
    this.#tell = tell;
  }

  /** Gives up the account it had, opens the socket and registers. JsSIP tries again when the socket closes. */
  register({ server, account, password }) {
    this.#agent?.stop();
    this.#agent = null;
    const socket = socketTo(server);
    if (!socket) return this.#tell({ kind: 'noAddress', server });
    const agent = this.#agent = agentOf(socket, server, account, password);
    if (!agent) return this.#tell({ kind: 'noAccount', account });
    // Ignore events of the previous account, which is unregistering.
    const tell = (fact) => agent === this.#agent && this.#tell({ server, account, ...fact });
    let reached = 'nothing'; // then `socket`, then `account`
    // Report a repeated attempt only once.
    agent.on('connecting', ({ attempts }) => attempts === 0 && tell({ kind: 'opening' }));
    agent.on('connected', () => { reached = 'socket'; });
    agent.on('disconnected', () => {
      tell({ kind: reached === 'nothing' ? 'unreachable' : 'closed' });
      reached = 'nothing';
    });
    agent.on('registered', () => {
      // This event comes with each renewal, too.
      if (reached !== 'account') tell({ kind: 'registered' });
      reached = 'account';
    });
    agent.on('registrationFailed', ({ response, cause }) => {
      // A closed socket is reported separately.
      if (cause === CONNECTION_ERROR) return;
      reached = 'socket';
      tell({ kind: 'notRegistered', code: response?.status_code, cause });
    });
    agent.on('newRTCSession', ({ session, originator }) => this.#begin(session, originator === 'remote'));
    agent.start();
  }

  async call(number) {
    const media = await this.#media();
    if (!media) return;
    // Somebody may have called while the browser asked for the microphone.
    if (this.#session) return this.#release();
    try {
      this.#agent.call(number, media);
    } catch {
      this.#release();
      this.#tell({ kind: 'noNumber', number });
    }
  }

  /** Answers the call. Without a microphone it goes on ringing: the user may still allow it and answer. */
  async answer() {
    const media = await this.#media();
    if (!media) return;
    // The caller may have given up while the browser asked for the microphone.
    if (!this.#session) return this.#release();
    this.#session.answer(media);
  }

  /** Hangs up, declines or cancels the call, depending on its state. */
  hangUp() {
    this.#session?.terminate();
  }

  /** Sends a digit as telephone-event (RFC 4733). Digits that come faster than they can be sent are queued. */
  press(tone) {
    this.#digits += tone;
    this.#sendDigits();
  }

  mute(muted) {
    this.#microphone.mute(muted);
  }

  /** RTCPeerConnection of the call. */
  get connection() {
    return this.#session?.connection;
  }

  get microphone() {
    return this.#microphone;
  }

  /** Whether the far end has put the call on hold. */
  get isHeld() {
    return this.#session?.isOnHold().remote ?? false;
  }

  /**
   * Opens the microphone first, so that a refusal is reported by its name and no telephone rings in vain. `null` if there is
   * none, or if it is being asked for already.
   */
  async #media() {
    if (this.#asking || this.#microphone) return null;
    this.#asking = true;
    this.#tell({ kind: 'asking' });
    try {
      this.#microphone = await Microphone.open();
      return { mediaStream: this.#microphone.stream };
    } catch ({ name, message }) {
      this.#tell({ kind: 'noMicrophone', name, message });
      return null;
    } finally {
      this.#asking = false;
    }
  }

  #begin(session, incoming) {
    if (this.#session) return session.terminate({ status_code: 486 });
    this.#session = session;
    const tell = (fact) => this.#tell({ peer: session.remote_identity.uri.user, incoming, ...fact });
    session.on('progress', () => incoming || tell({ kind: 'ringing' }));
    session.on('accepted', () => tell({ kind: 'up' }));
    session.on('ended', ({ originator, cause }) => this.#end(() => tell({ kind: 'ended', by: originator, cause })));
    session.on('failed', ({ originator, message, cause }) => {
      this.#end(() => tell({ kind: 'failed', by: originator, code: message?.status_code, cause }));
    });
    // This event comes after `failed` and has more details.
    session.on('peerconnection:setremotedescriptionfailed', ({ message }) => {
      tell({ kind: 'descriptionRefused', message });
    });
    // An outgoing call has its connection already; an incoming one gets it with the answer.
    if (session.connection) this.#listen(session.connection);
    else session.on('peerconnection', ({ peerconnection }) => this.#listen(peerconnection));
    tell({ kind: incoming ? 'incoming' : 'calling' });
  }

  #listen(connection) {
    connection.addEventListener('track', ({ track }) => this.#tell({ kind: 'track', track }));
  }

  #sendDigits() {
    if (!this.#session || this.#digits === '') return;
    // Chromium accepts no digits before the keys are there, a moment after the call was accepted.
    const ready = this.connection.getSenders().every(({ dtmf }) => dtmf?.canInsertDTMF !== false);
    if (!ready) return void setTimeout(() => this.#sendDigits(), SOON);
    this.#session.sendDTMF(this.#digits, { transportType: 'RFC2833', duration: 120, interToneGap: 80 });
    this.#digits = '';
  }

  #end(tell) {
    this.#session = null;
    this.#digits = '';
    this.#release();
    tell();
  }

  #release() {
    this.#microphone?.close();
    this.#microphone = null;
  }
}

/** Makes a socket; `null` if `server` is not the address of a WebSocket. */
function socketTo(server) {
  try {
    return URL.canParse(server) ? new JsSIP.WebSocketInterface(server) : null;
  } catch {
    return null;
  }
}

/** Makes a SIP user agent; `null` if `account` is not a valid name in SIP. */
function agentOf(socket, server, account, password) {
  try {
    return new JsSIP.UA({
      sockets: [socket],
      uri: `sip:${account}@${new URL(server).hostname}`,
      password,
      session_timers: false,
    });
  } catch {
    return null;
  }
}
