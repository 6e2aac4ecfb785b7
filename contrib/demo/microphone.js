// The microphone, open during a call, and its level.

import { open } from './media.js';

export class Microphone {
  #context = new AudioContext();
  #analyser = this.#context.createAnalyser();
  #samples = new Float32Array(this.#analyser.fftSize);

  /** Asks for the microphone `device`, see `open`. */
  static async open(device) {
    return new Microphone(await open('audio', device));
  }

  constructor(stream) {
    this.stream = stream;
    this.#context.createMediaStreamSource(stream).connect(this.#analyser);
  }

  /** The RMS level, at most 1; `null` if the browser does not measure it (Firefox without a sound card). */
  level() {
    if (this.#context.state !== 'running') return null;
    this.#analyser.getFloatTimeDomainData(this.#samples);
    const power = this.#samples.reduce((sum, sample) => sum + sample * sample, 0) / this.#samples.length;
    return Math.sqrt(power);
  }

  get isMuted() {
    return this.stream.getTracks().some(({ enabled }) => !enabled);
  }

  mute(muted) {
    for (const track of this.stream.getTracks()) track.enabled = !muted;
  }

  close() {
    for (const track of this.stream.getTracks()) track.stop();
    this.#context.close();
  }
}
