// The last minute of a call: one line per measure, each with its own scale, above one axis of time.

const SPAN = 60; // seconds, and the width of the drawing
const HEIGHT = 20;

/** The possible upper ends of a scale; the smallest that fits is used. */
const PERCENT = [2, 5, 10, 20, 50, 100];
const MILLISECONDS = [10, 20, 50, 100, 200, 500, 1000, 2000, 5000];

export class Graph {
  #lines;

  /** `element` has a row per measure: `.loss`, `.jitter` and `.roundTrip`. */
  constructor(element) {
    const line = (name, unit, scales) => new Line(element.querySelector(`.${name}`), name, unit, scales);
    this.#lines = [
      line('loss', '%', PERCENT), line('jitter', 'ms', MILLISECONDS), line('roundTrip', 'ms', MILLISECONDS),
    ];
    this.clear();
  }

  /** Adds a measurement made at this time, in milliseconds. A value of `null` leaves a gap. */
  add(at, values) {
    for (const line of this.#lines) line.add(at / 1000, values[line.name]);
  }

  clear() {
    for (const line of this.#lines) line.clear();
  }
}

class Line {
  #points = [];
  #unit;
  #scales;
  #value;
  #scale;
  #path;

  constructor(row, name, unit, scales) {
    this.name = name;
    this.#unit = unit;
    this.#scales = scales;
    this.#value = row.querySelector('.value');
    this.#scale = row.querySelector('.scale');
    this.#path = row.querySelector('path');
    row.querySelector('svg').setAttribute('viewBox', `0 0 ${SPAN} ${HEIGHT}`);
  }

  add(at, value) {
    this.#points = [...this.#points, { at, value }].filter((point) => at - point.at <= SPAN);
    this.#value.textContent = value === null ? '–' : `${value.toFixed(1)} ${this.#unit}`;
    this.#draw(at);
  }

  clear() {
    this.#points = [];
    this.#value.textContent = '–';
    this.#draw(0);
  }

  #draw(now) {
    const highest = Math.max(0, ...this.#points.map(({ value }) => value));
    const top = this.#scales.find((scale) => scale >= highest) ?? this.#scales.at(-1);
    const x = (at) => (SPAN - (now - at)).toFixed(2);
    const y = (value) => (HEIGHT - (HEIGHT * Math.min(value, top)) / top).toFixed(2);
    let pen = 'M';
    const steps = this.#points.map(({ at, value }) => {
      if (value === null) {
        pen = 'M';
        return '';
      }
      const step = `${pen}${x(at)} ${y(value)}`;
      pen = 'L';
      return step;
    });
    this.#path.setAttribute('d', steps.join(''));
    this.#scale.textContent = `${top} ${this.#unit}`;
  }
}
