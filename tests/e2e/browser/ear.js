// Tones: made for the far end, measured from it.

const WINDOW = 4096; // samples, 85 ms at 48 kHz: tones 12 Hz apart are told apart

/** What the page hears, and the tone that it sends. */
export class Ear {
  #context = new AudioContext();
  #analyser = new AnalyserNode(this.#context, { fftSize: WINDOW });
  #heard = null;
  #tones = new Map();

  /** A stream of one tone for as long as the page lives. */
  tone(frequency) {
    if (!this.#tones.has(frequency)) {
      const destination = this.#context.createMediaStreamDestination();
      const oscillator = new OscillatorNode(this.#context, { frequency });
      oscillator.connect(new GainNode(this.#context, { gain: 0.3 })).connect(destination);
      oscillator.start();
      this.#tones.set(frequency, destination.stream);
    }
    // A call stops the tracks that it was given.
    return this.#tones.get(frequency).clone();
  }

  /** Listens to this track from now on. */
  hear(track) {
    const stream = new MediaStream([track]);
    this.#heard?.disconnect();
    this.#heard = this.#context.createMediaStreamSource(stream);
    this.#heard.connect(this.#analyser);
    // Chromium decodes a remote track only when an element plays it.
    document.getElementById('remote').srcObject = stream;
  }

  /** Listens for `seconds`: loudness (RMS), and which share of the power each frequency has, windows in the middle. */
  async listen(frequencies, seconds) {
    await this.#context.resume();
    const samples = new Float32Array(WINDOW);
    const windows = [];
    const end = performance.now() + seconds * 1000;
    while (performance.now() < end) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      this.#analyser.getFloatTimeDomainData(samples);
      const power = samples.reduce((sum, sample) => sum + sample * sample, 0) / WINDOW;
      const share = (frequency) => (power > 1e-9 ? tonePower(samples, frequency / this.#context.sampleRate) / power : 0);
      windows.push({ rms: Math.sqrt(power), shares: frequencies.map(share) });
    }
    return {
      rms: median(windows.map(({ rms }) => rms)),
      shares: frequencies.map((_, index) => median(windows.map(({ shares }) => shares[index]))),
      silent: windows.filter(({ rms }) => rms < 1e-3).length,
      windows: windows.length,
    };
  }
}

/** Power at one frequency (cycles per sample) under a Hann window, scaled so that a pure tone gives its own power. */
function tonePower(samples, frequency) {
  let [real, imaginary, weight] = [0, 0, 0];
  for (let index = 0; index < samples.length; index += 1) {
    const hann = 0.5 - 0.5 * Math.cos((2 * Math.PI * index) / samples.length);
    const angle = 2 * Math.PI * frequency * index;
    real += samples[index] * hann * Math.cos(angle);
    imaginary += samples[index] * hann * Math.sin(angle);
    weight += hann;
  }
  return (2 * (real * real + imaginary * imaginary)) / (weight * weight);
}

function median(values) {
  const sorted = values.toSorted((one, other) => one - other);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}
