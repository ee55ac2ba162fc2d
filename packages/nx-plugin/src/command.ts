import type { TargetConfiguration } from '@nx/devkit';
import { BUILD_YML, type Settings } from './options.ts';

/** A target that runs a command line in a shell. */
export function runTarget(
  lkt: string,
  words: readonly string[],
  env: Readonly<Record<string, string>> = {},
): TargetConfiguration {
  const command = commandLine(lkt, words);
  const options = { command, env: Object.keys(env).length === 0 ? undefined : env };
  return { executor: 'nx:run-commands', options };
}

/** The words of lkt that build packages; their directories come behind. */
export function buildWords(settings: Settings): readonly string[] {
  const { layouts, platforms } = settings;
  const wanted = platforms.length === 0 ? [] : ['--platforms', platforms.join(',')];
  return ['pkg', 'build', '--layouts', layouts, ...ymlWords(settings), ...wanted];
}

/** Of every command that reads build.yml files. */
export function ymlWords({ buildYml }: Settings): readonly string[] {
  return buildYml === BUILD_YML ? [] : ['--build-yml', buildYml];
}

/** What a shell runs. How lkt is called may be more than a word, such as `npx lkt`. */
export function commandLine(lkt: string, words: readonly string[]): string {
  return [lkt, ...words.map(quoted)].join(' ');
}

function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}
