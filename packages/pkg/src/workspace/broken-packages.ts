import { posix } from 'node:path';
import type { LktError } from '@lkt/core';

/** A package with an invalid build.yml, or with the name of another package. */
interface BrokenPackage {
  readonly dir: string;
  /** Text of the build.yml. */
  readonly text: string;
  readonly error: LktError;
}

/** The packages of a workspace that have errors. A build fails only if it needs one of them. */
export class BrokenPackages {
  readonly #all: BrokenPackage[] = [];

  add(item: BrokenPackage): void {
    this.#all.push(item);
  }

  get errors(): readonly LktError[] {
    return this.#all.map(({ error }) => error);
  }

  /** @throws LktError the error of the package in this directory, if it has one */
  throwIfBroken(dir: string): void {
    const found = this.#all.find((item) => item.dir === dir);
    if (found !== undefined) throw found.error;
  }

  /**
   * @param name in familiar form, `org/image`
   * @throws LktError the error of a package that may have this name
   */
  throwIfBrokenName(name: string): void {
    const found = this.#all.find((item) => mayBeNamed(item, name));
    if (found !== undefined) throw found.error;
  }
}

/** Guesses the name of an invalid build.yml from its `image` line, else from the directory. */
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
