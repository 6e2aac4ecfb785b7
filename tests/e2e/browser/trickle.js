// Half of a trickling page (RFC 8838, RFC 8840): its offer has no candidates, these come later in INFO.
//
// No SIP library does this by itself. Here the library sees a connection whose candidates are complete from the start and
// are none, so that it sends its offer at once.

export const CONTENT_TYPE = 'application/trickle-ice-sdpfrag';
export const HEADERS = ['Info-Package: trickle-ice', 'Content-Disposition: Info-Package'];

/** Hides the candidates of `connection` from the library. */
export class Trickle {
  #connection;
  #real;

  constructor(connection) {
    this.#connection = connection;
    const { get } = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(connection), 'localDescription');
    this.#real = () => get.call(connection);
    Object.defineProperty(connection, 'iceGatheringState', { get: () => 'complete' });
    Object.defineProperty(connection, 'localDescription', { get: () => this.#described() });
  }

  /** Bodies of INFO: the first candidate over UDP and IPv4, then all that there are and their end. */
  fragments() {
    const { sdp } = this.#real();
    const all = lines(sdp, 'a=candidate:');
    const first = all.find((line) => / udp /i.test(line) && / \d+\.\d+\.\d+\.\d+ \d+ typ /.test(line)) ?? all[0];
    // The media description stands for its mid alone (RFC 8840 section 9.1).
    const head = [...lines(sdp, 'a=ice-ufrag:'), ...lines(sdp, 'a=ice-pwd:'), 'm=audio 9 RTP/AVP 0', ...lines(sdp, 'a=mid:')];
    return [[first], [...all, 'a=end-of-candidates']].map((candidates) => [...head, ...candidates, ''].join('\r\n'));
  }

  #described() {
    const description = this.#real();
    if (!description) return description;
    const sdp = withoutCandidates(description.sdp)
      .replace(/^m=audio \d+/m, 'm=audio 9')
      .replace(/^c=.*\r\n/gm, 'c=IN IP4 0.0.0.0\r\n')
      .replace(/^a=rtcp:.*\r\n/gm, '');
    return { type: description.type, sdp };
  }
}

/** The description without candidates. Whoever gets it waits for the other end's checks. */
export function withoutCandidates(sdp) {
  return sdp.replace(/^a=(candidate:.*|end-of-candidates)\r\n/gm, '');
}

/** Milliseconds until the first audio packet arrives; `null` if none does within `seconds`. */
export async function untilAudio(connection, seconds) {
  const began = performance.now();
  while (performance.now() < began + seconds * 1000) {
    // Firefox never answers for a connection that is closed.
    const report = await Promise.race([connection.getStats(), pause(1000)]);
    const inbound = [...(report?.values() ?? [])].find(({ type }) => type === 'inbound-rtp');
    if (inbound?.packetsReceived > 0) return performance.now() - began;
    await pause(5);
  }
  return null;
}

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

function lines(sdp, beginning) {
  return sdp.split('\r\n').filter((line) => line.startsWith(beginning));
}
