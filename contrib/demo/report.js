// A report of the last call or failure, as text to be copied: the page's sentences, the browser's measurements, and
// what Asterisk tells of the call, if `callreport` of its rtp.conf is on.

const MOST_SENTENCES = 50;
const PATIENCE = 5000; // milliseconds

export class Report {
  #said = [];
  /** The sentences of `#said` up to the end of the last call. */
  #past = new Set();
  #call = null;
  #measured = null;
  #hasFailed = false;

  /** Whether there is something to report. */
  get isWorthIt() {
    return this.#call !== null || this.#hasFailed;
  }

  /** Notes a sentence of the page, see `sentences.js`, and the kind of the fact behind it. */
  note(sentence, kind) {
    this.#said = [...this.#said, { at: new Date(), kind, ...sentence }].slice(-MOST_SENTENCES);
    this.#hasFailed ||= sentence.tone === 'failed';
  }

  /**
   * Begins the report of a call. `identity` has its Call-ID and tags, as `{ id, from, to }`, and is kept up to date by the
   * phone. `server` is the address of its WebSocket. Sentences of earlier calls are dropped, because they name others; that of the
   * last registration stays.
   */
  begin({ peer, incoming, identity, server }) {
    this.#call = { peer, incoming, identity, server, began: new Date() };
    this.#measured = null;
    const registered = this.#said.findLast(({ kind }) => kind === 'registered');
    this.#said = this.#said.filter((sentence) => sentence === registered || !this.#past.has(sentence));
    this.#past.clear();
  }

  /** The call is over: what the page has said so far is not for the report of the next one. */
  end() {
    this.#past = new Set(this.#said);
  }

  /** Takes the latest measurement of the call, lines of text. */
  measured(lines) {
    this.#measured = lines;
  }

  /** The report. Asks Asterisk for its part. */
  async text() {
    const host = this.#call && await askHost(this.#call);
    const parts = [
      ['Report of the page', this.#head()],
      ['What the page said', this.#said.map(({ at, text, look }) => `${time(at)}  ${text}${look ? ` ${look}` : ''}`)],
      ['What the browser measured', this.#call && (this.#measured ?? ['Nothing: the call was never up.'])],
      ['What Asterisk tells', host],
    ];
    const written = parts.filter(([, lines]) => lines).map(([title, lines]) => [title, ...lines.map((line) => `  ${line}`)]);
    return `${written.map((lines) => lines.join('\n')).join('\n\n')}\n`;
  }

  #head() {
    const call = this.#call;
    return [
      `Written: ${new Date().toISOString()}`,
      `Page: ${location.origin}${location.pathname}`,
      `Browser: ${navigator.userAgent}`,
      ...call ? [
        `Call: ${call.incoming ? 'from' : 'to'} ${call.peer}, ${call.began.toISOString()}`,
        `Server: ${call.server}`,
        `Call-ID: ${call.identity.id}`,
      ] : [],
    ];
  }
}

/** Asks Asterisk for its part, in lines. Only the call's two ends know its tags, so nobody else can ask. */
async function askHost({ identity, server }) {
  const address = addressFor(server);
  if (address.origin !== location.origin) return [`Nothing: ${address.origin} is not where this page comes from.`];
  address.search = new URLSearchParams({ id: identity.id, 'from-tag': identity.from, 'to-tag': identity.to });
  try {
    const response = await fetch(address, { cache: 'no-store', signal: AbortSignal.timeout(PATIENCE) });
    if (!response.ok) return [`Nothing: ${address.pathname} answers ${response.status}. ${REFUSED[response.status] ?? ''}`.trim()];
    return linesOf(await response.json());
  } catch ({ message }) {
    return [`Nothing: ${address.pathname} does not answer (${message}).`];
  }
}

/** Beside the path of the WebSocket, on the same server: `/ws` and `/webrtc/call`. */
function addressFor(server) {
  const address = new URL('webrtc/call', server);
  address.protocol = address.protocol === 'wss:' ? 'https:' : 'http:';
  return address;
}

const REFUSED = {
  403: 'callreport_permit in rtp.conf does not have this address.',
  404: 'Either it does not know the call, or “callreport = yes” is missing in rtp.conf.',
  429: 'It is asked too often. Wait a minute and copy the report again.',
};

function linesOf({ events, left_out: leftOut, verdict, ...rest }) {
  return [
    ...events.map(({ ms, event }) => `${String(ms).padStart(7)} ms  ${event}`),
    ...leftOut > 0 ? [`${leftOut} events in the middle are left out`] : [],
    `Verdict: ${verdict}`,
    `Figures: ${JSON.stringify(rest)}`,
  ];
}

function time(at) {
  return at.toISOString().slice(11, 23);
}
