// Measures by frequency what the page hears.
//
// The track is recorded and the recording decoded, because an AnalyserNode would need a sound card in Firefox.

const RATE = 48_000;
const WINDOW = 4096; // samples, 85 ms: tones 12 Hz apart are told apart
const STEP = RATE / 10;

export class Ear {
  #track = null;

  /** Starts listening to this track. */
  hear(track) {
    this.#track = track;
    // Chromium decodes a remote track only when an element plays it.
    document.getElementById('remote').srcObject = new MediaStream([track]);
  }

  /** Listens for `seconds`: loudness (RMS), and which share of the power each frequency has, windows in the middle. */
  async listen(frequencies, seconds) {
    const samples = await decode(await record(this.#track, seconds));
    const windows = [];
    for (let start = 0; start + WINDOW <= samples.length; start += STEP) {
      windows.push(measure(samples.subarray(start, start + WINDOW), frequencies));
    }
    return {
      rms: median(windows.map(({ rms }) => rms)),
      shares: frequencies.map((_, index) => median(windows.map(({ shares }) => shares[index]))),
      windows: windows.length,
    };
  }
}

/** Records for `seconds`. A page that receives no audio has no track, and records nothing. */
async function record(track, seconds) {
  if (!track) {
    await pause(seconds);
    return new Blob();
  }
  const recorder = new MediaRecorder(new MediaStream([track]));
  const parts = [];
  recorder.addEventListener('dataavailable', ({ data }) => parts.push(data));
  const stopped = new Promise((resolve) => recorder.addEventListener('stop', resolve));
  recorder.start();
  await pause(seconds);
  if (recorder.state !== 'inactive') recorder.stop();
  await stopped;
  return new Blob(parts);
}

const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

/** A track that never had a packet has no recording: that counts as silence. */
async function decode(recording) {
  if (recording.size === 0) return new Float32Array();
  const context = new OfflineAudioContext(1, RATE, RATE);
  const audio = await context.decodeAudioData(await recording.arrayBuffer()).catch(() => null);
  return audio?.getChannelData(0) ?? new Float32Array();
}

function measure(samples, frequencies) {
  const power = samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;
  const share = (frequency) => (power > 1e-9 ? tonePower(samples, frequency / RATE) / power : 0);
  return { rms: Math.sqrt(power), shares: frequencies.map(share) };
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
