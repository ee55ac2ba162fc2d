/** A replacement of part of a text. Offset and length are in UTF-16 code units. */
export interface TextEdit {
  readonly offset: number;
  readonly length: number;
  readonly replacement: string;
}

/** Applies edits that do not overlap. The rest of the text stays unchanged. */
export function applyEdits(text: string, edits: readonly TextEdit[]): string {
  let result = text;
  for (const { offset, length, replacement } of edits.toSorted((a, b) => b.offset - a.offset))
    result = result.slice(0, offset) + replacement + result.slice(offset + length);
  return result;
}

/** Returns a reference with the name of `written`, and the tag and digest of `pin`. */
export function withPin(written: string, pin: string): string {
  const beforeDigest = written.split('@')[0] ?? '';
  const colon = beforeDigest.lastIndexOf(':');
  const name = colon > beforeDigest.lastIndexOf('/') ? beforeDigest.slice(0, colon) : beforeDigest;
  return `${name}${pin.slice(pin.lastIndexOf(':', pin.indexOf('@')))}`;
}
