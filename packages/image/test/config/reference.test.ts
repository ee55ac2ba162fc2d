import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config/load-config.ts';
import { withoutDigest } from '../../src/config/reference.ts';
import { parseConfig } from '../support.ts';

const reference = await readFile(new URL('../../../../docs/image-yml.md', import.meta.url), 'utf8');
const checks = await readFile(new URL('../../../../docs/tests.md', import.meta.url), 'utf8');

const HOSTNAME = new Map([['HOSTNAME', 'web-1']]);

/** Returns the keys in the lists of a section, before its first subsection. */
function keysOf(section: string): readonly string[] {
  const start = reference.indexOf(`\n## ${section}\n`);
  const end = reference.indexOf('\n## ', start + 1);
  const body = reference.slice(start, end === -1 ? undefined : end);
  const lists = body.split('\n### ')[0] ?? '';
  return [...lists.matchAll(/^- (`[^:]*`):/gm)].flatMap(([, keys = '']) =>
    keys.split(', ').map((key) => key.replaceAll('`', '')),
  );
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

  it('has valid examples', async () => {
    const examples = [...`${reference}\n${checks}`.matchAll(/^```yaml\n(.*?)^```/gms)].map(
      (match) => match[1] ?? '',
    );
    expect(examples.length).toBeGreaterThan(3);
    for (const text of examples) {
      const file = { path: 'docs/image-yml.md', absolute: '/docs/image-yml.md', text };
      if (text.includes('include:')) parseConfig(file);
      else await loadConfig([file], text.includes('HOSTNAME') ? { set: HOSTNAME } : {});
    }
  });
});

/** Returns the known keys, from the error for an unknown one. */
function fixOf(wrong: string): string {
  try {
    parseConfig({ path: 'a.yml', text: wrong });
  } catch (error) {
    if (error instanceof Error && 'fix' in error) return String(error.fix);
  }
  return '';
}

it.each([
  ['acme/web:1', 'acme/web:1'],
  [`acme/web@sha256:${'0'.repeat(64)}`, 'acme/web'],
  ['@pkg:../web', '@pkg:../web'],
])('names the image %s in messages as %s', (text, name) => {
  expect(withoutDigest({ text })).toBe(name);
});
