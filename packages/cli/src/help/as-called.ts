import { statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { Reporter } from '@lkt/core';

/** Rewrites the commands that a text proposes. */
export type AsCalled = (text: string) => string;

/**
 * Returns a function that writes commands as the user can call them. A user of npm has no `lkt` in
 * the path of a shell: `run lkt pin` becomes `run npx lkt pin`.
 * @param program the file that runs
 * @param ids of the commands: other words after `lkt` are prose
 */
export function asCalledBy(
  variables: Readonly<Record<string, string | undefined>>,
  program: string,
  ids: readonly string[],
): AsCalled {
  const prefix = prefixOf(variables, program);
  if (prefix === undefined) return (text) => text;
  const first = new Set(ids.map((id) => id.replace(/:.*/, '')));
  return (text) =>
    text.replaceAll(/(?<![\w./@:-]|npx )lkt (?=([a-z]+))/g, (found, word: string) =>
      first.has(word) ? `${prefix} ` : found,
    );
}

/** Returns a reporter that rewrites the commands in warnings. */
export function warnAsCalled(next: Reporter, asCalled: AsCalled): Reporter {
  return {
    emit: (event) => {
      next.emit(event.kind === 'warning' ? { ...event, text: asCalled(event.text) } : event);
    },
  };
}

/** Returns what runs lkt if npm started it; undefined if its name alone does. */
function prefixOf(
  variables: Readonly<Record<string, string | undefined>>,
  program: string,
): string | undefined {
  // The launcher of the npm package sets LKT_NAME; npm sets npm_command.
  if (variables['LKT_NAME'] === undefined || variables['npm_command'] === undefined)
    return undefined;
  // npx fetched the package only for this run. `npx lkt` would fetch another one.
  if (program.includes('/_npx/')) return 'npx @lkt/cli';
  const own = (variables['PATH'] ?? '')
    .split(delimiter)
    .filter((dir) => dir !== '' && !dir.includes('node_modules'));
  return own.some((dir) => isFile(join(dir, 'lkt'))) ? undefined : 'npx lkt';
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true;
}
