import { stripVTControlCharacters } from 'node:util';

/**
 * Text of lines fit for a terminal: what builds, guests and names of files say is not trusted to move the cursor or do
 * more. A `\r` starts the line anew, as it would look.
 */
export function printable(text: string): string {
  return stripVTControlCharacters(text)
    .split('\n')
    .map((line) => (line.replace(/\r+$/, '').split('\r').at(-1) ?? '').replaceAll('\t', '  '))
    .map((line) => line.replaceAll(UNFIT, ''))
    .join('\n');
}

/** Control characters of both sets, and what turns the direction of text around. */
const UNFIT = /[\p{Cc}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

/** JSON on which a terminal does nothing: what `JSON.stringify` leaves of such characters is escaped too. */
export function printableJson(value: unknown, indent?: number): string {
  return JSON.stringify(value, null, indent).replaceAll(UNFIT, (character) =>
    character === '\n' ? character : `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
