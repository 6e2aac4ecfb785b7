// The last calls, kept in the browser: when, with whom, in which direction, how long and how they ended.

const KEY = 'webrtc-demo-calls';
const MOST = 20;

export class Calls {
  #list;
  #section;
  #current = null;
  #callAgain;
  /** The calls, where the browser keeps nothing. */
  #kept = null;

  /** `section` has a list and a button that clears it. `callAgain` is called with the number of a call that is chosen. */
  constructor(section, callAgain) {
    this.#section = section;
    this.#list = section.querySelector('ol');
    this.#callAgain = callAgain;
    section.querySelector('#clear').addEventListener('click', () => this.#write([]));
    this.#show(this.#read());
  }

  /** A call begins to ring. */
  begin({ peer, incoming }) {
    this.#current = { at: Date.now(), peer, incoming, upAt: null };
  }

  /** The call is answered. */
  answer() {
    if (this.#current) this.#current.upAt = Date.now();
  }

  /** The call ends with this fact, see `phone.js`. */
  end(fact) {
    if (!this.#current) return;
    const { at, peer, incoming, upAt } = this.#current;
    const seconds = upAt === null ? null : Math.round((Date.now() - upAt) / 1000);
    this.#current = null;
    this.#write([{ at, peer, incoming, seconds, result: resultOf(fact) }, ...this.#read()].slice(0, MOST));
  }

  #read() {
    if (this.#kept) return this.#kept;
    try {
      const calls = JSON.parse(localStorage.getItem(KEY));
      return Array.isArray(calls) ? calls.filter(isCall) : [];
    } catch {
      return [];
    }
  }

  #write(calls) {
    try {
      localStorage.setItem(KEY, JSON.stringify(calls));
      this.#kept = null;
    } catch {
      // The browser keeps nothing: private mode, or no room. The list lasts as long as the page.
      this.#kept = calls;
    }
    this.#show(calls);
  }

  #show(calls) {
    this.#section.hidden = calls.length === 0;
    this.#list.replaceChildren(...calls.map((call) => this.#row(call)));
  }

  #row({ at, peer, incoming, seconds, result }) {
    const row = document.createElement('li');
    const again = Object.assign(document.createElement('button'), { type: 'button', name: 'again' });
    const duration = seconds === null ? result : `${minutes(seconds)}${result ? `, ${result}` : ''}`;
    const when = new Date(at);
    again.append(
      text('b', peer), text('span', incoming ? 'incoming' : 'outgoing'),
      Object.assign(text('time', when.toLocaleString([], { dateStyle: 'short', timeStyle: 'short' })), {
        dateTime: when.toISOString(),
      }),
      text('span', duration),
    );
    again.addEventListener('click', () => this.#callAgain(peer));
    row.append(again);
    return row;
  }
}

/** How a call ended, in a word or two; empty for a call that was up and ended as calls do. */
function resultOf({ kind, incoming, by, code, cause }) {
  if (kind === 'ended') return cause === 'Terminated' ? '' : 'broken off';
  if (cause === 'Canceled') return incoming ? 'missed' : 'given up';
  if (incoming) return cause === 'Rejected' && by === 'local' ? 'declined' : 'failed';
  return code ? `refused, ${code}` : 'failed';
}

/** Whether this is a call as `end` writes it. Another page of this origin may have written something else. */
function isCall(call) {
  const { peer, at, seconds, result } = call ?? {};
  const areTexts = typeof peer === 'string' && typeof result === 'string';
  const isTime = typeof at === 'number' && Math.abs(at) <= LATEST;
  return areTexts && isTime && (seconds === null || Number.isFinite(seconds));
}

/** The latest time of a `Date`, in milliseconds. */
const LATEST = 8.64e15;

function minutes(seconds) {
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
}

function text(name, content) {
  return Object.assign(document.createElement(name), { textContent: content });
}
