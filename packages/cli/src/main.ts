#!/usr/bin/env node
import { fileURLToPath } from 'node:url';
import { flush, run, settings } from '@oclif/core';
import packageJson from '../package.json' with { type: 'json' };
import { exitCodeOf, render } from './report.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
settings.enableAutoTranspile = false;
// `lkt … | head` closes the pipe early: that is no failure of lkt's.
process.stdout.on('error', (error: NodeJS.ErrnoException) =>
  process.exit(error.code === 'EPIPE' ? 0 : 1),
);

try {
  await run(process.argv.slice(2), { root, pjson: packageJson as never });
  await flush();
} catch (error) {
  const text = render(error);
  if (text !== '') process.stderr.write(`${text}\n`);
  process.exitCode = exitCodeOf(error);
}
