import { describe, expect, test } from 'vitest';
import { kindOf, pair } from './classify-fixture.ts';

/** Java's jar writes such archives too: the sizes follow the members. */
const STREAMED_ZIP =
  'import sys, zipfile; zipfile.ZipFile(sys.stdout.buffer, "w", zipfile.ZIP_DEFLATED).write("in")';

describe('archives of the actual programs', () => {
  const ARCHIVERS = {
    tar: (names: string) => `tar --owner=0 --group=0 -cf out ${names}`,
    ar: (names: string) => `ar rcU out ${names}`,
    zip: (names: string) => `python3 -m zipfile -c out ${names}`,
    'tar in gzip': (names: string) => `tar -c ${names} | gzip -n > out`,
    'tar in zstd': (names: string) => `tar -c ${names} | zstd -q > out`,
    'tar of 1979': (names: string) => `tar --format=v7 -cf out ${names}`,
    cpio: (names: string) => `printf '%s\\n' ${names} | cpio --quiet -oH newc --reproducible > out`,
    'zip in zip': (names: string) =>
      `python3 -m zipfile -c in ${names}; touch -d @1000000000 in; python3 -m zipfile -c out in`,
    'tar in a compressed zip, without sizes in its headers': (names: string) =>
      `tar -cf in ${names}; touch -d @1000000000 in; python3 -c '${STREAMED_ZIP}' | cat > out`,
  };

  test.each(Object.entries(ARCHIVERS))('%s', (_name, command) => {
    for (const change of ['order', 'time'] as const) {
      const [first, second] = pair(command, change);
      if (first === undefined || second === undefined) throw new Error('unreachable');
      expect(first.equals(second)).toBe(false);
      expect(kindOf(first, second)).toBe(change);
    }
    const [first, second] = pair(command, 'none');
    expect(first).toEqual(second);
  });

  test.each(['xz', 'bzip2'])('cannot look into %s', (compressor) => {
    const [first, second] = pair((names) => `tar -c ${names} | ${compressor} > out`, 'time');
    if (first === undefined || second === undefined) throw new Error('unreachable');
    expect(kindOf(first, second)).toBe('unknown');
  });

  test('finds inodes in cpio', () => {
    const [first, second] = pair(
      (names) => `printf '%s\\n' ${names} | cpio --quiet -oH newc > out`,
      'none',
    );
    if (first === undefined || second === undefined) throw new Error('unreachable');
    expect(kindOf(first, second)).toBe('file-system');
  });

  test('finds the source time in compiled Python', () => {
    const compile = 'mv a.txt a.py; echo "x = 1" > b.py; touch -r a.py b.py';
    const [first, second] = pair(
      () => `${compile}; python3 -m py_compile b.py; mv __pycache__/* out`,
      'time',
    );
    if (first === undefined || second === undefined) throw new Error('unreachable');
    expect(kindOf(first, second)).toBe('time');
  });
});
