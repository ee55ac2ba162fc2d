import type { PackageUpdate } from '@lkt/debian';
import type { LockUpdates } from '@lkt/pkg';
import { describe, expect, test } from 'vitest';
import { lateUpdates, lockUpdateLines } from '../../src/output/lock-updates.ts';
import { updateLines, updateMarkdown, type UpdateSummary } from '../../src/output/update-report.ts';

const RUNC: PackageUpdate = {
  name: 'runc-dev',
  version: '1.0',
  newest: '1.0+deb13u1',
  archive: 'debian-security',
  isSecurity: true,
  securitySince: '2026-11-13T10:00:00.000Z',
};
const PLAIN: PackageUpdate = {
  name: 'plain',
  version: '1',
  newest: '2',
  archive: 'debian',
  isSecurity: false,
};

function lock(...updates: readonly PackageUpdate[]): readonly LockUpdates[] {
  return [{ file: 'a/debian.lock', package: 'lkt/a', updates }];
}

function late(day: string, ...updates: readonly PackageUpdate[]): readonly string[] {
  return lateUpdates(lock(...updates), new Date(`${day}T10:00:01Z`));
}

describe('locks', () => {
  test('marks security updates, with their dates', () => {
    expect(lockUpdateLines(lock(PLAIN, RUNC))).toEqual([
      'a/debian.lock',
      '  plain     1 → 2              debian',
      '  runc-dev  1.0 → 1.0+deb13u1  debian-security  security, 2026-11-13',
    ]);
  });

  test('warns about security updates older than a week, or of unknown age', () => {
    expect(late('2026-11-19', RUNC)).toEqual([]);
    expect(late('2026-11-20', RUNC)).toEqual([
      'a/debian.lock lacks a security update since 2026-11-13: runc-dev 1.0+deb13u1',
    ]);
    const { securitySince: _since, ...undated } = RUNC;
    expect(late('2026-11-13', { ...undated, name: 'src:linux' }, PLAIN)).toEqual([
      'a/debian.lock lacks a security update of unknown date: src:linux 1.0+deb13u1',
    ]);
    expect(late('2027-01-01', undated, RUNC)).toEqual([
      'a/debian.lock lacks 2 security updates since 2026-11-13: runc-dev 1.0+deb13u1',
    ]);
    expect(late('2027-01-01', PLAIN)).toEqual([]);
  });
});

const SUMMARY: UpdateSummary = {
  isDryRun: false,
  kernel: [],
  packages: [
    {
      source: 'runc',
      names: ['runc', 'runc-dev'],
      from: '1.0',
      to: '1.0+deb13u1',
      isSecurity: true,
      vulnerabilities: [
        { id: 'CVE-2026-1111', severity: 'high' },
        { id: 'CVE-2026-2222', severity: 'unknown' },
      ],
      locks: ['a/debian.lock'],
    },
    { source: 'zlib', names: ['zlib'], from: '1', to: '2', isSecurity: true, locks: [] },
    { source: 'new|<b>', names: ['new|<b>'], to: '1', isSecurity: false, locks: [] },
  ],
  affected: ['lkt/a'],
  pins: [
    { file: 'a/Dockerfile', line: 1, from: 'x', to: 'y' },
    { file: 'a/Dockerfile', line: 2, from: 'x', to: 'y' },
  ],
  configs: [
    {
      file: 'a.yml',
      containers: [
        {
          container: 'services web',
          before: 'lkt/web@x',
          after: 'lkt/web@y',
          changes: [{ path: 'config.root.readonly', before: true, after: undefined }],
        },
        { container: 'services db', before: 'lkt/db@x', after: 'lkt/db@y' },
      ],
    },
  ],
  left: [{ file: 'b/debian.lock', package: 'lkt/b', updates: [PLAIN] }],
};

describe('updates', () => {
  test('are shown as text', () => {
    expect(updateLines(SUMMARY).join('\n')).toBe(`packages
  runc: runc-dev  1.0  1.0+deb13u1  CVE-2026-1111 (high) CVE-2026-2222
  zlib            1    2            security, none named
  new|<b>         new  1
built
  lkt/a
pins
  a/Dockerfile (2)
privileges
  a.yml: services web: - config.root.readonly: true
  a.yml: services db: not compared, the store lacks lkt/db@x
left
  b/debian.lock
    plain  1 → 2  debian`);
    const none = { ...SUMMARY, packages: [], affected: [], pins: [], configs: [], left: [] };
    expect(updateLines(none)).toEqual(['nothing to update']);
  });

  test('are shown as Markdown without formatting by their values', () => {
    expect(updateMarkdown(SUMMARY)).toBe(`| package | from | to | fixes |
| --- | --- | --- | --- |
| runc: runc-dev | 1.0 | 1.0+deb13u1 | CVE-2026-1111 (high) CVE-2026-2222 |
| zlib | 1 | 2 | security, none named |
| new\\|\\<b\\> | new | 1 |  |

**Built**

- lkt/a

**Pins**

- a/Dockerfile (2)

**Changed privileges**

- a.yml: services web: - config.root.readonly: true
- a.yml: services db: not compared, the store lacks lkt/db\\@x

**Left**

- b/debian.lock: plain 1 → 2
`);
  });
});
