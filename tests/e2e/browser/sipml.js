// The page's phone with sipML5, in Chromium. `told` is what it reports to: see `Phone` in phone.js.
//
// The library is of 2018 and a script that sets globals: it wants two names that browsers no longer have.

export class SipMlLine {
  #told;
  #library = null;
  #stack = null;
  #registration = null;
  #session = null;

  constructor(told) {
    this.#told = told;
  }

  async register({ server, uri, password }) {
    const [, user, host] = uri.match(/^sip:(.*)@(.*)$/);
    this.#library = await load();
    this.#stack = new this.#library.Stack({
      realm: host, impi: user, impu: uri, password, display_name: user, websocket_proxy_url: server,
      // Only this machine: the library's own default names public STUN servers.
      ice_servers: [],
      enable_rtcweb_breaker: false,
      events_listener: { events: '*', listener: (event) => this.#stackEvent(event) },
    });
    const started = this.#told.next(['connected'], 10);
    this.#stack.start();
    await started;
    this.#registration = this.#stack.newSession('register', {
      events_listener: { events: '*', listener: ({ type }) => type === 'connected' && this.#told.note('registered') },
    });
    this.#registration.register();
  }

  unregister() {
    this.#stack.stop();
  }

  dial(number) {
    this.#session = this.#stack.newSession('call-audio', this.#configuration());
    this.#told.begin('local');
    this.#session.call(number);
  }

  answer() {
    this.#session.accept(this.#configuration());
  }

  hold() {
    return this.#renegotiated('hold', () => this.#session.hold());
  }

  unhold() {
    return this.#renegotiated('unhold', () => this.#session.resume());
  }

  dtmf(digit) {
    this.#session.dtmf(digit);
  }

  hangup() {
    this.#session.hangup();
  }

  #configuration() {
    return {
      audio_remote: new Audio(),
      events_listener: { events: '*', listener: (event) => this.#callEvent(event) },
    };
  }

  #stackEvent({ type, newSession }) {
    if (type === 'started') this.#told.note('connected');
    if (type === 'stopped') this.#told.note('disconnected');
    if (type !== 'i_new_call') return;
    this.#session = newSession;
    newSession.setConfiguration(this.#configuration());
    this.#told.begin('remote');
    this.#told.note('ringing', newSession.getRemoteFriendlyName());
  }

  #callEvent({ type, description }) {
    const name = EVENTS[type];
    if (name) this.#told.note(name, description);
  }

  async #renegotiated(name, start) {
    const answered = this.#told.next([name, 'refused', 'ended'], 10);
    start();
    const event = await answered;
    if (event?.name !== name) throw new Error(`${name} was not done but ${event?.name ?? 'not answered'}`);
  }
}

const EVENTS = {
  connected: 'accepted', terminated: 'ended',
  m_local_hold_ok: 'hold', m_local_resume_ok: 'unhold', m_local_hold_nok: 'refused', m_local_resume_nok: 'refused',
};

async function load() {
  const Connection = window.RTCPeerConnection;
  window.webkitRTCPeerConnection = Connection;
  navigator.webkitGetUserMedia = (constraints, given, refused) => {
    navigator.mediaDevices.getUserMedia(constraints).then(given, refused);
  };
  const script = document.createElement('script');
  script.src = '/sipml.js';
  const loaded = new Promise((resolve, reject) => Object.assign(script, { onload: resolve, onerror: reject }));
  document.head.append(script);
  await loaded;
  const { SIPml } = window;
  await new Promise((resolve, reject) => SIPml.init(resolve, reject));
  return SIPml;
}
