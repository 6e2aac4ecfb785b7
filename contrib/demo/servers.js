// The servers that the page may connect to, and its STUN and TURN servers: the file `servers.json` beside the page,
// which need not exist.
//
//   { "servers": ["wss://a.example/ws", "wss://b.example/ws"],
//     "iceServers": [{ "urls": "turn:a.example:3478", "username": "…", "credential": "…" }] }

const FILE = 'servers.json';
const PATIENCE = 3000; // milliseconds

export class Servers {
  #known = { servers: [], iceServers: [] };

  /** A fact for `sentences.js`: why the file cannot be used, or that a password in it has expired; `null` if all is well. */
  fault = null;

  /** Reads the file anew. If it cannot be used, or the web server does not answer, what it said before still counts. */
  async read() {
    try {
      this.#known = await load() ?? this.#known;
      const at = expiry(this.#known.iceServers);
      this.fault = at && at < new Date() ? { kind: 'expired', at } : null;
    } catch ({ message }) {
      this.fault = { kind: 'noServers', message: message.replace(/\.$/, '') };
    }
  }

  /** The `iceServers` of the call that is about to begin. Passwords for TURN expire, so the file is read for each call. */
  async readIceServers() {
    await this.read();
    return this.#known.iceServers;
  }

  /** The first server of the file; undefined if it has none. */
  get first() {
    return this.#known.servers[0];
  }

  /** The servers to try: this one, and if the file has it, the others of the file. */
  from(server) {
    const { servers } = this.#known;
    const place = servers.indexOf(server);
    return place < 0 ? [server] : [...servers.slice(place), ...servers.slice(0, place)];
  }
}

/** The content of the file; `null` if the web server does not answer. */
async function load() {
  const response = await fetch(FILE, { cache: 'no-store', signal: AbortSignal.timeout(PATIENCE) }).catch(() => null);
  if (response?.status === 404) return { servers: [], iceServers: [] };
  if (response && !response.ok) throw new Error(`the web server answers ${response.status}`);
  const text = await response?.text().catch(() => null);
  return text === undefined || text === null ? null : parse(text);
}

function parse(text) {
  const given = parseJson(text);
  if (typeof given !== 'object' || given === null || Array.isArray(given)) throw new Error('it is no JSON object');
  const { servers = [], iceServers = [] } = given;
  if (!Array.isArray(servers)) throw new Error('“servers” is no list');
  if (!Array.isArray(iceServers)) throw new Error('“iceServers” is no list');
  const wrong = servers.find((server) => !isSocket(server));
  if (wrong !== undefined) throw new Error(`“${wrong}” is not the address of a WebSocket`);
  // The browser knows best which of them it can use.
  new RTCPeerConnection({ iceServers }).close();
  return { servers: [...new Set(servers)], iceServers };
}

/** Parses JSON. The browser's own message is not passed on, because it may quote a password. */
function parseJson(text) {
  try {
    return JSON.parse(text);
  } catch ({ message }) {
    const [place] = /line \d+ column \d+/.exec(message) ?? [];
    throw new Error(place ? `it is no JSON at ${place}` : 'it is no JSON');
  }
}

function isSocket(server) {
  return typeof server === 'string' && URL.canParse(server) && ['ws:', 'wss:'].includes(new URL(server).protocol);
}

/** When the first password of coturn's REST scheme expires, which begins its user names with that time (`Date`). */
function expiry(iceServers) {
  const times = iceServers.map(({ username = '' }) => Number(/^\d{9,11}(?=:|$)/.exec(username)?.[0] ?? Infinity));
  const first = Math.min(...times);
  return Number.isFinite(first) ? new Date(first * 1000) : null;
}
