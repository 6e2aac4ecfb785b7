// getStats() in the few numbers that the page shows.

/** What the browser knows of the call now. Times are in milliseconds; `null` is what it does not know yet. */
export async function measure(connection) {
  const all = [...(await connection.getStats()).values()];
  const find = (type) => all.find((entry) => entry.type === type && entry.kind === 'audio') ?? {};
  const [inbound, outbound, remote] = ['inbound-rtp', 'outbound-rtp', 'remote-inbound-rtp'].map(find);
  return {
    at: performance.now(),
    received: inbound.packetsReceived ?? 0,
    lost: inbound.packetsLost ?? 0,
    energy: inbound.totalAudioEnergy ?? 0,
    seconds: inbound.totalSamplesDuration ?? 0,
    jitter: milliseconds(inbound.jitter),
    sent: outbound.packetsSent ?? 0,
    // What the far end lost of ours, and how long a packet takes there and back, come in its reports (RFC 3550 §6.4).
    lostThere: remote.packetsLost ?? null,
    roundTrip: milliseconds(remote.roundTripTime),
  };
}

/** How loud it was between two measurements: RMS, 1 for the loudest. */
export function levelBetween(before, now) {
  const seconds = now.seconds - before.seconds;
  return seconds > 0 ? Math.sqrt(Math.max(0, now.energy - before.energy) / seconds) : 0;
}

/** How much of what was sent to us between two measurements did not arrive, in percent; `null` when nothing was. */
export function lossBetween(before, now) {
  // A late packet that was counted as lost is taken back.
  const lost = Math.max(0, now.lost - before.lost);
  const expected = now.received - before.received + lost;
  return expected > 0 ? (100 * lost) / expected : null;
}

function milliseconds(seconds) {
  return seconds === undefined ? null : seconds * 1000;
}
