#!/usr/bin/env node
import { applyMemoryPolicy, type MemoryUse } from '@lkt/core/memory';
import { commandIds, loadAllCommands, loadCommand } from './commands.ts';
import { commandLine } from './flags/global.ts';
import { asCalledBy } from './help/as-called.ts';
import { unknownCommand } from './help/usage.ts';
import { errorJson, exitCodeOf, render } from './output/error-report.ts';
import { exitOnClosedPipe, print } from './output/print.ts';
import { printableJson } from './output/printable.ts';

/** Memory use by the first word of a command; that of the others is `stream`. */
const MEMORY_USE: Readonly<Record<string, MemoryUse>> = {
  build: 'compose',
  cache: 'transfer',
  dev: 'compose',
  run: 'compose',
  test: 'compose',
  verify: 'compose',
};

exitOnClosedPipe();

const [, program = '', topic] = process.argv;
const asCalled = asCalledBy(process.env, program, commandIds);
applyMemoryPolicy(MEMORY_USE[topic ?? ''] ?? 'stream');

/** Resolves when the command has ended and its output is written; never rejects. */
export const done: Promise<void> = runAndReport(commandLine(process.argv.slice(2)));

async function runAndReport(argv: readonly string[]): Promise<void> {
  try {
    await run(argv);
  } catch (error) {
    const text = render(error, asCalled);
    if (asks(argv, '--json')) {
      if (text !== '') print(`${printableJson(errorJson(error), 2)}\n`);
    } else if (text !== '') {
      process.stderr.write(`${text}\n`);
    }
    process.exitCode = exitCodeOf(error, failedExit);
  }
}

/** The exit code of the command after a failure. */
let failedExit = 1;

async function run(argv: readonly string[]): Promise<void> {
  const asksHelp = asks(argv, '--help') || asks(argv, '-h');
  const [first = '', second = ''] = argv;
  const id = [`${first}:${second}`, first].find((name) => commandIds.includes(name));
  const isTopic = argv.length === 1 && commandIds.some((name) => name.startsWith(`${first}:`));
  if (asksHelp || isTopic || argv.length === 0) {
    const { showHelp } = await import('./help/help.ts');
    return showHelp(argv);
  }
  if (id === undefined) throw unknownCommand(argv, commandIds);
  const command = await loadCommand(id);
  ({ failedExit } = command);
  const words = argv.slice(id.split(':').length);
  const takesNone = Object.keys(command.args).length === 0;
  if (takesNone && words[0]?.startsWith('-') === false) throw unknownCommand(argv, commandIds);
  return new command(words, loadAllCommands, asCalled).execute();
}

function asks(words: readonly string[], flag: string): boolean {
  const stop = words.indexOf('--');
  return words.slice(0, stop === -1 ? words.length : stop).includes(flag);
}
