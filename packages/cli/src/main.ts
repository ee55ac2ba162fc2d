#!/usr/bin/env node
import { fileURLToPath } from 'node:url';
import { Errors, flush, run, settings } from '@oclif/core';
import packageJson from '../package.json' with { type: 'json' };
import { commands } from './commands.ts';
import { commandLine } from './global-flags.ts';
import { printableJson } from './printable.ts';
import { errorJson, exitCodeOf, render } from './report.ts';
import { unknownCommand } from './usage.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
settings.enableAutoTranspile = false;
// Without it oclif looks the user up, and fails for one without an entry in passwd (a container's arbitrary uid).
process.env['SHELL'] ??= '/bin/sh';
// `lkt … | head` closes the pipe early: that is no failure of lkt's.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) =>
    process.exit(error.code === 'EPIPE' ? 0 : 1),
  );
}

const argv = commandLine(process.argv.slice(2));
try {
  await run([...argv], { root, pjson: { ...packageJson, name: 'lkt' } as never });
  await flush();
} catch (thrown) {
  const unknown =
    thrown instanceof Errors.CLIError && /^command .* not found$/.test(thrown.message);
  const error = unknown ? unknownCommand(argv, Object.keys(commands)) : thrown;
  const text = render(error);
  if (asksForJson(argv)) {
    if (text !== '') process.stdout.write(`${printableJson(errorJson(error), 2)}\n`);
  } else if (text !== '') {
    process.stderr.write(`${text}\n`);
  }
  process.exitCode = exitCodeOf(error);
}

function asksForJson(words: readonly string[]): boolean {
  const stop = words.indexOf('--');
  return words.slice(0, stop === -1 ? words.length : stop).includes('--json');
}
