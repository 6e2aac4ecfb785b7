// getStats() in the few numbers that the page shows.

import { details } from './details.js';

/** The browser's current statistics of the call. Times are in milliseconds; `null` means not known yet. */
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
    // The far end reports its losses and the round-trip time (RFC 3550 §6.4).
    lostThere: remote.packetsLost ?? null,
    roundTrip: milliseconds(remote.roundTripTime),
    details: details(connection, all),
  };
}

/** The RMS level between two measurements; 1 is the maximum. */
export function levelBetween(before, now) {
  const seconds = now.seconds - before.seconds;
  return seconds > 0 ? Math.sqrt(Math.max(0, now.energy - before.energy) / seconds) : 0;
}

/** The loss between two measurements in percent of the packets sent to us; `null` if none were. */
export function lossBetween(before, now) {
  // A late packet that was counted as lost is subtracted again.
  const lost = Math.max(0, now.lost - before.lost);
  const expected = now.received - before.received + lost;
  return expected > 0 ? (100 * lost) / expected : null;
}

function milliseconds(seconds) {
  return seconds === undefined ? null : seconds * 1000;
}
