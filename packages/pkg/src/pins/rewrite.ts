/** A piece of a text and what to put in its place. Counted in UTF-16 units, as in all positions. */
export interface Edit {
  readonly offset: number;
  readonly length: number;
  readonly replacement: string;
}

/** Replaces pieces that do not overlap; all else stays as it is, byte for byte. */
export function rewriteReferences(text: string, edits: readonly Edit[]): string {
  let result = text;
  for (const { offset, length, replacement } of edits.toSorted((a, b) => b.offset - a.offset))
    result = result.slice(0, offset) + replacement + result.slice(offset + length);
  return result;
}

/** A reference with the name as it is written, and the tag and digest of a pin. */
export function repin(written: string, pin: string): string {
  const beforeDigest = written.split('@')[0] ?? '';
  const colon = beforeDigest.lastIndexOf(':');
  const name = colon > beforeDigest.lastIndexOf('/') ? beforeDigest.slice(0, colon) : beforeDigest;
  return `${name}${pin.slice(pin.lastIndexOf(':', pin.indexOf('@')))}`;
}
