// The microphone, open during a call, and its level.

export class Microphone {
  #context = new AudioContext();
  #analyser = this.#context.createAnalyser();
  #samples = new Float32Array(this.#analyser.fftSize);

  /** Asks for the microphone. Fails like `getUserMedia()`, or with `SecurityError` on an insecure page. */
  static async open() {
    if (!navigator.mediaDevices) throw new DOMException('the page is not secure', 'SecurityError');
    return new Microphone(await navigator.mediaDevices.getUserMedia({ audio: true }));
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

  mute(muted) {
    for (const track of this.stream.getTracks()) track.enabled = !muted;
  }

  close() {
    for (const track of this.stream.getTracks()) track.stop();
    this.#context.close();
  }
}
