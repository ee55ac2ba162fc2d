/**
 * HTML or SVG text. {@link markup} makes it, and escapes every text it inserts, so that foreign
 * names are never markup.
 */
export class Html {
  readonly text: string;

  /** @param text markup of lkt's own; insert anything else with {@link markup} */
  constructor(text: string) {
    this.text = text;
  }
}

/** A value in a template of {@link markup}; nothing is inserted for `undefined`. */
export type HtmlValue = Html | string | number | undefined | readonly HtmlValue[];

/**
 * Returns HTML from a template: escapes text, and inserts HTML and lists as they are. Write quotes
 * around attribute values.
 * @example
 * ```ts
 * markup`<p title="${name}">${items.map((item) => markup`<b>${item}</b>`)}</p>`;
 * ```
 */
export function markup(strings: TemplateStringsArray, ...values: readonly HtmlValue[]): Html {
  return new Html(strings.map((piece, index) => `${piece}${markupOf(values[index])}`).join(''));
}

function markupOf(value: HtmlValue): string {
  if (value === undefined) return '';
  if (value instanceof Html) return value.text;
  if (typeof value === 'string' || typeof value === 'number') return escaped(String(value));
  return value.map(markupOf).join('');
}

function escaped(text: string): string {
  return visible(text).replaceAll(/[&<>"'`]/g, (char) => `&#${char.charCodeAt(0)};`);
}

/** Control characters, line separators, and characters that change the text direction. */
const UNFIT = /[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/gu;

/** Replaces characters that hide or reorder text, such as those in file names, by their codes. */
export function visible(text: string): string {
  return text.toWellFormed().replaceAll(UNFIT, (char) => `\\u{${char.charCodeAt(0).toString(16)}}`);
}

/** Returns data for a script of the page, as an element that is not run. */
export function dataElement(value: unknown): Html {
  const json = JSON.stringify(value).replaceAll(
    /[<>&\u2028\u2029]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  return new Html(`<script type="application/json">${json}</script>`);
}
