import { posix } from 'node:path';
import type { LktError } from '@lkt/core';

/** A package whose build.yml has an error, or whose name another one has too. */
interface BrokenPackage {
  readonly dir: string;
  /** Of the build.yml. */
  readonly text: string;
  readonly error: LktError;
}

/** Packages that are not as they should be. What does not need them need not care. */
export class BrokenPackages {
  readonly #all: BrokenPackage[] = [];

  add(item: BrokenPackage): void {
    this.#all.push(item);
  }

  get errors(): readonly LktError[] {
    return this.#all.map(({ error }) => error);
  }

  /** @throws LktError of the package in this directory, if it is a broken one */
  requireNot(dir: string): void {
    const found = this.#all.find((item) => item.dir === dir);
    if (found !== undefined) throw found.error;
  }

  /**
   * @param name as packages have it, `org/image`
   * @throws LktError of a package that may be the one of this name
   */
  requireNotNamed(name: string): void {
    const found = this.#all.find((item) => mayBeNamed(item, name));
    if (found !== undefined) throw found.error;
  }
}

/** As far as can be told of a text that is not what it should be: by a line with "image", else by the directory. */
function mayBeNamed({ dir, text }: BrokenPackage, name: string): boolean {
  const image = valueOf(text, 'image') ?? posix.basename(dir);
  const org = valueOf(text, 'org');
  if (org === undefined) return posix.basename(name) === image;
  const whole = `${org}/${image}`;
  return whole === name || whole.endsWith(`/${name}`);
}

function valueOf(text: string, key: string): string | undefined {
  return new RegExp(`^${key}:\\s*["']?([^\\s"'#]+)`, 'm').exec(text)?.[1];
}
