// Bundles the page into the directory OUT, together with the licences of its libraries, which must accompany it.

import { build } from 'esbuild';
import { copyFile, readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const OUT = process.env.OUT;
const OURS = `The page is free software: GNU General Public License, version 2 or any later version.
page.js contains these libraries:
`;

const { metafile } = await build({
  entryPoints: ['page.js'], outdir: OUT, bundle: true, minify: true, format: 'esm', logLevel: 'warning', metafile: true,
  banner: { js: '/* The licences of the libraries in this file: licences.txt */' },
});
const directories = Object.keys(metafile.inputs).map((file) => file.match(/^.*node_modules\/(@[^/]+\/)?[^/]+/)?.[0]);
const libraries = [...new Set(directories)].filter(Boolean).sort();
await writeFile(join(OUT, 'licences.txt'), [OURS, ...await Promise.all(libraries.map(licence))].join('\n'));
for (const file of ['index.html', 'phone.css']) await copyFile(file, join(OUT, file));

async function licence(library) {
  const { name, version } = JSON.parse(await readFile(join(library, 'package.json')));
  const file = (await readdir(library)).find((entry) => /^licen[cs]e/i.test(entry));
  if (!file) throw new Error(`${name} has no licence: a page with it cannot be passed on`);
  return `---- ${name} ${version} ----\n\n${await readFile(join(library, file), 'utf8')}`;
}
