// Passes connections on: from a port of localhost, or a Unix socket, to another. Two of them join two network namespaces.
//
//   node tunnel.mjs <port or path> <port or path>

import { connect, createServer } from 'node:net';

const [from, to] = process.argv.slice(2).map((end) => (/^\d+$/.test(end) ? { port: Number(end), host: '127.0.0.1' } : { path: end }));

createServer((near) => {
  const far = connect(to);
  for (const [one, other] of [[near, far], [far, near]]) {
    one.setNoDelay?.(true);
    one.pipe(other);
    one.on('error', () => other.destroy());
  }
}).listen(from);
