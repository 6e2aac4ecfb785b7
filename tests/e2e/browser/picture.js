// Sends and measures a picture whose two halves have different colours.
//
// Colours survive a codec better than anything else, and two correct ones in the right places are no accident.

const WIDTH = 320;
const HEIGHT = 240;
const RATE = 15;

export class Picture {
  #painter = null;
  #video = null;
  #colours = ['rgb(220, 0, 0)', 'rgb(0, 0, 220)'];

  /** From now on the picture has these colours in CSS, of its left and right half. A bar moves, so that every frame differs. */
  paint(colours) {
    this.#colours = colours;
  }

  /** A track with this picture. */
  show() {
    this.#painter ??= new Painter(this.#colours);
    return this.#painter.track();
  }

  /** Starts watching this track. */
  see(track) {
    this.#video = document.getElementById('remote-video');
    this.#video.srcObject = new MediaStream([track]);
    this.#video.play().catch(() => {});
  }

  /** The colours that both halves have now, as [red, green, blue]; `null` while there is no picture. */
  look() {
    if (!this.#video?.videoWidth) return null;
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [WIDTH, HEIGHT];
    const context = canvas.getContext('2d');
    context.drawImage(this.#video, 0, 0, WIDTH, HEIGHT);
    // Measure above the moving bar.
    const average = (left) => {
      const { data } = context.getImageData(left, 20, 80, 80);
      return [0, 1, 2].map((channel) => {
        let sum = 0;
        for (let at = channel; at < data.length; at += 4) sum += data[at];
        return Math.round((sum * 4) / data.length);
      });
    };
    return { left: average(40), right: average(WIDTH - 120), width: this.#video.videoWidth };
  }
}

class Painter {
  #canvas = document.createElement('canvas');
  #stream = null;

  constructor([left, right]) {
    [this.#canvas.width, this.#canvas.height] = [WIDTH, HEIGHT];
    const context = this.#canvas.getContext('2d');
    let at = 0;
    const paint = () => {
      context.fillStyle = left;
      context.fillRect(0, 0, WIDTH / 2, HEIGHT);
      context.fillStyle = right;
      context.fillRect(WIDTH / 2, 0, WIDTH / 2, HEIGHT);
      context.fillStyle = 'white';
      context.fillRect(at, HEIGHT - 40, 20, 40);
      at = (at + 8) % WIDTH;
    };
    paint();
    setInterval(paint, 1000 / RATE);
    this.#stream = this.#canvas.captureStream(RATE);
  }

  // A call stops the tracks that it was given, so give it a clone.
  track() {
    return this.#stream.getVideoTracks()[0].clone();
  }
}
