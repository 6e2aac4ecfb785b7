// Measures when the first audio packet arrives, decrypted and before the jitter buffer delays it.
//
// Chromium repeats its last report for 50 ms, so the time of the newest packet that a report counts tells when the first one came:
// each has 20 ms of audio, sent as it is made.

const PACKET = 20; // milliseconds

/** Resolves with the time of the first audio packet on the clock of `performance.now()`; `null` if none comes within `seconds`. */
export async function firstAudio(connection, seconds) {
  const deadline = performance.now() + seconds * 1000;
  while (performance.now() < deadline) {
    const report = [...(await connection.getStats()).values()];
    const audio = report.find(({ type, kind, packetsReceived }) => type === 'inbound-rtp' && kind === 'audio' && packetsReceived > 0);
    if (audio) {
      return audio.lastPacketReceivedTimestamp - performance.timeOrigin - (audio.packetsReceived - 1) * PACKET;
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return null;
}
