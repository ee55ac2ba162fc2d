import { either, list, nearest, oneOf, text, type YamlType } from '@lkt/core';
import shortNames from './capabilities.json' with { type: 'json' };

/** The capabilities of Linux in the order of their numbers, 0 to 40 (linux/capability.h). */
const CAPABILITIES: readonly string[] = shortNames.map((name) => `CAP_${name}`);

const WORD = /^(?:[Aa][Ll][Ll]|[Nn][Oo][Nn][Ee])$/;

/**
 * Parses names of capabilities, or the single item `all` or `none`. Both stay unexpanded until
 * lists are merged; see `expandCapabilities`.
 */
export const CAPABILITY_NAMES: YamlType<readonly string[]> = list(
  either(
    text({ matches: WORD, problem: (name) => `"${name}" is neither "all" nor "none"` }),
    (value) => value.isString() && WORD.test(value.string()),
    oneOf(CAPABILITIES, (name) => {
      const near = nearest(name, CAPABILITIES) ?? nearest(`CAP_${name}`, CAPABILITIES);
      return {
        problem: `unknown capability: ${name}`,
        fix: near === undefined ? undefined : `did you mean "${near}"?`,
      };
    }),
  ),
).transform((names, value) => {
  const index = names.findIndex((name) => WORD.test(name));
  if (index === -1) return names;
  const [name = ''] = names.slice(index);
  if (names.length === 1) return [name.toLowerCase()];
  throw (value.list()[index] ?? value).error(`"${name}" must be the only item of the list`);
});

/**
 * Returns the capabilities of a merged list, in its order and without duplicates. Expands `all`.
 */
export function expandCapabilities(names: readonly string[]): readonly string[] {
  if (names.includes('all')) return CAPABILITIES;
  return [...new Set(names.filter((name) => name !== 'none'))];
}
