import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { generatedDocs } from '../../../../tools/docs.ts';

const root = join(import.meta.dirname, '../../../..');

test.each([...(await generatedDocs())])(
  '%s is up to date; `node tools/docs.ts` writes it',
  (path, text) => {
    expect(readFileSync(join(root, path), 'utf8')).toBe(text);
  },
);
