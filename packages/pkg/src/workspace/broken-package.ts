import { posix } from 'node:path';
import { LktError } from '@lkt/core';

/** A package with an invalid build.yml, or with the name of another package. */
export interface BrokenPackage {
  readonly dir: string;
  /** Text of the build.yml. */
  readonly text: string;
  readonly error: LktError;
}

/** @throws the error, unless it is an LktError */
export function brokenPackage(dir: string, text: string, error: unknown): BrokenPackage {
  if (!(error instanceof LktError)) throw error;
  return { dir, text, error };
}

/**
 * Reports whether a broken package may have a name in familiar form, `org/image`. Guesses its name
 * from the `image` line of build.yml, else from the directory.
 */
export function mayBeNamed({ dir, text }: BrokenPackage, name: string): boolean {
  const image = imageOf({ dir, text });
  const org = valueOf(text, 'org');
  if (org === undefined) return posix.basename(name) === image;
  const whole = `${org}/${image}`;
  return whole === name || whole.endsWith(`/${name}`);
}

/** Reports whether a broken package may build an image, in any organization. */
export function mayBeImage(broken: BrokenPackage, image: string): boolean {
  return imageOf(broken) === image;
}

function imageOf({ dir, text }: Pick<BrokenPackage, 'dir' | 'text'>): string {
  return valueOf(text, 'image') ?? posix.basename(dir);
}

function valueOf(text: string, key: string): string | undefined {
  return new RegExp(`^${key}:\\s*["']?([^\\s"'#]+)`, 'm').exec(text)?.[1];
}
