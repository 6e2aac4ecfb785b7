// Describes what happened in one sentence for the caller, and where to look in one for the administrator.

/** Facts of `phone.js` and `silence.js` as `{ text, look, tone }`; `tone` is `failed` or undefined. */
export function sentenceFor(fact) {
  return SENTENCES[fact.kind]?.(fact) ?? null;
}

const SENTENCES = {
  noAddress: ({ server }) => failed(
    `“${server}” is not the address of a WebSocket.`, 'Write it like ws://localhost:8088/ws.',
  ),
  noAccount: ({ account }) => failed(`“${account}” cannot be an account.`, 'Its name has no spaces.'),
  noServers: ({ message }) => failed(
    `The file servers.json beside this page cannot be used: ${message}.`,
    'It is JSON with the lists “servers” and “iceServers”, and may be missing.',
  ),
  expired: ({ at }) => failed(
    `The password for TURN in servers.json expired on ${at.toLocaleString()}.`,
    'Write a new one into it: a call that needs a relay has no audio without.',
  ),
  opening: ({ server }) => said(`Opening ${server} …`),
  unreachable,
  closed: ({ server, servers }) => failed(
    `The socket ${server} was closed; the phone ${servers.length > 1 ? 'goes to the next server' : 'opens it again'}.`,
    'Asterisk ended or closed it: its log has a line with the reason.',
  ),
  silent: ({ server, servers }) => failed(
    `${server} does not answer any more; the phone ${servers.length > 1 ? 'goes to the next server' : 'opens it again'}.`,
    'The network between may be down, or Asterisk hangs: “core show uptime” on its console shows whether it answers.',
  ),
  registered: ({ account, server, servers }) => said(
    servers.length > 1 ? `Registered as ${account} at ${new URL(server).host}.` : `Registered as ${account}.`,
  ),
  notRegistered: ({ account, code, cause }) => failed(
    `${account} was not registered: ${code ? `${code}, ${reasonFor(REGISTRATION, code, cause)}` : 'no answer came'}.`,
    'Compare account and password with sip.conf or pjsip.conf; Asterisk’s log has the reason.',
  ),

  asking: () => said('The browser asks for the microphone …'),
  noMicrophone: ({ name, message }) => failed(...(MICROPHONE[name] ?? [`The microphone cannot be used: ${message}.`])),
  noCamera: ({ name, message }) => failed(...(CAMERA[name] ?? [`The camera cannot be used: ${message}.`])),
  noSpeaker: ({ message }) => failed(`The speaker cannot be used: ${message}.`, 'Choose another one under “Devices”.'),
  noPicture: ({ peer }) => said(`${peer} takes no picture; calling without the camera …`),
  noNumber: ({ number }) => failed(`“${number}” cannot be called.`, 'A number has no spaces.'),

  calling: ({ peer }) => said(`Calling ${peer} …`),
  ringing: ({ peer }) => said(`It rings at ${peer}.`),
  incoming: ({ peer }) => said(`${peer} is calling.`),
  up: ({ peer, isWithoutPicture }) => said(
    isWithoutPicture ? `In call with ${peer}, which takes no picture.` : `In call with ${peer}.`,
  ),
  ended,
  failed: (fact) => (fact.incoming ? missed(fact) : refused(fact)),
  descriptionRefused: ({ message }) => failed(
    `The browser refused Asterisk’s answer: ${message.replace(CHROMIUM_BEGINS, '')}`,
    /rtcp-?mux/i.test(message) ? LOOK_AT_MODULES : LOOK_AT_ACCOUNT,
  ),

  ice: () => failed(
    'No audio for three seconds: ICE has found no way between this browser and Asterisk.', LOOK_AT_SESSIONS,
  ),
  dtls: () => failed(
    'No audio for three seconds: ICE has found a way, but the DTLS handshake is not done, so there are no keys.',
    LOOK_AT_SESSIONS,
  ),
  packets: () => failed(
    'No audio for three seconds: the way is open, but no packet arrives.',
    `The dialplan may be waiting in silence. ${LOOK_AT_SESSIONS}`,
  ),
  morePackets: () => failed('No audio for three seconds: packets have stopped arriving.', LOOK_AT_SESSIONS),
  sound: () => failed(
    'No audio for three seconds: packets arrive, but they are silent.',
    'The far end may be muted or silent. “core show channels” on Asterisk’s console shows what the dialplan does.',
  ),
};

