// A WebSocket that gives up when its server does not answer.

import JsSIP from 'jssip';

const PATIENCE = 8000; // milliseconds

/** JsSIP's socket. It has no time limit itself, and a browser's may be minutes. */
export class Socket extends JsSIP.WebSocketInterface {
  #timer = null;

  connect() {
    super.connect();
    // The browser may forbid it at once: a page on https may not open ws.
    const forbidden = !this.isConnecting();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      if (!forbidden && !this.isConnecting()) return;
      this.disconnect();
      this.ondisconnect(true, 1006, 'no answer');
    }, forbidden ? 0 : PATIENCE);
  }

  disconnect() {
    clearTimeout(this.#timer);
    super.disconnect();
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
