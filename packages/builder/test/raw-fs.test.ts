import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { attributesAt } from '../src/system/raw-fs.ts';
import { setAttribute } from '../src/system/special-files.ts';
import { scratch } from './fixture.ts';

test('rejects an extended attribute with a name that an archive cannot hold', () => {
  using directory = scratch();
  const path = join(directory.path, 'file');
  writeFileSync(path, '');
  setAttribute(path, 'user.plain', Buffer.from('1'));
  expect(attributesAt(directory.path, 'file')?.size).toBe(1);
  setAttribute(path, 'user.a=b', Buffer.from('1'));
  expect(() => attributesAt(directory.path, 'file')).toThrow(
    expect.objectContaining({
      code: 'BUILD_FAILED',
      message: expect.stringContaining('/file has an extended attribute') as string,
    }),
  );
});
