// Measures the longest time in which no audio arrives.
//
// The page looks every few milliseconds which packet was played last. What no packet brought has no timestamp, so a gap shows even
// where the browser fills it.

const STEP = 5; // milliseconds

export class Gaps {
  #receiver;
  #timer;
  #last = null;
  #since = performance.now();
  #longest = 0;
  #looked = performance.now();
  #stalled = 0;

  constructor(receiver) {
    this.#receiver = receiver;
    this.#timer = setInterval(() => this.#look(), STEP);
  }

  /** Ends the measurement. Both are in milliseconds; `stalled` is the longest time in which the page itself did not run. */
  finish() {
    this.#look();
    clearInterval(this.#timer);
    return { longest: Math.max(this.#longest, performance.now() - this.#since), stalled: this.#stalled };
  }

  #look() {
    const now = performance.now();
    this.#stalled = Math.max(this.#stalled, now - this.#looked);
    this.#looked = now;
    const [source] = this.#receiver.getSynchronizationSources();
    if (!source || source.rtpTimestamp === this.#last) return;
    if (this.#last !== null) this.#longest = Math.max(this.#longest, now - this.#since);
    [this.#last, this.#since] = [source.rtpTimestamp, now];
  }
}
