// getStats() of a call in lines of text, for the report. Addresses are left out.

/** `connection` is the call's, `all` are its statistics, a list. */
export function details(connection, all) {
  const byId = new Map(all.map((entry) => [entry.id, entry]));
  const of = (type) => all.filter((entry) => entry.type === type);
  const transports = of('transport');
  return [
    `Connection: ${connection.connectionState}, ICE ${connection.iceConnectionState}`,
    ...transports.map(dtls),
    ...pairs(of('candidate-pair'), transports).map((pair) => pairLine(pair, byId)),
    ...of('inbound-rtp').map((stream) => received(stream, byId)),
    ...of('outbound-rtp').map((stream) => sent(stream, byId)),
    ...of('remote-inbound-rtp').map(reported),
  ];
}

function dtls({ dtlsState = 'unknown', tlsVersion, dtlsCipher, srtpCipher }) {
  // The version is that of TLS with the octets of DTLS, FEFD for 1.2 (RFC 6347 §4.1).
  const version = { FEFF: 'DTLS 1.0', FEFD: 'DTLS 1.2', FEFC: 'DTLS 1.3' }[tlsVersion] ?? tlsVersion;
  return ['DTLS: ' + dtlsState, version, dtlsCipher, srtpCipher].filter(Boolean).join(', ');
}

/** The pairs in use first, then those that failed or were checked. */
function pairs(all, transports) {
  const selected = new Set(transports.map(({ selectedCandidatePairId }) => selectedCandidatePairId));
  const rank = (pair) => (selected.has(pair.id) || pair.selected ? 0 : 1);
  return [...all].sort((one, other) => rank(one) - rank(other)).slice(0, MOST_PAIRS)
    .map((pair) => ({ ...pair, inUse: rank(pair) === 0 }));
}

function pairLine({ inUse, state, localCandidateId, remoteCandidateId, currentRoundTripTime }, byId) {
  const [here, there] = [localCandidateId, remoteCandidateId].map((id) => candidate(byId.get(id)));
  const trip = currentRoundTripTime === undefined ? '' : `, round trip ${milliseconds(currentRoundTripTime)}`;
  return `${inUse ? 'Pair in use' : 'Pair'}: ${here} to ${there}, ${state}${trip}`;
}

function candidate({ candidateType = 'unknown', protocol = '', relayProtocol } = {}) {
  return [candidateType, protocol, relayProtocol && `by ${relayProtocol}`].filter(Boolean).join(' ');
}

function received({ kind, packetsReceived = 0, packetsLost = 0, jitter, codecId, framesDecoded }, byId) {
  const frames = framesDecoded === undefined ? '' : `, ${framesDecoded} pictures`;
  return `Received ${kind}: ${codec(byId.get(codecId))}, ${packetsReceived} packets, ${packetsLost} lost, ` +
    `jitter ${milliseconds(jitter)}${frames}`;
}

function sent({ kind, packetsSent = 0, codecId }, byId) {
  return `Sent ${kind}: ${codec(byId.get(codecId))}, ${packetsSent} packets`;
}

function reported({ kind, packetsLost = 0, jitter, roundTripTime }) {
  return `Reported by the far end, ${kind}: ${packetsLost} lost, jitter ${milliseconds(jitter)}, ` +
    `round trip ${milliseconds(roundTripTime)}`;
}

function codec({ mimeType = 'codec unknown', clockRate } = {}) {
  return clockRate === undefined ? mimeType : `${mimeType}/${clockRate}`;
}

function milliseconds(seconds) {
  return seconds === undefined ? 'unknown' : `${(seconds * 1000).toFixed(1)} ms`;
}

const MOST_PAIRS = 12;
