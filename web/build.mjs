// Builds the page: one ES module without chunks, so that one integrity hash covers all of it.
//   node build.mjs OUTFILE           once
//   node build.mjs OUTFILE --watch   anew at each change
import { readFileSync } from 'node:fs';
import * as esbuild from 'esbuild';

const { version } = JSON.parse(readFileSync(new URL('package.json', import.meta.url), 'utf8'));
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
  legalComments: 'eof',
  define: { 'process.env.NODE_ENV': '"production"' },
  banner: { js: `/* pracbill-mailchimp ${version} */` },
  logLevel: 'warning',
};
if (watch) {
  const context = await esbuild.context({ ...options, logLevel: 'info' });
  await context.watch();
} else {
  await esbuild.build(options);
}
