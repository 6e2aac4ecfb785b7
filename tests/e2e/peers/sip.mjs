// A small SIP phone over WebSocket (RFC 3261, RFC 7118): one account, one call at a time.
//
// It carries descriptions as the WebRTC stack writes them, and hands on those of Asterisk as they arrive.

import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { WebSocket } from 'ws';

import { log } from '../browser/lines.mjs';

const PATIENCE = 20_000;

const token = () => randomBytes(6).toString('hex');
const md5 = (text) => createHash('md5').update(text).digest('hex');
const uriOf = (header) => /<([^>]+)>/.exec(header)[1];

/** Fails when `promise` takes too long. */
export function timely(promise, what, patience = PATIENCE) {
  const late = new Promise((_, reject) => setTimeout(() => reject(new Error(`no ${what}`)), patience).unref());
  return Promise.race([promise, late]);
}

/** A SIP message: start line, headers in their order, body. */
class Message {
  constructor(text) {
    const end = text.indexOf('\r\n\r\n');
    const [start, ...lines] = text.slice(0, end).split('\r\n');
    this.start = start;
    this.body = text.slice(end + 4);
    this.headers = lines.map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()]);
    this.status = start.startsWith('SIP/2.0 ') ? Number(start.slice(8, 11)) : null;
    this.method = this.status ? this.get('CSeq').split(' ')[1] : start.split(' ')[0];
  }

  get(name) {
    return this.headers.find(([header]) => header.toLowerCase() === name.toLowerCase())?.[1] ?? '';
  }

  lines(...names) {
    return this.headers.filter(([name]) => names.includes(name)).map(([name, value]) => `${name}: ${value}\r\n`).join('');
  }
}

/** `onOffer(sdp)` gives the answer to an offer of Asterisk in a call. */
export class Phone {
  constructor({ url, account, password, save }, onOffer) {
    Object.assign(this, { url, account, password, save, onOffer, sequence: 0, saved: 0, routes: '' });
    this.host = `${token()}.invalid`;
    this.contact = `<sip:${account}@${this.host};transport=ws>`;
    this.waiting = new Map();
    this.invited = new Promise((resolve) => (this.invite_ = resolve));
    this.acknowledged = new Promise((resolve) => (this.acknowledge_ = resolve));
    this.over = new Promise((resolve) => (this.end_ = resolve));
  }

  async register() {
    this.socket = new WebSocket(this.url, 'sip', { perMessageDeflate: false });
    this.socket.on('message', (data) => this.read(data.toString()));
    await once(this.socket, 'open');
    this.begin();
    const headers = `Contact: ${this.contact};expires=600\r\n`;
    await this.request('REGISTER', 'sip:localhost', `<sip:${this.account}@localhost>`, headers);
  }

  /** Calls; returns the answer. */
  invite(number, sdp) {
    this.begin();
    this.target = `sip:${number}@localhost`;
    this.remote = `<${this.target}>`;
    return this.offer(sdp);
  }

  /** Sends an INVITE, also in a call; returns the answer. */
  async offer(sdp) {
    const answer = await this.request('INVITE', this.target, this.remote, `Contact: ${this.contact}\r\n`, sdp);
    this.remote = answer.get('To');
    this.target = uriOf(answer.get('Contact'));
    this.acknowledge(this.target, answer);
    return answer.body;
  }

  nextInvite() {
    return timely(this.invited, 'INVITE');
  }

  /** Answers an INVITE and waits for the ACK. */
  async accept(invite, sdp) {
    const tag = token();
    this.callId = invite.get('Call-ID');
    this.local = `${invite.get('To')};tag=${tag}`;
    this.remote = invite.get('From');
    this.routes = invite.lines('Record-Route').replaceAll('Record-Route', 'Route');
    this.target = uriOf(invite.get('Contact'));
    this.respond(invite, '200 OK', sdp, tag);
    await timely(this.acknowledged, 'ACK');
  }

  bye() {
    return this.request('BYE', this.target, this.remote);
  }

  ended() {
    return timely(this.over, 'BYE', 40_000);
  }

