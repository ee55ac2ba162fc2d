import type { YamlValue } from '@lkt/core';
import type { TextEdit } from '@lkt/pkg';

/**
 * Returns the edits that remove items from a list in a YAML text: whole lines of a list with
 * dashes, and the separators of one in brackets.
 */
export function removeItems(
  text: string,
  items: readonly YamlValue[],
  isRemoved: (item: YamlValue) => boolean,
): readonly TextEdit[] {
  const edits: TextEdit[] = [];
  const lastKept = items.findLastIndex((item) => !isRemoved(item));
  for (const [index, item] of items.entries()) {
    const { range } = item;
    if (range === undefined || !isRemoved(item)) continue;
    const [start, end] = range;
    const lineStart = text.lastIndexOf('\n', start - 1) + 1;
    if (/^\s*-\s+$/.test(text.slice(lineStart, start))) {
      edits.push(edit(lineStart, endOfLine(text, end)));
    } else if (index < lastKept) {
      edits.push(edit(start, items[index + 1]?.range?.[0] ?? end));
    } else if (index === lastKept + 1) {
      edits.push(edit(items[lastKept]?.range?.[1] ?? start, items.at(-1)?.range?.[1] ?? end));
    }
  }
  return edits;
}

function edit(from: number, to: number): TextEdit {
  return { offset: from, length: to - from, replacement: '' };
}

/** Returns the offset after the line that ends a value; a block scalar includes its line end. */
function endOfLine(text: string, end: number): number {
  if (text[end - 1] === '\n') return end;
  const next = text.indexOf('\n', end);
  return next === -1 ? text.length : next + 1;
}
