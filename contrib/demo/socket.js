// A WebSocket that gives up when its server does not answer, neither at the beginning nor later.

import JsSIP from 'jssip';

const PATIENCE = 8000; // milliseconds
const PAUSE = 25000; // milliseconds between keepalives
const PING = '\r\n\r\n'; // a keepalive (RFC 5626 §3.5.1); a single CRLF answers it

/** The reason of a socket that was given up, in JsSIP's `disconnected`. */
export const NO_ANSWER = 'no answer';

/** JsSIP's socket. It has no time limit itself, and a browser's may be minutes. */
export class Socket extends JsSIP.WebSocketInterface {
  #timer = null;
  #isPinged = false;
  /** Called with the next message from the server. */
  #heard = null;
  /** Whether the server has ever answered a keepalive: chan_sip of Asterisk 16 does not. */
  #answersPings = false;

  connect() {
    super.connect();
    this.#isPinged = false;
    this.#heard = null;
    // The browser may forbid it at once: a page on https may not open ws.
    const forbidden = !this.isConnecting();
    this.#wait(forbidden ? 0 : PATIENCE, () => {
      if (forbidden || this.isConnecting()) this.giveUp();
    });
  }

  disconnect() {
    clearTimeout(this.#timer);
    super.disconnect();
  }

  /** Closes the socket, whose server does not answer. JsSIP tries the next one. */
  giveUp() {
    this.disconnect();
    this.ondisconnect(true, 1006, NO_ANSWER);
  }

  _onMessage(event) {
    this.#heard?.();
    this.#answersPings ||= event.data === '\r\n';
    // The server speaks; now it can show that it answers keepalives.
    if (!this.#isPinged) this.#ping();
    super._onMessage(event);
  }

  _onClose(event) {
    clearTimeout(this.#timer);
    super._onClose(event);
  }

  /** Sends a keepalive. Whatever comes back shows that the server lives. */
  #ping() {
    this.#isPinged = true;
    const next = () => this.#wait(PAUSE, () => this.#ping());
    this.#heard = () => {
      this.#heard = null;
      next();
    };
    this.#wait(PATIENCE, () => (this.#answersPings ? this.giveUp() : next()));
    this.send(PING);
  }

  #wait(time, then) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(then, time);
  }
}

/** A socket for each server, to be tried in this order; `null` if one is not the address of a WebSocket. */
export function socketsTo(servers) {
  try {
    if (!servers.every((server) => URL.canParse(server))) return null;
    return servers.map((server, place) => ({ socket: new Socket(server), weight: servers.length - place }));
  } catch {
    return null;
  }
}
