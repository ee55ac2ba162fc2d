import { dirname, resolve } from 'node:path';
import { LktError } from '@lkt/core';
import type { ImageQuery } from '@lkt/pkg';
import { imageReferencesOf, parseConfig } from './config/config.ts';
import { errorAt } from './config/fields.ts';
import type { ConfigFile } from './pin.ts';

/** What the configs name, and for each `@pkg:DIR` in them the directory. */
export function queriesOf(configs: readonly ConfigFile[]): {
  queries: readonly ImageQuery[];
  directories: ReadonlyMap<string, string>;
} {
  const queries: ImageQuery[] = [];
  const directories = new Map<string, string>();
  for (const config of configs) {
    for (const { text, reference, packageDir, at } of imageReferencesOf(parseConfig(config))) {
      const error: ImageQuery['error'] = ({ code, message, fix, ...rest }) =>
        errorAt(code, at, message, {
          ...rest,
          fix: fix === 'run: lkt pin' ? `run: lkt pin ${config.path}` : fix,
        });
      if (packageDir === undefined) {
        queries.push({ text, error, ...(reference === undefined ? {} : { reference }) });
        continue;
      }
      const dir = resolve(dirname(config.absolute), packageDir);
      const other = directories.get(text);
      if (other !== undefined && other !== dir) {
        throw new LktError(
          'UNSUPPORTED',
          `${text} is ${other} in one config and ${dir} in another`,
          {
            fix: 'write one of them as an absolute path',
          },
        );
      }
      directories.set(text, dir);
      queries.push({ text: dir, packageDir: dir, error });
    }
  }
  return { queries, directories };
}
