// A level meter with a logarithmic scale, like hearing: decibels below the maximum.

const FLOOR = -60; // dB

export class Meter {
  #element;

  /** `element` has the role `meter` and a name. */
  constructor(element) {
    this.#element = element;
    element.ariaValueMin = FLOOR;
    element.ariaValueMax = 0;
    this.clear();
  }

  /** Shows an RMS level, at most 1; `null` if unknown. */
  show(level) {
    if (level === null) return this.#set(FLOOR, 'unknown');
    const decibels = Math.round(Math.max(FLOOR, 20 * Math.log10(level)));
    this.#set(decibels, decibels === FLOOR ? 'silent' : `${decibels} dB`.replace('-', '−'));
  }

  clear() {
    this.#set(FLOOR, 'no call');
  }

  #set(decibels, text) {
    this.#element.ariaValueNow = decibels;
    this.#element.ariaValueText = text;
    this.#element.style.setProperty('--level', 1 - decibels / FLOOR);
  }
}