  begin() {
    this.callId = token();
    this.local = `<sip:${this.account}@localhost>;tag=${token()}`;
  }

  /** Sends a request, with credentials when it is challenged; returns the 200. */
  async request(method, uri, to, more = '', body = '', challenge = null) {
    const sequence = ++this.sequence;
    const answered = new Promise((resolve) => this.waiting.set(sequence, resolve));
    const credentials = challenge ? this.authorization(method, uri, challenge) : '';
    this.send(`${method} ${uri} SIP/2.0`, this.dialog(method, to, sequence) + more + credentials, body);
    const answer = await timely(answered, `answer to ${method}`);
    if ([401, 407].includes(answer.status) && !challenge) {
      if (method === 'INVITE') this.acknowledge(uri, answer);
      return this.request(method, uri, to, more, body, answer);
    }
    if (answer.status !== 200) throw new Error(`${method} got ${answer.start}`);
    return answer;
  }

  dialog(method, to, sequence) {
    return (
      `Via: SIP/2.0/WS ${this.host};branch=z9hG4bK${token()}\r\nMax-Forwards: 70\r\nTo: ${to}\r\nFrom: ${this.local}\r\n` +
      `Call-ID: ${this.callId}\r\nCSeq: ${sequence} ${method}\r\n${this.routes}`
    );
  }

  acknowledge(uri, answer) {
    const sequence = answer.get('CSeq').split(' ')[0];
    this.send(`ACK ${uri} SIP/2.0`, this.dialog('ACK', answer.get('To'), sequence), '');
  }

  /** Digest of RFC 2617 without qop, which chan_sip does not use. */
  authorization(method, uri, challenge) {
    const proxy = challenge.status === 407;
    const asked = challenge.get(proxy ? 'Proxy-Authenticate' : 'WWW-Authenticate');
    const [realm, nonce] = ['realm', 'nonce'].map((part) => new RegExp(`${part}="([^"]*)"`).exec(asked)[1]);
    const response = md5(`${md5(`${this.account}:${realm}:${this.password}`)}:${nonce}:${md5(`${method}:${uri}`)}`);
    return (
      `${proxy ? 'Proxy-' : ''}Authorization: Digest username="${this.account}", realm="${realm}", nonce="${nonce}", ` +
      `uri="${uri}", response="${response}", algorithm=MD5\r\n`
    );
  }

  respond(request, status, sdp = '', tag = token()) {
    const to = request.get('To').includes('tag=') ? request.get('To') : `${request.get('To')};tag=${tag}`;
    const contact = request.method === 'INVITE' ? `Contact: ${this.contact}\r\n` : '';
    const headers = request.lines('Via', 'From', 'Call-ID', 'CSeq', 'Record-Route');
    this.send(`SIP/2.0 ${status}`, `${headers}To: ${to}\r\n${contact}`, sdp);
  }

  send(start, headers, body) {
    const type = body ? 'Content-Type: application/sdp\r\n' : '';
    const text = `${start}\r\n${headers}${type}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
    this.record('out', text);
    this.socket.send(text);
  }

  async read(text) {
    this.record('in', text);
    const message = new Message(text);
    if (message.status >= 200) {
      this.waiting.get(Number(message.get('CSeq').split(' ')[0]))?.(message);
    } else if (message.status === null) {
      await this.take(message).catch((error) => log(`${message.method}: ${error.stack}`));
    }
  }

  async take(request) {
    const inCall = request.get('To').includes('tag=');
    if (request.method === 'ACK') return this.acknowledge_();
    if (request.method === 'INVITE' && inCall) return this.respond(request, '200 OK', await this.onOffer(request.body));
    this.respond(request, request.method === 'INVITE' ? '180 Ringing' : '200 OK');
    if (request.method === 'INVITE') this.invite_(request);
    if (request.method === 'BYE') this.end_();
  }

  record(direction, text) {
    log(`${direction}\n${text}`);
    if (!this.save) return;
    const kind = text.split('\r\n')[0].replace(/\W+/g, '-').slice(0, 24);
    writeFileSync(join(this.save, `${String(++this.saved).padStart(2, '0')}-${direction}-${kind}.sip`), text);
  }
}
