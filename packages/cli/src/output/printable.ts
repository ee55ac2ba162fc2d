import { stripVTControlCharacters } from 'node:util';

/**
 * Escapes control characters, so that text from builds, guests and file names cannot control the
 * terminal. A `\r` restarts the line, as it would look there.
 */
export function printable(text: string): string {
  return stripVTControlCharacters(text)
    .split('\n')
    .map((line) => (line.replace(/\r+$/, '').split('\r').at(-1) ?? '').replaceAll('\t', '  '))
    .map((line) => line.replaceAll(UNFIT, ''))
    .join('\n');
}

/** Control characters (C0 and C1), and characters that change the text direction. */
const UNFIT = /[\p{Cc}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

/**
 * Returns JSON that is safe on a terminal: also escapes control characters that `JSON.stringify`
 * keeps.
 */
export function printableJson(value: unknown, indent?: number): string {
  return JSON.stringify(value, null, indent).replaceAll(UNFIT, (character) =>
    character === '\n' ? character : `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
