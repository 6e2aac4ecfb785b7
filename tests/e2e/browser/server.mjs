// Serves the page and its scripts on a free port of localhost: there, browsers allow a microphone without TLS.

import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const here = (name) => fileURLToPath(new URL(name, import.meta.url));

export async function servePage() {
  const bundle = await build({ entryPoints: [here('phone.js')], bundle: true, format: 'esm', write: false, logLevel: 'error' });
  const files = {
    '/': ['text/html', await readFile(here('page.html'))],
    // A script that sets globals, and loads only as such.
    '/sipml.js': ['text/javascript', await readFile(here('node_modules/sipml/SIPml-api.js'))],
    '/phone.js': ['text/javascript', bundle.outputFiles[0].contents],
  };
  const server = createServer(({ url }, response) => {
    const [type, content] = files[url] ?? [];
    if (!type) return response.writeHead(404).end();
    response.writeHead(200, { 'Content-Type': type }).end(content);
  });
  await new Promise((resolve) => server.listen(0, 'localhost', resolve));
  return { address: `http://localhost:${server.address().port}/`, close: () => server.close() };
}
