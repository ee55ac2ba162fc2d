import type { TargetConfiguration } from '@nx/devkit';

/** A target that runs a command line in a shell. */
export function runTarget(
  lkt: string,
  words: readonly string[],
  env: Readonly<Record<string, string>> = {},
): TargetConfiguration {
  // How lkt is called may be more than a word, such as `npx lkt`.
  const command = [lkt, ...words.map(quoted)].join(' ');
  const options = { command, ...(Object.keys(env).length === 0 ? {} : { env }) };
  return { executor: 'nx:run-commands', options };
}

function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}
