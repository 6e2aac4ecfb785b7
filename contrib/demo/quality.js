// Measurements during a call: levels, the graph, counts, its length, and whether there is audio at all.

import { Graph } from './graph.js';
import { Meter } from './meter.js';
import { SilenceWatch } from './silence.js';
import { levelBetween, lossBetween, measure } from './statistics.js';

const LEVELS = 200; // milliseconds between two measurements of the levels
const GRAPH = 1000; // and between two points of the graph

const byId = (id) => document.getElementById(id);

export class Quality {
  #phone;
  #tellMissing;
  #report;
  #graph = new Graph(byId('graph'));
  #speaking = new Meter(byId('speaking'));
  #hearing = new Meter(byId('hearing'));
  #timer = null;
  #began;
  #watch;
  #missing;
  #before;
  #point;

  /**
   * Calls `tellMissing` with what the call lacks, see `SilenceWatch.look`, and with `null` when all is well again. `report`
   * gets each measurement.
   */
  constructor(phone, tellMissing, report) {
    this.#phone = phone;
    this.#tellMissing = tellMissing;
    this.#report = report;
  }

  /** Starts measuring: the phone's call is up from now on. */
  start() {
    this.#graph.clear();
    this.#began = performance.now();
    this.#watch = new SilenceWatch(this.#began);
    this.#missing = null;
    this.#before = null;
    this.#point = null;
    this.#timer = setInterval(() => this.#look(), LEVELS);
  }

  /** Stops measuring: the call is over. Its graph and its counts stay visible. */
  stop() {
    clearInterval(this.#timer);
    this.#timer = null;
    byId('clock').textContent = '';
    this.#speaking.clear();
    this.#hearing.clear();
  }

  async #look() {
    const { connection, microphone } = this.#phone;
    const timer = this.#timer;
    const now = await measure(connection);
    // The call may have ended meanwhile, and another begun.
    if (timer !== this.#timer) return;
    this.#speaking.show(microphone.level());
    this.#hearing.show(levelBetween(this.#before ?? now, now));
    this.#before = now;
    this.#report.measured(now.details);
    this.#point ??= now;
    if (now.at - this.#point.at >= GRAPH) this.#add(now);
    this.#listen(now, connection);
    byId('clock').textContent = minutes(now.at - this.#began);
  }

  #add(now) {
    this.#graph.add(now.at, { ...now, loss: lossBetween(this.#point, now) });
    this.#point = now;
    byId('received').textContent = packets(now.received, now.lost);
    byId('sent').textContent = packets(now.sent, now.lostThere);
  }

  #listen(now, connection) {
    if (this.#phone.isHeld) this.#watch = new SilenceWatch(now.at);
    const missing = this.#watch.look(now, connection);
    if (missing === this.#missing) return;
    this.#missing = missing;
    this.#tellMissing(missing);
  }
}

function packets(count, lost) {
  return `${count} packets${lost === null ? '' : `, ${lost} lost`}`;
}

function minutes(milliseconds) {
  const seconds = Math.floor(milliseconds / 1000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
}
