import { type Html, markup, type HtmlValue } from './html.ts';

/** Returns texts as a list; a single one as it is. */
export function listOf(texts: readonly string[]): HtmlValue {
  if (texts.length < 2) return texts[0];
  return markup`<ul>${texts.map((text) => markup`<li>${text}</li>`)}</ul>`;
}

/** Returns a text that people compare by its characters, such as a digest. */
export function codeOf(text: string): Html {
  return markup`<code>${text}</code>`;
}

/** Shortens a tag that is a source hash. */
export function shortTag(name: string): string {
  return name.replace(/:([0-9a-f]{8})[0-9a-f]{32}(?![0-9a-f])/, ':$1');
}
