import type { YamlValue } from '@lkt/core';
import type { TextEdit } from '@lkt/pkg';
import { itemsOf } from './notes.ts';

/** The package with modules that an image of Debian's kernel does not have. */
const MODULES = 'lkt/kernel-debian-modules';

/**
 * Returns the edit that adds the package with more modules of Debian's kernel to the images of
 * `init`; undefined if the config has it, or no list to add it to.
 */
export function addModules(text: string, init: YamlValue | undefined): TextEdit | undefined {
  const items = itemsOf(init);
  const [, end] = items.at(-1)?.range ?? [];
  if (end === undefined || items.some((item) => item.string().startsWith(MODULES)))
    return undefined;
  const start = items.at(-1)?.range?.[0] ?? end;
  const [, indent] = /(?:^|\n)([ \t]*)-[ \t]+$/.exec(text.slice(0, start)) ?? [];
  if (indent === undefined) return insertion(end, `, ${MODULES}`);
  const next = text.indexOf('\n', end);
  return next === -1
    ? insertion(text.length, `\n${indent}- ${MODULES}`)
    : insertion(next + 1, `${indent}- ${MODULES}\n`);
}

/**
 * Returns the edit that loads kernel modules before the other onboot containers of a config;
 * undefined if they are not a list with dashes, or there is no `services` to add one before.
 */
export function loadModules(
  text: string,
  onboot: YamlValue | undefined,
  modules: readonly string[],
): TextEdit | undefined {
  const [first] = itemsOf(onboot);
  const range = first?.range;
  if (range !== undefined) {
    const lineStart = text.lastIndexOf('\n', range[0] - 1) + 1;
    const [, indent] = /^(\s*)-\s+$/.exec(text.slice(lineStart, range[0])) ?? [];
    return indent === undefined ? undefined : insertion(lineStart, container(indent, modules));
  }
  const services = onboot === undefined ? /^services\s*:/m.exec(text) : null;
  return services === null
    ? undefined
    : insertion(services.index, `onboot:\n${container('  ', modules)}`);
}

function container(indent: string, modules: readonly string[]): string {
  const words = ['modprobe', '-a', ...modules].join(', ');
  return [`- name: modprobe`, `  image: lkt/modprobe`, `  command: [${words}]`]
    .map((line) => `${indent}${line}\n`)
    .join('');
}

function insertion(offset: number, replacement: string): TextEdit {
  return { offset, length: 0, replacement };
}
