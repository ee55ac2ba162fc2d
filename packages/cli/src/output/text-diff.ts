/** Lines shown before and after a change. */
const CONTEXT = 3;

/** Comparisons above which the lines between the first and the last change are all replaced. */
const MAX_COMPARISONS = 10_000_000;

/** Returns the difference of two texts as lines of a unified diff; empty if they are equal. */
export function unifiedDiff(path: string, before: string, after: string): readonly string[] {
  const [from, to] = [before, after].map((text) => text.split('\n'));
  const steps = diffOf(from ?? [], to ?? []);
  const lines: string[] = [];
  const isNear = (index: number): boolean =>
    steps.slice(Math.max(0, index - CONTEXT), index + CONTEXT + 1).some(({ sign }) => sign !== ' ');
  let [fromLine, toLine] = [1, 1];
  let hunk: { readonly start: string; readonly lines: string[] } | undefined;
  for (const [index, { sign, text }] of steps.entries()) {
    if (isNear(index)) {
      hunk ??= { start: `@@ -${fromLine} +${toLine} @@`, lines: [] };
      hunk.lines.push(`${sign}${text}`);
    } else if (hunk !== undefined) {
      lines.push(hunk.start, ...hunk.lines);
      hunk = undefined;
    }
    if (sign !== '+') fromLine += 1;
    if (sign !== '-') toLine += 1;
  }
  if (hunk !== undefined) lines.push(hunk.start, ...hunk.lines);
  return lines.length === 0 ? [] : [`--- ${path}`, `+++ ${path}`, ...lines];
}

interface Step {
  readonly sign: ' ' | '-' | '+';
  readonly text: string;
}

/** Returns the lines of both texts in order, by their longest common subsequence. */
function diffOf(from: readonly string[], to: readonly string[]): readonly Step[] {
  let start = 0;
  while (start < Math.min(from.length, to.length) && from[start] === to[start]) start += 1;
  let end = 0;
  const limit = Math.min(from.length, to.length) - start;
  while (end < limit && from[from.length - 1 - end] === to[to.length - 1 - end]) end += 1;
  const [a, b] = [from.slice(start, from.length - end), to.slice(start, to.length - end)];
  return [
    ...same(from.slice(0, start)),
    ...(a.length * b.length > MAX_COMPARISONS ? replaced(a, b) : between(a, b)),
    ...same(from.slice(from.length - end)),
  ];
}

function same(texts: readonly string[]): readonly Step[] {
  return texts.map((text) => ({ sign: ' ', text }));
}

function replaced(a: readonly string[], b: readonly string[]): readonly Step[] {
  return [
    ...a.map((text): Step => ({ sign: '-', text })),
    ...b.map((text): Step => ({ sign: '+', text })),
  ];
}

function between(a: readonly string[], b: readonly string[]): readonly Step[] {
  const width = b.length + 1;
  // The length of the longest common subsequence of the rests from i and j.
  const lengths = new Uint32Array((a.length + 1) * width);
  const at = (i: number, j: number): number => lengths[i * width + j] ?? 0;
  for (let i = a.length - 1; i >= 0; i -= 1)
    for (let j = b.length - 1; j >= 0; j -= 1)
      lengths[i * width + j] =
        a[i] === b[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
  const steps: Step[] = [];
  let [i, j] = [0, 0];
  while (i < a.length && j < b.length) {
    if (a[i] === b[j]) {
      steps.push({ sign: ' ', text: a[i] ?? '' });
      i += 1;
      j += 1;
    } else if (at(i + 1, j) >= at(i, j + 1)) {
      steps.push({ sign: '-', text: a[i] ?? '' });
      i += 1;
    } else {
      steps.push({ sign: '+', text: b[j] ?? '' });
      j += 1;
    }
  }
  return [...steps, ...replaced(a.slice(i), b.slice(j))];
}
