// A phone without a page: one account, one call at a time. SIP is JsSIP's.
//
// Events are reported as facts, objects with a `kind`; `sentences.js` puts them into words.

import JsSIP from 'jssip';
import { open } from './media.js';
import { Microphone } from './microphone.js';
import { NO_ANSWER, socketsTo } from './socket.js';

// JsSIP draws Call-ID and tags from here. They have to be as hard to guess as a password (RFC 3261 §19.3): whoever knows
// them may read Asterisk's report of the call.
Math.random = () => crypto.getRandomValues(new Uint32Array(1))[0] / 2 ** 32;

const { CONNECTION_ERROR, REQUEST_TIMEOUT } = JsSIP.C.causes;
const NOT_ACCEPTABLE = 488; // Not Acceptable Here: no stream of the offer, or not all of them, can be used (RFC 3261 §21.4.26)
const SOON = 50; // milliseconds
const GATHERING = 3000; // milliseconds: the longest wait for STUN and TURN servers, once there is a candidate

export class Phone {
  #tell;
  #choice;
  #agent = null;
  #session = null;
  #microphone = null;
  #camera = null;
  #asking = false;
  /** The latest choice of a microphone during a call. */
  #change = 0;
  #number = '';
  #digits = '';

  /**
   * `tell` is called with every fact. `choice` has functions that are asked when a call is about to begin: `iceServers()`, whose
   * result is a promise; `microphone()`, a device or an empty text for the system's; `camera()`, likewise, or `null` for none.
   */
  constructor(tell, choice) {
    this.#tell = tell;
    this.#choice = choice;
  }

  /**
   * Gives up the account it had, opens the socket to the first of `servers` and registers. When a socket cannot be opened or
   * closes, or the server does not answer, JsSIP tries the next server, with growing pauses up to half a minute. A call goes on
   * meanwhile.
   */
  register({ servers, account, password }) {
    this.#agent?.stop();
    this.#agent = null;
    const sockets = socketsTo(servers);
    if (!sockets) return this.#tell({ kind: 'noAddress', server: servers[0] });
    const agent = this.#agent = agentOf(sockets, servers[0], account, password);
    if (!agent) return this.#tell({ kind: 'noAccount', account });
    let server = servers[0];
    let current = null;
    // Ignore events of the previous account, which is unregistering.
    const tell = (fact) => agent === this.#agent && this.#tell({ server, servers, account, ...fact });
    let reached = 'nothing'; // then `socket`, then `account`
    const failed = new Set();
    // Report a repeated attempt only once.
    agent.on('connecting', ({ socket, attempts }) => {
      current = socket;
      server = socket.url;
      if (attempts === 0) tell({ kind: 'opening' });
    });
    agent.on('connected', () => {
      reached = 'socket';
      failed.clear();
    });
    agent.on('disconnected', ({ reason }) => {
      if (reached !== 'nothing') {
        tell({ kind: reason === NO_ANSWER ? 'silent' : 'closed' });
      } else if (!failed.has(server)) {
        failed.add(server);
        tell({ kind: 'unreachable', all: failed.size === servers.length });
      }
      reached = 'nothing';
    });
    agent.on('registered', () => {
      // This event comes with each renewal, too.
      if (reached !== 'account') tell({ kind: 'registered' });
      reached = 'account';
    });
    agent.on('registrationFailed', ({ response, cause }) => {
      // A closed socket is reported separately.
      if (cause === CONNECTION_ERROR) return;
      if (cause === REQUEST_TIMEOUT && !response) return current.giveUp();
      reached = 'socket';
      tell({ kind: 'notRegistered', code: response?.status_code, cause });
    });
    agent.on('newRTCSession', ({ session, request, originator }) => {
      this.#begin(session, request, originator === 'remote', server);
    });
    agent.start();
  }

