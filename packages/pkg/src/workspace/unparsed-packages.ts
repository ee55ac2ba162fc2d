import { posix } from 'node:path';
import { digestOf, type SourceFile } from '@lkt/core';

/**
 * The build.yml files of a workspace or collection that are not parsed yet, by directory, in the
 * order they were found. Parsing all of a workspace with 60 packages takes 50 ms; a command needs
 * the few that may have the names it looks up.
 */
export class UnparsedPackages {
  readonly #files = new Map<string, SourceFile>();

  add(dir: string, file: SourceFile): void {
    this.#files.set(dir, file);
  }

  get(dir: string): SourceFile | undefined {
    return this.#files.get(dir);
  }

  entries(): Iterable<readonly [dir: string, file: SourceFile]> {
    return this.#files.entries();
  }

  /** Removes and returns the files that `isWanted` selects. */
  take(isWanted: Wanted): readonly (readonly [dir: string, file: SourceFile])[] {
    const taken = [...this.#files].filter(([dir, { text }]) => isWanted(dir, text));
    for (const [dir] of taken) this.#files.delete(dir);
    return taken;
  }
}

/** Selects a build.yml by its directory and text. */
export type Wanted = (dir: string, text: string) => boolean;

/**
 * Selects each build.yml that may declare a name, and others. An invalid one may be of the image
 * that its directory is named after.
 * @param image the last component of the name
 */
export function mayDeclare(image: string): Wanted {
  return (dir, text) => {
    const declared = plainImage(text);
    return (
      declared === undefined || posix.basename(declared) === image || posix.basename(dir) === image
    );
  };
}

/** The characters between the name of a key and its value. */
const KEY_END = /["']?\s*:/y;
const PLAIN = {
  org: /org: ([\w./-]+) *(?: #.*)?$/my,
  image: /image: ([\w./-]+) *(?: #.*)?$/my,
  tag: /tag: ([\w./-]+) *(?: #.*)?$/my,
} as const;

/** Returns the value of `image` if it is written as usual, or undefined. */
export function plainImage(yaml: string): string | undefined {
  const image = plainValue(yaml, 'image');
  return image === '' ? undefined : image;
}

/**
 * Returns a text that changes whenever a build.yml may declare another name: its organization,
 * image and tag, or for a file that writes one of them in an unusual way, its digest.
 */
export function declaredName(yaml: string): string {
  const parts = [plainValue(yaml, 'org'), plainImage(yaml), plainValue(yaml, 'tag')];
  return parts.includes(undefined) ? digestOf(yaml) : parts.join(' ');
}

/**
 * Returns the value of a key if it is written as usual: a plain scalar on a line of its own.
 * Returns '' without the key, and undefined for any other way that YAML has.
 */
function plainValue(yaml: string, name: keyof typeof PLAIN): string | undefined {
  if (yaml.includes('\\')) return undefined;
  let key: number | undefined;
  for (let at = yaml.indexOf(name); at !== -1; at = yaml.indexOf(name, at + 1)) {
    KEY_END.lastIndex = at + name.length;
    if (!KEY_END.test(yaml)) continue;
    if (key !== undefined) return undefined;
    key = at;
  }
  if (key === undefined) return '';
  if (key !== 0 && yaml[key - 1] !== '\n') return undefined;
  PLAIN[name].lastIndex = key;
  return PLAIN[name].exec(yaml)?.[1];
}

/**
 * Reports whether a scalar of a YAML file may contain a text without white space. Only an escape in
 * a double-quoted scalar could write it in another way.
 */
export function mayContain(yaml: string, text: string): boolean {
  return yaml.includes(text) || yaml.includes('\\');
}
