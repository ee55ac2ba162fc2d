/**
 * Returns the text of a page in docs/packages that is written by hand: how to use the package and
 * its options.
 * @param page the page as it is now; its text is between the heading "Options" and the flags or
 * the next section
 * @throws Error for a page without that text
 */
export function guideOf(name: string, page: string): string {
  const [, text = ''] =
    /^## Options\n([^]*?)(?=\nFlags, with one dash or two:|\n## |$(?![^]))/m.exec(page) ?? [];
  if (text.trim() === '')
    throw new Error(`docs/packages/${name}.md explains no options: write "## Options" and a text`);
  return text.trim();
}
