// A phone: one account, one call at a time. SIP is JsSIP's; what is here is the page.

import JsSIP from 'jssip';

const byId = (id) => document.getElementById(id);
const account = byId('account');
const dial = byId('dial');
const buttons = { call: byId('call'), answer: byId('answer'), hangup: byId('hangup') };

let agent = null;
let call = null;

const scheme = location.protocol === 'https:' ? 'wss' : 'ws';
account.elements.server.value = new URLSearchParams(location.search).get('server') ?? `${scheme}://${location.host}/ws`;

account.addEventListener('submit', (event) => {
  event.preventDefault();
  register(account.elements);
});
dial.addEventListener('submit', (event) => {
  event.preventDefault();
  agent.call(dial.elements.number.value, { mediaConstraints: { audio: true, video: false } });
});
buttons.answer.addEventListener('click', () => call?.answer({ mediaConstraints: { audio: true, video: false } }));
buttons.hangup.addEventListener('click', () => call?.terminate());
for (const tone of '123456789*0#') {
  const key = Object.assign(document.createElement('button'), { type: 'button', textContent: tone });
  key.addEventListener('click', () => call?.sendDTMF(tone, { transportType: 'RFC2833' }));
  byId('keypad').append(key);
}

function register({ server, account: name, password }) {
  agent?.stop();
  let socket;
  try {
    socket = new JsSIP.WebSocketInterface(server.value);
  } catch {
    return say('The server is written like ws://localhost:8088/ws.', 'failed');
  }
  agent = new JsSIP.UA({
    sockets: [socket],
    uri: `sip:${name.value}@${new URL(server.value).hostname}`,
    password: password.value,
    session_timers: false,
  });
  agent.on('connecting', () => say(`Opening ${server.value} …`));
  agent.on('disconnected', () => {
    buttons.call.disabled = true;
    say(`${server.value} cannot be opened, or was closed.`, 'failed');
  });
  agent.on('registered', () => {
    buttons.call.disabled = false;
    say(`Registered as ${name.value}.`);
  });
  agent.on('registrationFailed', ({ cause }) => say(`${name.value} was not registered: ${cause}.`, 'failed'));
  agent.on('newRTCSession', ({ session, originator }) => begin(session, originator));
  agent.start();
}

function begin(session, originator) {
  if (call) {
    session.terminate({ status_code: 486 });
    return;
  }
  call = session;
  const incoming = originator === 'remote';
  say(incoming ? `${session.remote_identity.uri.user} is calling.` : `Calling ${session.remote_identity.uri.user} …`);
  show({ answer: incoming, hangup: true });
  session.on('accepted', () => {
    say('In call.');
    show({ hangup: true });
    byId('keypad').disabled = false;
  });
  session.on('getusermediafailed', () => say('The browser gave no microphone: allow it for this page.', 'failed'));
  session.on('ended', ({ cause }) => end(`The call has ended: ${cause}.`));
  session.on('failed', ({ cause }) => end(`There was no call: ${cause}.`, 'failed'));
  // A call of ours has its connection already, one to us gets it with the answer.
  if (session.connection) listen(session.connection);
  else session.on('peerconnection', ({ peerconnection }) => listen(peerconnection));
}

function listen(connection) {
  connection.addEventListener('track', ({ track }) => {
    byId('remote').srcObject = new MediaStream([track]);
  });
  const timer = setInterval(async () => {
    if (connection.connectionState === 'closed') return clearInterval(timer);
    report(await connection.getStats());
  }, 500);
}

function report(statistics) {
  const find = (type) => [...statistics.values()].find((entry) => entry.type === type && entry.kind === 'audio');
  const inbound = find('inbound-rtp');
  if (!inbound) return;
  const remote = find('remote-inbound-rtp');
  byId('quality').hidden = false;
  byId('level').value = inbound.audioLevel ?? 0;
  byId('received').textContent = `${inbound.packetsReceived} packets`;
  byId('received').dataset.energy = inbound.totalAudioEnergy ?? 0;
  byId('lost').textContent = `${inbound.packetsLost} packets`;
  byId('jitter').textContent = `${(inbound.jitter * 1000).toFixed(1)} ms`;
  if (remote?.roundTripTime !== undefined) byId('roundtrip').textContent = `${(remote.roundTripTime * 1000).toFixed(1)} ms`;
}

function end(sentence, kind) {
  // A refused microphone has been named already; what follows from it says less.
  if (!byId('status').textContent.startsWith('The browser gave no microphone')) say(sentence, kind);
  call = null;
  byId('keypad').disabled = true;
  byId('quality').hidden = true;
  show({ call: true });
}

function show({ call: canCall = false, answer = false, hangup = false }) {
  buttons.call.hidden = !canCall;
  buttons.answer.hidden = !answer;
  buttons.hangup.hidden = !hangup;
}

function say(sentence, kind = '') {
  byId('status').textContent = sentence;
  byId('status').className = kind;
}
