// Detects three seconds without audio during a call, and what is missing.

import { levelBetween } from './statistics.js';

const PATIENCE = 3000; // milliseconds
const QUIET = 0.001; // RMS; digital silence in A-law is a quarter of it

export class SilenceWatch {
  #before = null;
  #packetsAt;
  #began;
  #heard = false;

  /** The call is up since `now`, in the time of `measure()`. */
  constructor(now) {
    this.#began = now;
    this.#packetsAt = now;
  }

  /**
   * Handles a measurement. Returns `null` while all is well, otherwise what is missing: `ice`, `dtls`, `packets` (none came),
   * `morePackets` (none come any more), `sound` (all were silent from the start; later pauses are normal).
   */
  look(measured, { iceConnectionState, connectionState }) {
    const before = this.#before ?? { ...measured, received: 0 };
    this.#before = measured;
    if (measured.received > before.received) this.#packetsAt = measured.at;
    this.#heard ||= levelBetween(before, measured) > QUIET;
    if (measured.at - this.#packetsAt < PATIENCE) {
      return this.#heard || measured.at - this.#began < PATIENCE ? null : 'sound';
    }
    if (!['connected', 'completed'].includes(iceConnectionState)) return 'ice';
    if (connectionState !== 'connected') return 'dtls';
    return measured.received > 0 ? 'morePackets' : 'packets';
  }
}
