// The microphone and camera of the page: what getUserMedia gives is a pure tone, and a picture if a test asks for one.
//
// Each library asks for them in its own way, as in a real page.

import { Picture } from './picture.js';

export class Microphone {
  #real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  #source = { kind: 'microphone' };
  #tones = new Map();
  #asked = null;

  /** The picture that is sent, and the one that is received. */
  picture = new Picture();

  /** Takes the place of the browser's own getUserMedia. */
  install() {
    navigator.mediaDevices.getUserMedia = (constraints) => this.#give(constraints);
  }

  /** `source` is `{kind: 'tone', frequency}`, or `{kind: 'microphone'}` where the browser's fake one sends the tone. */
  use(source) {
    this.#source = source;
  }

  async #give({ audio, video }) {
    const stream = audio ? await this.#sound() : new MediaStream();
    if (video) stream.addTrack(this.picture.show());
    return stream;
  }

  /** Asks for the browser's microphone as a page does: before that a browser hides its addresses (RFC 8828). */
  async #sound() {
    const { kind, frequency, withoutPermission } = this.#source;
    if (kind === 'microphone') return this.#real({ audio: true });
    if (!withoutPermission) {
      this.#asked ??= this.#real({ audio: true });
      await this.#asked;
    }
    if (!this.#tones.has(frequency)) this.#tones.set(frequency, make(frequency));
    // A call stops the tracks that it was given, so give it a clone.
    return this.#tones.get(frequency).clone();
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