  /** Calls `number`, with a picture if there is a camera. If the far end refuses pictures, calls again without. */
  async call(number, camera = this.#choice.camera()) {
    const media = await this.#media(camera);
    if (!media) return;
    // Somebody may have called while the browser asked for the microphone.
    if (this.#session) return this.#release();
    this.#number = number;
    try {
      this.#agent.call(number, media);
    } catch {
      this.#release();
      this.#tell({ kind: 'noNumber', number });
    }
  }

  /** Answers the call. Without a microphone it goes on ringing: the user may still allow it and answer. */
  async answer() {
    const session = this.#session;
    const media = await this.#media(this.#choice.camera());
    if (!media) return;
    // The caller may have given up while the browser asked for the microphone, and another one may be calling.
    if (!session || session !== this.#session) return this.#release();
    session.answer(media);
  }

  /** Hangs up, declines or cancels the call, depending on its state. */
  hangUp() {
    this.#session?.terminate();
  }

  /** Sends a digit as telephone-event (RFC 4733). Digits that come faster than they can be sent are queued. */
  press(tone) {
    this.#digits += tone;
    this.#sendDigits();
  }

  mute(muted) {
    this.#microphone.mute(muted);
  }

  /** RTCPeerConnection of the call. */
  get connection() {
    return this.#session?.connection;
  }

  get microphone() {
    return this.#microphone;
  }

  /** The stream of the camera; `null` in a call without. */
  get camera() {
    return this.#camera;
  }

  /** Uses another microphone from now on, in the middle of a call. */
  async changeMicrophone(device) {
    const [session, change] = [this.#session, ++this.#change];
    const sender = this.connection?.getSenders().find(({ track }) => track?.kind === 'audio');
    if (!sender || !this.#microphone) return;
    let microphone = null;
    try {
      microphone = await Microphone.open(device);
      // The call may have ended, or the user has chosen once more.
      if (session !== this.#session || change !== this.#change) return microphone.close();
      microphone.mute(this.#microphone.isMuted);
      await sender.replaceTrack(microphone.stream.getAudioTracks()[0]);
      this.#take(microphone, session);
    } catch ({ name, message }) {
      microphone?.close();
      // A connection that is closed takes no track.
      if (session === this.#session) this.#tell({ kind: 'noMicrophone', name, message });
    }
  }

  /** Takes a microphone in place of the present one, unless the call is over, which has closed that one. */
  #take(microphone, session) {
    if (session !== this.#session) return microphone.close();
    microphone.mute(this.#microphone.isMuted);
    this.#microphone.close();
    this.#microphone = microphone;
  }

  /** Whether the far end has put the call on hold. */
  get isHeld() {
    return this.#session?.isOnHold().remote ?? false;
  }

  /**
   * Opens the microphone first, so that a refusal is reported by its name and no telephone rings in vain. `null` if there is
   * none, or if it is being asked for already.
   */
  async #media(camera) {
    if (this.#asking || this.#microphone) return null;
    this.#asking = true;
    this.#tell({ kind: 'asking' });
    try {
      const { iceServers, microphone } = this.#choice;
      [this.#microphone, this.#camera] = [await Microphone.open(microphone()), await this.#openCamera(camera)];
      const tracks = [this.#microphone.stream, this.#camera].flatMap((stream) => stream?.getTracks() ?? []);
      return { mediaStream: new MediaStream(tracks), pcConfig: { iceServers: await iceServers() } };
    } catch ({ name, message }) {
      this.#tell({ kind: 'noMicrophone', name, message });
      return null;
    } finally {
      this.#asking = false;
    }
  }

  /** Opens a camera; `null` if none is wanted or it cannot be used: then the call is one without. */
  async #openCamera(device) {
    if (device === null) return null;
    try {
      return await open('video', device);
    } catch ({ name, message }) {
      this.#tell({ kind: 'noCamera', name, message });
      return null;
    }
  }

  #begin(session, request, incoming, server) {
    if (this.#session) return session.terminate({ status_code: 486 });
    this.#session = session;
    // The dialog's identifiers (RFC 3261 §12). The called end chooses the tag of To.
    const identity = { id: request.call_id, from: request.from.getParam('tag'), to: request.to_tag ?? '' };
    const answered = (response) => {
      if (!incoming && response?.to_tag) identity.to = response.to_tag;
    };
    // The address of a far end need not have a user.
    const { uri } = session.remote_identity;
    const tell = (fact) => this.#tell({ peer: uri.user || uri.host, incoming, ...fact });
    session.on('progress', ({ response }) => {
      answered(response);
      if (!incoming) tell({ kind: 'ringing' });
    });
    session.on('accepted', ({ response }) => {
      answered(response);
      tell({ kind: 'up', isWithoutPicture: this.#releaseUnusedCamera() });
    });
    session.on('ended', ({ originator, cause }) => this.#end(() => tell({ kind: 'ended', by: originator, cause })));
    session.on('failed', ({ originator, message, cause }) => {
      answered(message);
      const [code, hadCamera] = [message?.status_code, this.#camera !== null];
      if (!incoming && code === NOT_ACCEPTABLE && hadCamera) {
        this.#end(() => tell({ kind: 'noPicture' }));
        this.call(this.#number, null);
        return;
      }
      this.#end(() => tell({ kind: 'failed', by: originator, code, cause }));
    });
    // This event comes after `failed` and has more details.
    session.on('peerconnection:setremotedescriptionfailed', ({ message }) => {
      tell({ kind: 'descriptionRefused', message });
    });
    // A server that does not answer must not hold up the call.
    session.on('icecandidate', ({ ready }) => setTimeout(ready, GATHERING));
    // An outgoing call has its connection already; an incoming one gets it with the answer.
    if (session.connection) this.#listen(session.connection);
    else session.on('peerconnection', ({ peerconnection }) => this.#listen(peerconnection));
    tell({ kind: incoming ? 'incoming' : 'calling', identity, server });
  }

  #listen(connection) {
    connection.addEventListener('track', ({ track }) => this.#tell({ kind: 'track', track }));
  }

  #sendDigits() {
    if (!this.#session || this.#digits === '') return;
    // Chromium accepts no digits before the keys are there, a moment after the call was accepted.
    const ready = this.connection.getSenders().every(({ dtmf }) => dtmf?.canInsertDTMF !== false);
    if (!ready) return void setTimeout(() => this.#sendDigits(), SOON);
    this.#session.sendDTMF(this.#digits, { transportType: 'RFC2833', duration: 120, interToneGap: 80 });
    this.#digits = '';
  }

  #end(tell) {
    this.#session = null;
    this.#digits = '';
    this.#release();
    tell();
  }

  #release() {
    this.#microphone?.close();
    this.#microphone = null;
    this.#releaseCamera();
  }

  #releaseCamera() {
    for (const track of this.#camera?.getTracks() ?? []) track.stop();
    this.#camera = null;
  }

  /** Closes the camera if the far end takes the sound alone. Returns whether that is so. */
  #releaseUnusedCamera() {
    const isUsed = this.connection.getTransceivers().some(({ sender, currentDirection }) => (
      sender.track?.kind === 'video' && currentDirection?.startsWith('send')
    ));
    if (this.#camera === null || isUsed) return false;
    this.#releaseCamera();
    return true;
  }
}

/** Makes a SIP user agent of the domain of `server`; `null` if `account` is not a valid name in SIP. */
function agentOf(sockets, server, account, password) {
  try {
    return new JsSIP.UA({
      sockets,
      uri: `sip:${account}@${new URL(server).hostname}`,
      password,
      session_timers: false,
    });
  } catch {
    return null;
  }
}
