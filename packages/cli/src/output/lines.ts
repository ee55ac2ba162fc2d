/** Returns the rows as lines with aligned columns. */
export function columns(rows: readonly (readonly string[])[]): readonly string[] {
  const widths: number[] = [];
  for (const row of rows)
    for (const [at, word] of row.entries()) widths[at] = Math.max(widths[at] ?? 0, word.length);
  return rows.map((row) =>
    row
      .map((word, at) => word.padEnd(widths[at] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}

/** Returns a number with a noun: `1 package`, `2 packages`, `3 vulnerabilities`. */
export function counted(count: number, noun: string): string {
  return count === 1 ? `1 ${noun}` : `${count} ${noun.replace(/y$/, 'ie')}s`;
}

/** Returns a title with indented lines below it; nothing without lines. */
export function section(title: string, lines: readonly string[]): readonly string[] {
  return lines.length === 0 ? [] : [title, ...lines.map((line) => `  ${oneLine(line)}`)];
}

/** Replaces line breaks, as in file names, by `?`. */
export function oneLine(text: string): string {
  return text.replaceAll(/[\r\n]/g, '?');
}

/** Returns a value as text: strings as they are, lists of them with commas, others as JSON. */
export function valueText(value: unknown): string {
  if (typeof value === 'string') return value;
  const isList = Array.isArray(value) && value.length > 0;
  return isList && value.every((item) => typeof item === 'string')
    ? value.join(', ')
    : JSON.stringify(value);
}
