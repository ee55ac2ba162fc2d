import type { ImageReference } from './reference.ts';

/**
 * Returns a reference as written in the config, with the digest of its lock file.
 * @throws LktError PIN_MISSING without a digest
 */
export function pinnedReference({ text, reference, isLocked, at }: ImageReference): string {
  if (reference?.digest === undefined)
    throw at.error(`${text} has no digest`, { fix: `run: lkt pin ${at.file.path}` });
  return isLocked === true ? `${text}@${reference.digest}` : text;
}
