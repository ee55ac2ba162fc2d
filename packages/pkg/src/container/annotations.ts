import { mapping, type YamlType } from '@lkt/core';
import { WORD } from './texts.ts';

/** Annotations that lkt writes itself, and the field for each. */
const OWN: ReadonlyMap<string, string> = new Map([
  ['lkt.allow', 'allow'],
  ['lkt.runtimeClass', 'runtimeClass'],
]);

/** Annotations of a container by name. */
export const ANNOTATIONS: YamlType<Readonly<Record<string, string>>> = mapping(WORD).transform(
  (annotations, value) => {
    for (const [name, item] of value.entries()) {
      if (name === '') throw item.error('an annotation needs a name', { fix: 'write one' });
      const field = OWN.get(name);
      if (field !== undefined)
        throw item.error(`lkt sets it: use "${field}"`, { fix: `write "${field}" instead` });
    }
    return Object.fromEntries(annotations);
  },
);
