// Reduces getStats() to the few numbers that the tests need.

/** The names of the formats in which streams are received and sent, such as audio/opus. */
const codecs = (report, streams) => streams.map((stream) => report.get(stream?.codecId)?.mimeType ?? null);

/** The numbers of video. */
export function pictures(report) {
  const all = [...report.values()];
  const find = (type) => all.find((entry) => entry.type === type && (entry.kind ?? entry.mediaType) === 'video') ?? {};
  const [inbound, outbound, remote] = ['inbound-rtp', 'outbound-rtp', 'remote-inbound-rtp'].map(find);
  return {
    codecs: codecs(report, [inbound, outbound]),
    decoded: inbound.framesDecoded ?? 0,
    keyFramesDecoded: inbound.keyFramesDecoded ?? null,
    packetsReceived: inbound.packetsReceived ?? 0,
    packetsLost: inbound.packetsLost ?? null,
    encoded: outbound.framesEncoded ?? 0,
    packetsSent: outbound.packetsSent ?? 0,
    askedForPictures: (inbound.pliCount ?? 0) + (inbound.firCount ?? 0),
    wasAskedForPictures: (outbound.pliCount ?? 0) + (outbound.firCount ?? 0),
    remotePacketsLost: remote.packetsLost ?? null,
    roundTripTime: remote.roundTripTime ?? null,
    transports: all.filter((entry) => entry.type === 'transport').length,
  };
}

/** The kinds of both ends of the selected pair, and the transport to the relay. */
export function selected(report) {
  const all = [...report.values()];
  const { selectedCandidatePairId } = all.find(({ type }) => type === 'transport') ?? {};
  // Firefox has no `transport`.
  const pair = report.get(selectedCandidatePairId) ?? all.find(({ type, selected }) => type === 'candidate-pair' && selected);
  const [local, remote] = [pair?.localCandidateId, pair?.remoteCandidateId].map((id) => (id && report.get(id)) || {});
  return {
    local: local.candidateType, relayProtocol: local.relayProtocol ?? null, remote: remote.candidateType,
    address: remote.address ?? null,
  };
}

export function summary(report) {
  const all = [...report.values()];
  const find = (type) => all.find((entry) => entry.type === type && (entry.kind ?? entry.mediaType) === 'audio');
  const [inbound, outbound, remote] = ['inbound-rtp', 'outbound-rtp', 'remote-inbound-rtp'].map(find);
  const remoteOutbound = find('remote-outbound-rtp');
  const chosen = all.find(({ type }) => type === 'transport')?.selectedCandidatePairId;
  const pair = report.get(chosen) ?? all.find((entry) => entry.type === 'candidate-pair' && entry.nominated && entry.state === 'succeeded');
  const transports = all.filter((entry) => entry.type === 'transport');
  const candidate = (id) => {
    const found = id && report.get(id);
    return found ? `${found.candidateType} ${found.address}:${found.port}` : null;
  };
  return {
    codecs: codecs(report, [inbound, outbound]),
    concealed: inbound?.concealedSamples ?? null,
    samples: inbound?.totalSamplesReceived ?? null,
    packetsReceived: inbound?.packetsReceived ?? 0,
    packetsLost: inbound?.packetsLost ?? 0,
    jitter: inbound?.jitter ?? null,
    energy: inbound?.totalAudioEnergy ?? null,
    packetsSent: outbound?.packetsSent ?? 0,
    remotePacketsLost: remote?.packetsLost ?? null,
    roundTripTime: remote?.roundTripTime ?? null,
    roundTripMeasurements: remote?.roundTripTimeMeasurements ?? null,
    senderReports: remoteOutbound?.reportsSent ?? null,
    senderReportsSeen: remoteOutbound !== undefined,
    transports: transports.length,
    dtls: transports.map((transport) => `${transport.dtlsState} ${transport.srtpCipher}`),
    local: candidate(pair?.localCandidateId),
    remote: candidate(pair?.remoteCandidateId),
    selected: all.filter((entry) => entry.type === 'candidate-pair' && entry.nominated).length,
  };
}
