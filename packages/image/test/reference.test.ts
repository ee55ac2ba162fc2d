import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { parseConfig } from '../src/config/config.ts';

const text = await readFile(new URL('../../../docs/image-yml.md', import.meta.url), 'utf8');

/** The keys that the first table of a section describes. */
function keysOf(section: string): readonly string[] {
  const start = text.indexOf(`\n## ${section}\n`);
  const end = text.indexOf('\n## ', start + 1);
  const body = text.slice(start, end === -1 ? undefined : end);
  const table = body.split('\n### ')[0] ?? '';
  return [...table.matchAll(/^\| `([^`]+)`/gm)].map((match) => match[1] ?? '');
}

describe('docs/image-yml.md', () => {
  it.each([
    ['containers', 'services: [{name: a, image: b, qqqqqqqqqqqqqqqq: 1}]', 'name', 'image'],
    ['kernel', 'kernel: {qqqqqqqqqqqqqqqq: 1}'],
    ['volumes', 'volumes: [{qqqqqqqqqqqqqqqq: 1}]'],
    ['files', 'files: [{qqqqqqqqqqqqqqqq: 1}]'],
  ])('describes every field of %s', (section, wrong, ...elsewhere) => {
    const fix = /use one of: (.*)/.exec(fixOf(wrong))?.[1]?.split(', ');
    expect([...keysOf(section), ...elsewhere].toSorted()).toEqual(fix?.toSorted());
  });

  it('has examples that are right', () => {
    const examples = [...text.matchAll(/^```yaml\n(.*?)^```/gms)].map((match) => match[1] ?? '');
    expect(examples.length).toBeGreaterThan(3);
    for (const example of examples) parseConfig({ path: 'docs/image-yml.md', text: example });
  });
});

/** What an unknown key is answered with: the known ones. */
function fixOf(wrong: string): string {
  try {
    parseConfig({ path: 'a.yml', text: wrong });
  } catch (error) {
    if (error instanceof Error && 'fix' in error) return String(error.fix);
  }
  return '';
}
