import { join } from 'node:path';
import { readdirSync, readFileSync } from 'node:fs';
import { release, version } from 'node:os';
import { expect, test } from 'vitest';
import { checkRemarks } from '../src/index.ts';
import { leftovers, scratch } from '../../builder/test/fixture.ts';
import { checked } from './checked.ts';

const options = { timeout: 120_000 };

test('reports a reproducible image, and leaves nothing behind', options, async () => {
  using dir = scratch();
  const report = await checked(dir.path, 'FROM base\nRUN echo a > /a\nRUN rm /a\n');
  expect(report).toMatchObject({ reproducible: true, differences: [], marks: [], notes: [] });
  expect(report.first).toBe(report.second);
  expect(leftovers(dir.path)).toEqual([]);
  expect(readdirSync(join(dir.path, 'tmp'))).toEqual([]);
});

test('names the first differing step, but not dependent ones', options, async () => {
  using dir = scratch();
  const text =
    'FROM base AS one\nRUN echo a > /a\nRUN cat /proc/sys/kernel/random/uuid > /b\nRUN cat /b > /c\nFROM base\nCOPY --from=one /c /\nRUN cat /c > /d\n';
  const report = await checked(dir.path, text);
  expect(report.reproducible).toBe(false);
  expect(report.differences).toMatchObject([
    { step: { line: 3, column: 1 }, reachesImage: true, files: [{ path: '/b' }] },
  ]);
});

test('mentions differences that do not reach the image as remarks', options, async () => {
  using dir = scratch();
  const text =
    'FROM base AS one\nRUN cat /proc/sys/kernel/random/uuid > /log; echo a > /a\nFROM base\nCOPY --from=one /a /\n';
  const brief = await checked(dir.path, text);
  expect(brief).toMatchObject({ reproducible: true, differences: [{ files: [] }] });
  expect(checkRemarks(brief, { path: 'Dockerfile', verbose: true })).toEqual([
    'Dockerfile:2:1: RUN cat /proc/sys/kernel/random/uuid > /log; echo a > /a: produces different files each time, which do not reach the image',
  ]);
  const report = await checked(dir.path, text, { everyStep: true });
  expect(report.reproducible).toBe(true);
  expect(checkRemarks(report, { path: 'Dockerfile', verbose: false })).toEqual([]);
  expect(checkRemarks(report, { path: 'Dockerfile', verbose: true })).toEqual([
    'Dockerfile:2:1: RUN cat /proc/sys/kernel/random/uuid > /log; echo a > /a: produces different files each time (/log), which do not reach the image',
  ]);
});

test(
  'finds the day and the processor of the build in files, although both builds are equal',
  options,
  async () => {
    using dir = scratch();
    const [model = ''] =
      /(?<=^model name\s*: ).+/m.exec(readFileSync('/proc/cpuinfo', 'utf8')) ?? [];
    // gcc writes what -march=native stands for into debug information.
    const producer = 'GNU C17 14.2.0 -march=znver4 --param=l1-cache-size=32 -g';
    const text = `FROM base
RUN date +%F > /day; busybox uname -r > /kernel; echo 2017-04-18 > /past; echo ${release()} | tr 0-9 x > /other
RUN busybox uname -v > /built; grep 'model name' /proc/cpuinfo | head -n1 > /model; echo '${producer}' > /native
`;
    const report = await checked(dir.path, text);
    expect(report.reproducible).toBe(true);
    expect(report.marks).toEqual([
      { path: '/day', kind: 'day', text: expect.stringMatching(/^20\d\d-\d\d-\d\d$/) as string },
      { path: '/kernel', kind: 'kernel', text: release() },
      { path: '/built', kind: 'kernel', text: version() },
      { path: '/model', kind: 'processor', text: model },
      { path: '/native', kind: 'processor', text: '--param=l1-cache-size=' },
    ]);
    const remarks = checkRemarks(report, { path: 'Dockerfile', verbose: false });
    expect(remarks[0]).toMatch(/\/day contains the day of the build/);
    expect(remarks[4]).toMatch(/\/native contains .* this processor.*-march=native/);
  },
);

test('falls back to root for a build that needs its privileges', options, async () => {
  using dir = scratch();
  const report = await checked(dir.path, 'FROM base\nRUN mknod /null c 1 3\n');
  expect(report.reproducible).toBe(true);
  expect(report.notes).toEqual([
    'the user is not varied: the build needs root privileges on this machine',
  ]);
});

test('uses an empty cache mount in the second build', options, async () => {
  using dir = scratch();
  const run = 'RUN --mount=type=cache,target=/cache';
  const text = `FROM base\n${run} echo a > /cache/a\n${run} ls /cache > /list\n`;
  await checked(dir.path, text);
  const report = await checked(
    dir.path,
    `${text}${run} touch /cache/b\n${run} ls /cache >> /list\n`,
    {
      noCache: true,
    },
  );
  expect(report.differences).toMatchObject([{ step: { line: 3 }, files: [{ path: '/list' }] }]);
});
