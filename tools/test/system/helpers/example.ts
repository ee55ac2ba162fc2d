import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './lkt.ts';

/** Returns the lines of an example from a text up to the next occurrence of another. */
export function examplePart(example: string, from: string, to: string): string {
  const text = readFileSync(join(root, `examples/${example}.yml`), 'utf8');
  const start = text.indexOf(from);
  if (start < 0) throw new Error(`${example}.yml has no ${from}`);
  return text.slice(start, text.indexOf(to, start));
}
