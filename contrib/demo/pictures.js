// The picture of the far end and that of the camera here, during a call that has them.

const byId = (id) => document.getElementById(id);

export class Pictures {
  #far = byId('picture');
  #own = byId('self');

  /** Shows the far end's picture while one arrives. */
  show(track) {
    this.#far.srcObject = new MediaStream([track]);
    const update = () => {
      this.#far.hidden = track.muted;
      this.#frame();
    };
    track.addEventListener('mute', update);
    track.addEventListener('unmute', update);
    update();
  }

  /** Shows what the camera sees; `null` for none. */
  showOwn(stream) {
    this.#own.srcObject = stream;
    this.#own.hidden = stream === null;
    this.#frame();
  }

  /** Shows nothing: the call is over. */
  clear() {
    for (const video of [this.#far, this.#own]) {
      video.srcObject = null;
      video.hidden = true;
    }
    this.#frame();
  }

  #frame() {
    byId('pictures').hidden = this.#far.hidden && this.#own.hidden;
  }
}
