import { digestOf } from '@lkt/core';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  checkLock,
  type DebianLock,
  type DebianSpec,
  formatLock,
  parseLock,
  formatRequest,
} from '../src/lock/lock.ts';

const LOCK: DebianLock = {
  suite: 'trixie',
  architecture: 'amd64',
  request: 'packages=bash,dash',
  packages: [
    {
      name: 'bash',
      version: '5.2.37-2+b5',
      architecture: 'amd64',
      archive: 'debian',
      path: 'pool/main/b/bash/bash_5.2.37-2+b5_amd64.deb',
      size: 1500792,
      digest: digestOf('bash'),
    },
    {
      name: 'linux-libc-dev',
      version: '1:6.12.118-1',
      architecture: 'all',
      archive: 'debian-security',
      path: 'pool/updates/main/l/linux/linux-libc-dev_6.12.118-1_all.deb',
      size: 2,
      digest: digestOf('linux'),
    },
  ],
};

const TEXT = `# Written by \`lkt pkg lock\`.
suite trixie
architecture amd64
request packages=bash,dash

bash 5.2.37-2+b5 amd64 debian/pool/main/b/bash/bash_5.2.37-2+b5_amd64.deb 1500792 ${digestOf('bash')}
linux-libc-dev 1:6.12.118-1 all debian-security/pool/updates/main/l/linux/linux-libc-dev_6.12.118-1_all.deb 2 ${digestOf('linux')}
`;

const parse = (text: string): DebianLock => parseLock({ path: 'tools/c/debian.lock', text });

describe('lock files', () => {
  it('have one line per package', () => {
    expect(formatLock(LOCK)).toBe(TEXT);
    expect(formatLock({ ...LOCK, packages: LOCK.packages.toReversed() })).toBe(TEXT);
  });

  it('are parsed back', () => {
    expect(parse(TEXT)).toEqual(LOCK);
  });

  it('round-trip', () => {
    const item = fc.record({
      name: fc.stringMatching(/^[a-z0-9][a-z0-9+.-]{0,20}$/),
      version: fc.stringMatching(/^[0-9][A-Za-z0-9.+~:-]{0,20}$/),
      architecture: fc.constantFrom('amd64', 'all'),
      archive: fc.constantFrom('debian' as const, 'debian-security' as const),
      path: fc.stringMatching(/^pool\/[a-z]{1,5}\/[A-Za-z0-9_+~]{1,20}\.deb$/),
      size: fc.integer({ min: 1, max: 999_999_999_999 }),
      digest: fc.string().map((text) => digestOf(text)),
    });
    fc.assert(
      fc.property(fc.uniqueArray(item, { selector: ({ name }) => name }), (packages) => {
        const lock = { ...LOCK, packages };
        const text = formatLock(lock);
        expect(formatLock(parse(text))).toBe(text);
        expect(parse(text).packages).toHaveLength(packages.length);
      }),
    );
  });

  it('include source packages, marked as such', () => {
    const text = `${TEXT}src:linux 6.12.107-1 source debian/pool/main/l/linux/linux_6.12.107.orig.tar.xz 9 ${digestOf('x')}\n`;
    const source = parse(text).packages.at(-1);
    expect(source).toMatchObject({ name: 'src:linux', architecture: 'source', size: 9 });
    expect(formatLock(parse(text))).toBe(text);
    for (const wrong of [text.replace('src:linux', 'zlinux'), text.replace(' source ', ' amd64 ')])
      expect(() => parse(wrong)).toThrow(
        /debian\.lock:8:1: "(?:src:|z)linux" cannot have the architecture/,
      );
  });

  it.each([
    ['another first line', TEXT.replace('# Written', '# Edited'), '1:1: not a lock file'],
    ['no suite', TEXT.replace('suite ', 'sweet '), '2:1: expected "suite …"'],
    ['no blank line', TEXT.replace('\n\n', '\n'), '5:1: expected an empty line'],
    ['line ends of Windows', TEXT.replaceAll('\n', '\r\n'), '1:29: the line ends in CR LF'],
    ['one line end of Windows', TEXT.replace('\nbash', '\r\nbash'), '5:1: the line ends in CR LF'],
    ['a cut end', TEXT.slice(0, -1), '7:1: the file is truncated'],
    ['a bad name', TEXT.replace('\nbash ', '\nBash '), '6:1: expected the name of a package'],
    ['a bad version', TEXT.replace('5.2.37-2+b5 ', '5/2 '), '6:6: expected a version'],
    [
      'a path that leaves',
      TEXT.replace('debian/pool/main/b', 'debian/../b'),
      '6:24: expected a path',
    ],
    ['an unknown archive', TEXT.replace(' debian/', ' ubuntu/'), '6:24: expected a path'],
    ['a size of 0', TEXT.replace(' 1500792 ', ' 0 '), '6:75: expected a size in bytes'],
    [
      'a short digest',
      TEXT.replace(digestOf('bash'), 'sha256:12'),
      '6:83: expected a sha256 digest',
    ],
    ['a missing field', TEXT.replace(` ${digestOf('bash')}`, ''), '6:82: expected a sha256 digest'],
    [
      'one field more',
      TEXT.replace(digestOf('bash'), `${digestOf('bash')} x`),
      '6:155: expected the end of the line',
    ],
    [
      'another architecture',
      TEXT.replace(' amd64 debian', ' arm64 debian'),
      '6:1: "bash" is not for amd64',
    ],
    [
      'a wrong order',
      TEXT.replace('linux-libc-dev ', 'a '),
      '7:1: "a" is duplicated or out of order',
    ],
    [
      'a name twice',
      TEXT.replace('linux-libc-dev ', 'bash '),
      '7:1: "bash" is duplicated or out of order',
    ],
  ])('are rejected with %s', (_what, text, message) => {
    expect(() => parse(text)).toThrow(
      expect.objectContaining({
        code: 'CONFIG_INVALID',
        message: expect.stringContaining(`tools/c/debian.lock:${message}`) as string,
      }),
    );
  });
});

describe('checkLock', () => {
  const spec: DebianSpec = { suite: 'trixie', architecture: 'amd64', packages: ['dash', 'bash'] };
  const check = (change: Partial<DebianSpec>): void => {
    checkLock(LOCK, { ...spec, ...change }, { path: 'debian.lock', text: TEXT }, 'tools/c');
  };

  it('accepts the request in another order', () => {
    expect(() => {
      check({});
    }).not.toThrow();
  });

  it.each([
    [{ packages: ['bash'] }, 4],
    [{ without: ['libc6'] }, 4],
    [{ noDependencies: true }, 4],
    [{ sources: ['linux'] }, 4],
    [{ components: ['main', 'contrib'] }, 4],
    [{ suite: 'sid' }, 2],
    [{ architecture: 'arm64' }, 3],
  ])('rejects %j', (change, line) => {
    expect(() => {
      check(change);
    }).toThrow(
      expect.objectContaining({
        code: 'CONFIG_INVALID',
        message: `debian.lock:${line}:1: the lock does not match build.yml`,
        fix: 'run lkt pkg lock tools/c',
      }),
    );
  });

  it('distinguishes requests', () => {
    expect(formatRequest({ ...spec, packages: ['a (= 1)'] })).toBe('packages=a(=1)');
  });
});
