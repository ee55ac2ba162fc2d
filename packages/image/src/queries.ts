import { dirname, resolve } from 'node:path';
import { LktError } from '@lkt/core';
import type { ImageQuery } from '@lkt/pkg';
import { imageReferencesOf } from './config/config.ts';
import { errorAt } from './config/fields.ts';
import type { LoadedConfig } from './config/load-config.ts';

/** What the configs name, and for each `@pkg:DIR` in them the directory. */
export function queriesOf({ config, fileOf }: LoadedConfig): {
  queries: readonly ImageQuery[];
  directories: ReadonlyMap<string, string>;
} {
  const queries: ImageQuery[] = [];
  const directories = new Map<string, string>();
  for (const { text, reference, packageDir, at } of imageReferencesOf(config)) {
    const file = fileOf(at);
    const error: ImageQuery['error'] = ({ code, message, fix, ...rest }) =>
      errorAt(code, at, message, {
        ...rest,
        fix: fix === 'run: lkt pin' ? `run: lkt pin ${file.path}` : fix,
      });
    if (packageDir === undefined) {
      queries.push({ text, error, ...(reference === undefined ? {} : { reference }) });
      continue;
    }
    const dir = resolve(dirname(file.absolute), packageDir);
    const other = directories.get(text);
    if (other !== undefined && other !== dir) {
      throw new LktError('UNSUPPORTED', `${text} is ${other} in one config and ${dir} in another`, {
        fix: 'write one of them as an absolute path',
      });
    }
    directories.set(text, dir);
    queries.push({ text: dir, packageDir: dir, error });
  }
  return { queries, directories };
}
