import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { classifyContent } from '../src/classify-bytes.ts';
import { dayPattern, isEpochNear } from '../src/dates.ts';
import { now, facts, kindOf, pair } from './classify-fixture.ts';

test.each([
  ['time', 'built 2026-11-05 at 12:00:01\n', 'built 2026-11-05 at 12:00:09\n'],
  ['time', '#define NOW 1793879000\n', '#define NOW 1793880000\n'],
  ['time', '{"ms":1793879000123}\n', '{"ms":1793880000456}\n'],
  ['time', 'on Oct 30 2026\n', 'on Nov  5 2026\n'],
  ['time', 'build 20261105120001\n', 'build 20261105120009\n'],
  ['time', '"20261105T120001Z"\n', '"20261105T120009Z"\n'],
  ['time', '0x6aec6b01\n', '0x6aec6bc9\n'],
  ['time', 'took 1.23s\n', 'took 4.5s\n'],
  ['time', 'elapsed: 12 ms\n', 'elapsed: 57 ms\n'],
  ['time', 'ok 1 test (0.012s)\n', 'ok 1 test (0.034s)\n'],
  ['order', '{"a":1,"b":[2]}\n', '{"b":[2],"a":1}\n'],
  ['order', 'a=1&b=2\n', 'b=2&a=1\n'],
  ['unknown', 'mac 02:42:ac:11:00:02\n', 'mac 02:42:ac:11:00:03\n'],
  ['machine', 'size 100\n', 'size 101\n'],
  ['hostname', 'built on builder-7\n', 'built on builder-9\n'],
  ['kernel', 'Linux 6.12.1\n', 'Linux 6.18.44-fc-v769\n'],
  ['processors', 'jobs: 8\n', 'jobs: 1\n'],
  ['address', 'at 0x7ffd1c2b3a40\n', 'at 0x7fffffffe540\n'],
  ['address', 'at 139977063662656\n', 'at 140737349960768\n'],
  ['machine', 'free 339977063662656\n', 'free 340737349960768\n'],
  ['order', 'b a c\n', 'a b c\n'],
  ['path', '# /home/one/src/a.c\n', '# /srv/two/src/a.c\n'],
  ['hostname', 'by root@vm.local\n', 'by root@elsewhere.local\n'],
  ['random', 'id: k3J9dLq0ZxTq\n', 'id: Pw71mRaY2uVs\n'],
  ['random', 'id: k3J9vmq0ZxTq\n', 'id: Pw71mRaY2uVs\n'],
  ['machine', 'free 123456\n', 'free 654321\n'],
  ['unknown', 'yes\n', 'no\n'],
  ['unknown', '10.0.0.17\n', '10.0.0.4\n'],
  ['unknown', '2026-309-1159\n', '2026-309-1200\n'],
  ['time', 'at 11:59 AM\n', 'at 12:00 PM\n'],
  [
    'time',
    'POT-Creation-Date: 2026-11-05 11:59+0000\n',
    'POT-Creation-Date: 2026-11-05 12:00+0000\n',
  ],
  ['time', 'CD001 2026110511592000\n', 'CD001 2026110512000000\n'],
  ['random', 'in /tmp/tmp8k3jq1z0/x\n', 'in /tmp/tmpw9q2m7ab/x\n'],
  ['random', 'uid=0 token=k3J9dLq0ZxTq\n', 'uid=0 token=Pw71mRaY2uVs\n'],
  ['owner', 'uid=1000(joe) gid=5\n', 'uid=0(root) gid=5\n'],
])('classifies a difference as %s: %j', (kind, first, second) => {
  expect(kindOf(first, second)).toBe(kind);
});

test('reports the line with the most precise cause', () => {
  const found = classifyContent(
    'out',
    Buffer.from('a\nx1\nat 12:00:01\n'),
    Buffer.from('a\ny2\nat 12:00:05\n'),
    facts,
  );
  expect(found.cause.kind).toBe('time');
  expect(found.text).toBe('differs at byte 2: "12:00:01" and "12:00:05"');
});

function binary(...parts: (string | Buffer)[]): Buffer {
  return Buffer.concat([
    Buffer.from([0x7f, 0x45, 0x4c, 0x46, 0, 0, 0, 0]),
    ...parts.map((part) => Buffer.from(part)),
  ]);
}

function word(value: number): Buffer {
  const buffer = Buffer.alloc(4);
  buffer.writeUInt32LE(value);
  return buffer;
}

/** Returns 512 bytes that look random, always the same for a seed. */
function noise(seed: number): Buffer {
  const parts = Array.from({ length: 16 }, (_, part) =>
    createHash('sha256').update(`${seed} ${part}`).digest(),
  );
  return Buffer.concat(parts);
}

