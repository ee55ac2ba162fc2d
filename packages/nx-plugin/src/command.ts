import { shellWord } from '@lkt/core';
import type { TargetConfiguration } from '@nx/devkit';
import { BUILD_YML, type Settings } from './options.ts';

/** Returns a target that runs lkt in a shell, without caching unless `more` allows it. */
export function runTarget(
  description: string,
  lkt: string,
  args: readonly string[],
  { env, ...more }: TargetConfiguration & { readonly env?: Readonly<Record<string, string>> } = {},
): TargetConfiguration {
  const options = { command: shellCommand(lkt, args), env };
  const metadata = { description };
  return { executor: 'nx:run-commands', options, cache: false, metadata, ...more };
}

/** Returns the arguments of lkt to build packages; append their directories. */
export function buildArguments(settings: Settings): readonly string[] {
  const { layouts, platforms } = settings;
  const wanted = platforms.length === 0 ? [] : ['--platforms', platforms.join(',')];
  return ['pkg', 'build', '--layouts', layouts, ...buildYmlArguments(settings), ...wanted];
}

/** Returns the arguments for commands that read build.yml files. */
export function buildYmlArguments({ buildYml }: Settings): readonly string[] {
  return buildYml === BUILD_YML ? [] : ['--build-yml', buildYml];
}

/** Returns a shell command. `lkt` may have several words, such as `npx lkt`. */
export function shellCommand(lkt: string, args: readonly string[]): string {
  return [lkt, ...args.map(shellWord)].join(' ');
}
