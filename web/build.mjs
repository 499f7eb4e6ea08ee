// Builds the page: one ES module without chunks, so that one integrity hash covers all of it.
//   node build.mjs OUTFILE           once
//   node build.mjs OUTFILE --watch   anew at each change
import { readFileSync } from 'node:fs';
import * as esbuild from 'esbuild';

const read = (path) => readFileSync(new URL(path, import.meta.url), 'utf8');
const { version, dependencies } = JSON.parse(read('package.json'));
// What we ship parts of asks that its licence goes along. All of Lit's packages have the same one.
const licences = Object.keys(dependencies).map((name) => `${name}:\n${read(`node_modules/${name}/LICENSE`).trim()}`);
const [outfile, watch] = process.argv.slice(2);
const options = {
  absWorkingDir: import.meta.dirname,
  entryPoints: ['src/index.ts'],
  outfile,
  bundle: true,
  format: 'esm',
  target: 'es2022',
  minify: true,
  charset: 'utf8',
  legalComments: 'none', // the footer has the licences in full
  define: { 'process.env.NODE_ENV': '"production"' },
  footer: { js: `/*!\nHolds parts of these packages.\n\n${licences.join('\n\n')}\n*/` },
  banner: { js: `/* pracbill-mailchimp ${version} */` },
  logLevel: 'warning',
};
if (watch) {
  const context = await esbuild.context({ ...options, logLevel: 'info' });
  await context.watch();
} else {
  await esbuild.build(options);
}
