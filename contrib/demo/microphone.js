// The microphone, open for as long as a call is, and how loud it is.

export class Microphone {
  #context = new AudioContext();
  #analyser = this.#context.createAnalyser();
  #samples = new Float32Array(this.#analyser.fftSize);

  /** Asks for it. Fails as `getUserMedia()` does, and as an insecure page does where there is none to ask. */
  static async open() {
    if (!navigator.mediaDevices) throw new DOMException('the page is not secure', 'SecurityError');
    return new Microphone(await navigator.mediaDevices.getUserMedia({ audio: true }));
  }

  constructor(stream) {
    this.stream = stream;
    this.#context.createMediaStreamSource(stream).connect(this.#analyser);
  }

  /** RMS, 1 for the loudest; `null` where the browser does not measure (Firefox on a machine without a sound card). */
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