/** The names of errors in browsers, and their meaning. */
const MICROPHONE = {
  NotAllowedError: ['The microphone was refused.', 'Allow it for this page: click the sign before its address.'],
  NotFoundError: ['There is no microphone.', 'Plug one in, or choose one in the settings of the system.'],
  NotReadableError: ['The microphone cannot be opened.', 'Another program may have it, or the system forbids it.'],
  SecurityError: ['This page gets no microphone.', 'Browsers give it only to pages on https or on localhost.'],
};

const CAMERA = {
  NotAllowedError: ['The camera was refused.', 'Allow it for this page: click the sign before its address.'],
  NotFoundError: ['There is no camera.', 'Plug one in, or switch “Camera” off.'],
  NotReadableError: ['The camera cannot be opened.', 'Another program may have it, or the system forbids it.'],
};

const REGISTRATION = {
  401: 'the password is wrong',
  403: 'the password is wrong, or the account may not register from here',
  404: 'there is no such account',
  407: 'the password is wrong',
  408: 'no answer came',
  423: 'Asterisk requires a longer expiry',
  503: 'the service is unavailable',
};

const CALL = {
  401: 'the password is wrong',
  403: 'the call is forbidden',
  404: 'there is no such number in the dialplan',
  408: 'no answer came',
  480: 'nobody is registered there',
  484: 'the number is incomplete',
  486: 'it is busy',
  487: 'the call was given up',
  488: 'Asterisk and the browser have no audio format or security in common',
  500: 'Asterisk has an error',
  503: 'it cannot be reached',
  600: 'it is busy',
  603: 'the call was declined',
};

const LOOK_AT_SESSIONS =
  'On Asterisk’s console, “rtp show sessions” shows the state of ICE and DTLS, and what was refused.';
const LOOK_AT_ACCOUNT =
  'The account needs encryption, avpf, icesupport and dtlsenable in sip.conf, or webrtc in pjsip.conf.';
const LOOK_AT_MODULES =
  'Browsers require rtcp-mux, which Asterisk 11’s own modules do not support: install the modules that this page ' +
  'belongs to.';

/** The beginning of Chromium's messages: the failed operation, before the error itself. */
const CHROMIUM_BEGINS = /^Failed to execute '\w+' on 'RTCPeerConnection': Failed to set remote \w+ sdp: /;

function unreachable({ server, servers, all }) {
  if (servers.length === 1) {
    return failed(`The socket ${server} cannot be opened; the phone keeps trying.`, lookAtSocket(server));
  }
  if (!all) return failed(`The socket ${server} cannot be opened; the phone tries the next server.`, lookAtSocket(server));
  return failed(`None of the ${servers.length} servers can be reached; the phone keeps trying.`, lookAtSocket(server));
}

function ended({ peer, by, cause }) {
  // JsSIP's name for failed ICE.
  if (cause === 'RTP Timeout') {
    return failed(`The call with ${peer} has ended: ICE found no way to Asterisk.`, LOOK_AT_SESSIONS);
  }
  if (cause !== 'Terminated') return failed(`The call with ${peer} has ended: ${cause}.`);
  return said(by === 'remote' ? `${peer} has hung up.` : 'You have hung up.');
}

function refused({ peer, by, code, cause }) {
  if (by === 'local' && cause === 'Canceled') return said('You have given up.');
  if (!code) return failed(`The call to ${peer} failed: ${cause}.`);
  const text = `${peer} was not reached: ${code}, ${reasonFor(CALL, code, cause)}.`;
  return failed(text, code === 488 ? LOOK_AT_ACCOUNT : undefined);
}

function missed({ peer, cause }) {
  if (cause === 'Canceled') return said(`${peer} has given up.`);
  if (cause === 'Rejected') return said(`You have declined ${peer}.`);
  return failed(`${peer} called, but the call failed: ${cause}.`);
}

function lookAtSocket(server) {
  const { protocol, host } = new URL(server);
  if (protocol === 'ws:' && location.protocol === 'https:') return 'A page on https may open wss only.';
  const trust = protocol === 'wss:' ? ` Open https://${host}/ to see whether the browser trusts the certificate.` : '';
  return `“http show status” on Asterisk’s console lists /ws and where it listens.${trust}`;
}

function reasonFor(meanings, code, cause) {
  return meanings[code] ?? cause;
}

function said(text) {
  return { text, look: '', tone: '' };
}

function failed(text, look = '') {
  return { text, look, tone: 'failed' };
}
