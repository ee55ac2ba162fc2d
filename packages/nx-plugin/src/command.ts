import type { TargetConfiguration } from '@nx/devkit';

/** A target that runs a command line in a shell. */
export function runTarget(
  lkt: string,
  words: readonly string[],
  env: Readonly<Record<string, string>> = {},
): TargetConfiguration {
  const command = commandLine(lkt, words);
  const options = { command, ...(Object.keys(env).length === 0 ? {} : { env }) };
  return { executor: 'nx:run-commands', options };
}

/** What a shell runs. How lkt is called may be more than a word, such as `npx lkt`. */
export function commandLine(lkt: string, words: readonly string[]): string {
  return [lkt, ...words.map(quoted)].join(' ');
}

function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}