describe('binaries', () => {
  test('finds a time as text after a build id', () => {
    const [one, other] = ['1a2b3c4d5e6f7081', 'f0e1d2c3b4a59687'].map((id) =>
      Buffer.from(id, 'hex'),
    );
    if (one === undefined || other === undefined) throw new Error('unreachable');
    const rest = Buffer.alloc(64);
    const first = binary('GNU\0', one, rest, 'built 12:00:01\0', rest);
    const second = binary('GNU\0', other, rest, 'built 12:00:07\0', rest);
    expect(kindOf(first, second)).toBe('time');
  });

  test('finds a time as a number', () => {
    expect(kindOf(binary(word(now - 60), 'x\0'), binary(word(now), 'x\0'))).toBe('time');
  });

  test('finds no time in random data', () => {
    const kinds = Array.from({ length: 300 }, (_, seed) => kindOf(noise(seed), noise(-1 - seed)));
    expect(new Set(kinds)).toEqual(new Set(['random']));
  });

  test.each([
    ['of the linker', Buffer.from('\x04\0\0\0\x14\0\0\0\x03\0\0\0GNU\0', 'latin1')],
    ['of Go', Buffer.from('\xFF Go build ID: "aB3dEfGhIjKlMnOpQrSt/', 'latin1')],
  ])('does not take a build id %s for random data', (_name, start) => {
    const ids = ['0BcDeFgHiJkLmNoPqRsT', 'zYxWvUtSrQpOnMlKjIhG'];
    const [first, second] = ids.map((id) => binary(start, id, '"\0', Buffer.alloc(64)));
    expect(kindOf(first ?? '', second ?? '')).toBe('unknown');
  });

  test('finds the path of a source', () => {
    const [first, second] = ['/tmp/7qnTkn/x.c', '/tmp/bVcDb2/x.c'].map((path) =>
      binary('nop\0', path, '\0x.c\0'),
    );
    expect(kindOf(first ?? '', second ?? '')).toBe('path');
  });

  test('finds random bytes', () => {
    const first = Buffer.from('00a5f1c3d27e884b19e06c35f2917ad40b', 'hex');
    const second = Buffer.from('003e9c17b6540fa2ddc8715b0e66f3812c', 'hex');
    expect(kindOf(binary(first), binary(second))).toBe('random');
  });
});

describe('archives of the actual programs', () => {
  test('finds the time in the gzip header', () => {
    const [first, second] = pair(
      (names) => `cat ${names} > f; touch -r a.txt f; gzip f; mv f.gz out`,
      'time',
    );
    if (first === undefined || second === undefined) throw new Error('unreachable');
    const found = classifyContent('out', first, second, facts);
    expect(found).toMatchObject({ cause: { kind: 'time' } });
    expect(found.cause.fix).toMatch(/gzip -n/);
  });

  test('recognizes a git index', () => {
    const [first, second] = pair(
      (names) => `git init -q . && git add ${names} && cp .git/index out`,
      'time',
    );
    if (first === undefined || second === undefined) throw new Error('unreachable');
    expect(kindOf(first, second)).toBe('file-system');
  });
});

test('compares malformed archives as bytes', () => {
  const junk = Buffer.concat([Buffer.from('!<arch>\n'), Buffer.alloc(100, 0xff)]);
  const other = Buffer.from(junk);
  other[50] = 0;
  expect(() => kindOf(junk, other)).not.toThrow();
  const gzip = gzipSync('x').subarray(0, 19);
  const cut = Buffer.from(gzip);
  cut[12] = 0xff;
  expect(() => kindOf(gzip, cut)).not.toThrow();
});

describe('dayPattern', () => {
  const day = new RegExp(dayPattern(now), 'i');

  test.each([
    '2026-11-05T12:00:00Z',
    '20261105',
    '2026/11/05',
    '05.11.2026',
    '11/05/2026',
    'Nov  5 2026',
    'Thu Nov  5 12:00:00 UTC 2026',
    'Thu, 05 Nov 2026 12:00:00 +0000',
    'November 5, 2026',
    '2026-11-04',
    '2026-11-06',
  ])('matches %s', (text) => {
    expect(day.test(text)).toBe(true);
  });

  test.each([
    '2026-11-07',
    '2025-11-05',
    '120261105',
    '202611051',
    'abc20261105',
    '1.2.2026',
    'Nov 15 2026',
  ])('does not match %s', (text) => {
    expect(day.test(text)).toBe(false);
  });

  test('accepts seconds since 1970 within a day', () => {
    expect(isEpochNear(String(now), now)).toBe(true);
    expect(isEpochNear(`${now}.25`, now)).toBe(true);
    expect(isEpochNear(String(now - 200_000), now)).toBe(false);
    expect(isEpochNear('1492533000', now)).toBe(false);
    expect(isEpochNear(`${now}1`, now)).toBe(false);
  });
});
