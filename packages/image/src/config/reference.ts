import { text as anyText, type YamlType, type YamlValue } from '@lkt/core';
import { formatReference, parseReference, type Reference } from '@lkt/oci';
import { located } from './fields.ts';

/** An image that a config names, by reference or by the directory of its package. */
export interface ImageReference {
  /** As written. */
  readonly text: string;
  /** Full reference with registry; for a package the text as written. */
  readonly full: string;
  readonly reference?: Reference;
  /** The digest is from the lock file of the config. */
  readonly isLocked?: true;
  /** DIR of `@pkg:DIR`, relative to the config. */
  readonly packageDir?: string;
  readonly at: YamlValue;
}

const PACKAGE = '@pkg:';

export const IMAGE: YamlType<ImageReference> = anyText().transform(parseImageReference);

function parseImageReference(text: string, value: YamlValue): ImageReference {
  if (text.startsWith(PACKAGE)) {
    const packageDir = text.slice(PACKAGE.length);
    if (packageDir === '') throw value.error('"@pkg:" names no directory');
    return { text, full: text, packageDir, at: value };
  }
  if (text.startsWith('@')) {
    throw value.error(`"${text}" is not an image`, {
      fix: 'name an image, or a package of this checkout as @pkg:DIR',
    });
  }
  const reference = located(value, () => parseReference(text));
  return { text, full: formatReference(reference), reference, at: value };
}

/** Returns an image as written, such as `@pkg:../web`, without its digest, for messages. */
export function withoutDigest({ text }: Pick<ImageReference, 'text'>): string {
  return text.replace(/(?<=.)@.*$/, '');
}
