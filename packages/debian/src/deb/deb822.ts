import { LktError } from '@lkt/core';

/**
 * The fields of a paragraph by lower-case name. The lines of a folded or multi-line value are
 * joined by newlines.
 */
export type Paragraph = ReadonlyMap<string, string>;

/**
 * Parses deb822(5), the format of control files, Release files and apt's `.sources`: paragraphs of
 * `Field: value` lines separated by blank lines, with continuation lines and `#` comments.
 * @param what name of the file, for messages
 * @param allowsRepeats a paragraph may have a field several times: the first one counts
 * @throws ARCHIVE_INVALID with the line
 */
export function parseDeb822(
  text: string,
  what: string,
  { allowsRepeats = false }: { readonly allowsRepeats?: boolean } = {},
): Paragraph[] {
  const paragraphs: Paragraph[] = [];
  let fields = new Map<string, string>();
  /** Field to which continuation lines belong; empty for a repeated one. */
  let last: string | undefined;
  const end = (): void => {
    if (fields.size > 0) paragraphs.push(fields);
    fields = new Map();
    last = undefined;
  };
  for (const [index, line] of text.split('\n').entries()) {
    const invalid = (problem: string): LktError =>
      new LktError('ARCHIVE_INVALID', `${what}:${index + 1}: ${problem}`);
    if (line.startsWith('#')) continue;
    if (/^[ \t\r]*$/.test(line)) {
      end();
    } else if (line.startsWith(' ') || line.startsWith('\t')) {
      if (last === undefined) throw invalid('a continuation line without a field');
      if (last !== '') fields.set(last, `${fields.get(last) ?? ''}\n${line.trim()}`);
    } else {
      const match = /^([!-9;-~]+):(.*)$/.exec(line);
      const name = match?.[1]?.toLowerCase();
      if (name === undefined) throw invalid('expected "Field: value"');
      const isRepeated = fields.has(name);
      if (isRepeated && !allowsRepeats)
        throw invalid(`the field ${match?.[1] ?? ''} appears twice`);
      if (!isRepeated) fields.set(name, match?.[2]?.trim() ?? '');
      last = isRepeated ? '' : name;
    }
  }
  end();
  return paragraphs;
}

/** Splits a value at white space, across lines. */
export function words(value: string | undefined): string[] {
  return (value ?? '').split(/\s+/).filter((word) => word !== '');
}

/**
 * Returns a function that returns a field's value.
 * @param what the paragraph, for messages
 * @throws ARCHIVE_INVALID if a field is missing
 */
export function requiredFields(fields: Paragraph, what: string): (name: string) => string {
  return (name) => {
    const value = fields.get(name);
    if (value === undefined) throw new LktError('ARCHIVE_INVALID', `${what} has no ${name}`);
    return value;
  };
}
