// The choice of microphone, speaker and camera. The browser remembers it.

const PREFIX = 'webrtc-demo-';
const KEYS = { microphone: 'audioinput', speaker: 'audiooutput', camera: 'videoinput' };

export class Devices {
  #selects;

  /**
   * `selects` are elements named like `KEYS`. `use` is called with a name and the chosen device, also for the choice that was
   * remembered; an empty one is the system's.
   */
  constructor(selects, use) {
    this.#selects = selects;
    for (const [name, select] of Object.entries(selects)) {
      select.dataset.wanted = remembered(name);
      select.addEventListener('change', () => {
        select.dataset.wanted = select.value;
        remember(name, select.value);
        use(name, select.value);
      });
    }
    navigator.mediaDevices?.addEventListener('devicechange', () => this.refresh());
  }

  /** The chosen device of this name, which may not be plugged in; empty for the system's. */
  chosen(name) {
    return this.#selects[name].dataset.wanted;
  }

  /** Lists the devices. Browsers tell their names only to a page that has had a microphone. */
  async refresh() {
    const all = await navigator.mediaDevices?.enumerateDevices().catch(() => []) ?? [];
    for (const [name, select] of Object.entries(this.#selects)) {
      const devices = all.filter(({ kind, deviceId }) => kind === KEYS[name] && !UNNAMED.includes(deviceId));
      select.replaceChildren(
        new Option('The system’s', ''),
        ...devices.map(({ deviceId, label }, place) => new Option(label || `${name} ${place + 1}`, deviceId)),
      );
      const { wanted } = select.dataset;
      select.value = devices.some(({ deviceId }) => deviceId === wanted) ? wanted : '';
    }
  }
}

/** Chromium lists the system's devices once more, under these names. */
const UNNAMED = ['', 'default', 'communications'];

function remembered(name) {
  try {
    return localStorage.getItem(PREFIX + name) ?? '';
  } catch {
    return '';
  }
}

function remember(name, device) {
  try {
    localStorage.setItem(PREFIX + name, device);
  } catch {
    // The browser keeps nothing. The choice lasts as long as the page.
  }
}
