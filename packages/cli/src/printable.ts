import { stripVTControlCharacters } from 'node:util';

/**
 * Text of lines fit for a terminal: what builds, guests and names of files say is not trusted to move the cursor or do
 * more. A `\r` starts the line anew, as it would look.
 */
export function printable(text: string): string {
  return stripVTControlCharacters(text)
    .split('\n')
    .map((line) => (line.replace(/\r+$/, '').split('\r').at(-1) ?? '').replaceAll('\t', '  '))
    .map((line) => line.replaceAll(/\p{Cc}/gu, ''))
    .join('\n');
}
