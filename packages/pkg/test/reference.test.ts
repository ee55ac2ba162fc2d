import { readFile } from 'node:fs/promises';
import { LktError } from '@lkt/core';
import { describe, expect, it } from 'vitest';
import { parseBuildYml } from '../src/build-yml/build-yml.ts';

const text = await readFile(new URL('../../../docs/build-yml.md', import.meta.url), 'utf8');
const images = await readFile(new URL('../../../docs/image-yml.md', import.meta.url), 'utf8');

/** Returns the keys that the parser accepts, from its message about an unknown one. */
function known(yml: string): readonly string[] {
  try {
    parseBuildYml({ path: 'build.yml', text: yml }, '/x');
  } catch (error) {
    const list =
      error instanceof LktError ? /^use one of: (.*)$/.exec(error.fix ?? '')?.[1] : undefined;
    if (list !== undefined) return list.split(', ');
  }
  throw new Error(`no list of keys for ${yml}`);
}

describe('docs/build-yml.md', () => {
  it.each(known('qqqqqqqqqqqqqqqq: 1\n'))('has a section on %s', (key) => {
    expect(text).toMatch(new RegExp(`^## ${key}$`, 'm'));
  });

  it.each(known('image: x\nconfig: { qqqqqqqqqqqqqqqq: 1 }\n'))(
    'leaves the field %s of config to docs/image-yml.md',
    (key) => {
      expect(images).toMatch(new RegExp(`^- (?:\`[^:]*)?\`${key}\`[^:]*:`, 'm'));
    },
  );

  it.each(known('image: x\ndebian: { qqqqqqqqqqqqqqqq: 1 }\n'))(
    'names the field %s of debian',
    (key) => {
      expect(text).toMatch(new RegExp(`^- \`${key}\`[ (a-z)]*: `, 'm'));
    },
  );

  it('has examples that are valid', () => {
    const examples = [...text.matchAll(/^```yaml\n(.*?)^```$/gms)].map((match) => match[1] ?? '');
    expect(examples.length).toBeGreaterThan(4);
    for (const example of examples) {
      const whole = /^image:/m.test(example) ? example : `image: x\n${example}`;
      expect(parseBuildYml({ path: 'build.yml', text: whole }, '/x').image).not.toBe('');
    }
  });
});
