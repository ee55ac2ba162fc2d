import type { YamlValue } from '@lkt/core';
import type { GroupProblem } from '../provider.ts';
import type { GroupConfig } from './fleet-yml.ts';

/** Returns an error at the keys of a problem, or at the nearest one that the file has. */
export function errorAt(group: GroupConfig, { keys, message, fix }: GroupProblem): Error {
  let at = group.at;
  for (const key of keys) at = childOf(at, key) ?? at;
  return at.error(message, { fix });
}

/** Returns the value of a key; undefined without one. */
export function childOf(at: YamlValue, key: string): YamlValue | undefined {
  return at.isMap() ? at.entries().get(key) : undefined;
}
