import { describe, expect, test } from 'vitest';
import { kindOf, pair } from './classify-fixture.ts';

describe('archives of the actual programs', () => {
  const ARCHIVERS = {
    tar: (names: string) => `tar --owner=0 --group=0 -cf out ${names}`,
    ar: (names: string) => `ar rcU out ${names}`,
    zip: (names: string) => `python3 -m zipfile -c out ${names}`,
    'tar in gzip': (names: string) => `tar -c ${names} | gzip -n > out`,
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
