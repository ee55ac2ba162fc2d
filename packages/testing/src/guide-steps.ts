/** A step of a reader of a guide. */
export type GuideStep =
  | { readonly kind: 'command'; readonly command: string }
  /** Write a file, or with `isPart` add the items of a section to it. */
  | {
      readonly kind: 'file';
      readonly path: string;
      readonly text: string;
      readonly isPart: boolean;
    };

/**
 * Returns the steps of a guide: the commands of its shell blocks, and the other blocks whose
 * paragraph begins with the path of a file, or says what to add to one.
 * @param part headings at which to begin and to end; default: the whole guide
 */
export function guideSteps(
  markdown: string,
  part: { readonly begin?: string | undefined; readonly end?: string | undefined } = {},
): readonly GuideStep[] {
  const from = part.begin === undefined ? 0 : headingAt(markdown, part.begin);
  const to = part.end === undefined ? undefined : headingAt(markdown, part.end);
  const fences = markdown.slice(from, to).matchAll(/((?:.+\n)*)(?:^\n)?^```(\w*)\n([^]*?)^```$/gm);
  return [...fences].flatMap(([, paragraph = '', language = '', text = '']): GuideStep[] => {
    if (language === 'sh')
      return text
        .trimEnd()
        .split(/(?<!\\)\n/)
        .filter((line) => line !== '')
        .map((line) => ({ kind: 'command', command: line.replace(/ +# .*/, '') }));
    const [, path] = /^`([\w./-]+)`[.:]/.exec(paragraph) ?? [];
    if (path !== undefined) return [{ kind: 'file', path, text, isPart: false }];
    const [, changed] = /^Add .* to `([\w./-]+)`:\n$/.exec(paragraph) ?? [];
    return changed === undefined ? [] : [{ kind: 'file', path: changed, text, isPart: true }];
  });
}

function headingAt(markdown: string, heading: string): number {
  const at = markdown.indexOf(`\n${heading}\n`);
  if (at === -1) throw new Error(`the guide has no heading ${heading}`);
  return at;
}
