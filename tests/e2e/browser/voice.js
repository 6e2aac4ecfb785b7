// The audio that the page sends: one tone as long as the page lives.

export class Voice {
  #streams = new Map();

  /** A stream of this tone. */
  tone(frequency) {
    if (!this.#streams.has(frequency)) this.#streams.set(frequency, make(frequency));
    // A call stops the tracks that it was given, so give it a clone.
    return this.#streams.get(frequency).clone();
  }
}

function make(frequency) {
  const context = new AudioContext();
  const destination = context.createMediaStreamDestination();
  const oscillator = new OscillatorNode(context, { frequency });
  oscillator.connect(new GainNode(context, { gain: 0.3 })).connect(destination);
  oscillator.start();
  return destination.stream;
}
