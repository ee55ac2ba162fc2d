import { text, type YamlType } from '@lkt/core';

/**
 * Returns the type of a namespace: a word, or the path of an existing one. Runtimes take any other
 * text as a path, relative to what they happen to run in.
 */
export function namespace(...words: readonly string[]): YamlType<string> {
  const known = ['new', 'host', 'root', ...words];
  return text({
    matches: new RegExp(`^(?:${known.join('|')}|/[^\\0]+)?$`),
    problem: (given) => `${JSON.stringify(given)} is neither a namespace nor a path`,
    fix: 'use "new", "host", or an absolute path',
  });
}
