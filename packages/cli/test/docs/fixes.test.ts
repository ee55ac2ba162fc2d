import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { commandIds, loadAllCommands } from '../../src/commands.ts';

/** Fixes of errors and reports: each command of lkt exists, with the flags that they name. */
const root = join(import.meta.dirname, '../../../..');
const sources = globSync('packages/*/src/**/*.ts', { cwd: root });
const commands = await loadAllCommands();

/** Where a fix names a command: at its start, after a colon, a quote, or one of these words. */
const CALL = /(?:^|[:`"] ?|\b(?:run|with|then|or|to|of) )lkt ([^,;:()`"]+)/g;

/** Returns the commands in the fixes of a source, as written after "lkt". */
function commandsOf(text: string): readonly string[] {
  const fixes = text.matchAll(/\bfix(?:: | = )[^'`]{0,80}(?:'([^'\n]*)'|`([^\n]*)`[,)\s;])/g);
  return [...fixes].flatMap(([, single, template]) =>
    [...(single ?? template ?? '').matchAll(CALL)]
      .map(([, words = '']) => words.trim())
      // A help page of any command.
      .filter((words) => !/^(?:\$\{command\} )?--help$/.test(words)),
  );
}

/** Returns what is wrong with a command, or undefined. */
function problemOf(words: string): string | undefined {
  const all = words.split(' ');
  const length = [2, 1].find((count) => commandIds.includes(all.slice(0, count).join(':')));
  if (length === undefined) return `no command is named ${words}`;
  const name = all.slice(0, length).join(' ');
  const flags: Record<string, { char?: string; allowNo?: boolean }> =
    commands[name.replace(' ', ':')]?.flags ?? {};
  const known = Object.entries(flags).flatMap(([flag, { char, allowNo }]) => [
    `--${flag}`,
    ...(allowNo === true ? [`--no-${flag}`] : []),
    ...(char === undefined ? [] : [`-${char}`]),
  ]);
  const unknown = all
    .slice(length)
    .filter((word) => /^--?\w/.test(word))
    .map((word) => word.replace(/=.*/, ''))
    .filter((word) => !known.includes(word));
  return unknown.length > 0 ? `lkt ${name} has no ${unknown.join(', ')}` : undefined;
}

test('fixes name only commands and flags that exist', () => {
  const found = sources.flatMap((path) =>
    commandsOf(readFileSync(join(root, path), 'utf8')).map((words) => ({ path, words })),
  );
  expect(found.length).toBeGreaterThan(60);
  const problems = found.flatMap(({ path, words }) => {
    const problem = problemOf(words);
    return problem === undefined ? [] : [`${path}: ${problem}`];
  });
  expect(problems).toEqual([]);
});

test('finds commands and flags that do not exist', () => {
  const text =
    "x({ fix: 'run: lkt pin --hceck' }, { fix: 'run lkt pin --no-check' }); const fix = `run lkt pni ${path}`;";
  expect(commandsOf(text).map((words) => problemOf(words))).toEqual([
    'lkt pin has no --hceck',
    'lkt pin has no --no-check',
    'no command is named pni ${path}',
  ]);
});
