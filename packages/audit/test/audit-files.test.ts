import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { applyWaivers, parseWaivers } from '../src/waivers.ts';
import { type Given, audit, found } from './audit-files-fixture.ts';

describe('findings about entries', () => {
  it.each<[string, Readonly<Record<string, Given>>, readonly string[]]>([
    ['setuid', { 'bin/su': { mode: 0o4755 } }, ['/bin/su setuid']],
    ['setgid', { 'bin/wall': { mode: 0o2755 } }, ['/bin/wall setuid']],
    ['mandatory locking (setgid without execute permission)', { spool: { mode: 0o2644 } }, []],
    ['setgid of a directory', { 'var/mail': { type: 'directory', mode: 0o2775 } }, []],
    [
      'capabilities of a file',
      { 'bin/ping': { xattrs: new Map([['security.capability', Buffer.from([1])]]) } },
      ['/bin/ping setuid'],
    ],
    ['a world-writable file', { 'etc/x': { mode: 0o666 } }, ['/etc/x world-writable']],
    ['a directory', { srv: { type: 'directory', mode: 0o777 } }, ['/srv world-writable']],
    ['a sticky one', { tmp: { type: 'directory', mode: 0o1777 } }, []],
    ['a symbolic link', { lib64: { type: 'symlink', mode: 0o777, link: 'lib' } }, []],
    ['a package manager', { 'usr/bin/apk': { mode: 0o755 } }, ['/usr/bin/apk package-manager']],
    [
      'a link to one',
      { 'usr/sbin/dpkg': { type: 'symlink', mode: 0o777, link: '/bin/busybox' } },
      ['/usr/sbin/dpkg package-manager'],
    ],
    ['a file of its name elsewhere', { 'usr/share/doc/apk': { mode: 0o644 } }, []],
    ['a shell, which is allowed', { 'bin/sh': { mode: 0o755 } }, []],
  ])('%s', async (_what, files, expected) => {
    expect(await found(files)).toEqual(expected);
  });

  it('include shells if they are forbidden', async () => {
    const files = {
      'bin/sh': { type: 'symlink', link: 'busybox' },
      'bin/busybox': { mode: 0o755 },
    };
    expect(await found(files as never, { shells: false })).toEqual([
      '/bin/busybox shell',
      '/bin/sh shell',
    ]);
  });
});

describe('findings about contents', () => {
  it('do not include a program that mentions keys', async () => {
    const content = 'if (line == "-----BEGIN PRIVATE KEY-----\\n") …';
    expect(await found({ 'bin/ssh': { content } })).toEqual([]);
  });

  it('include password hashes and empty passwords', async () => {
    const { findings } = await audit({
      'etc/passwd': { content: 'root:x:0:0::/:/bin/sh\nguest::1:1::/:/bin/sh\n' },
      'etc/shadow': { content: 'root:$6$abc$def:1::::::\nbin:*:1::::::\nsync:!:1::::::\n' },
      'home/shadow': { content: 'root:$6$abc$def:1::::::\n' },
    });
    expect(findings.map(({ path, what }) => `${path} ${what}`)).toEqual([
      '/etc/passwd lets guest log in without a password',
      '/etc/shadow contains the password hash of root',
    ]);
  });

  it('include a malformed ELF file, and the audit continues', async () => {
    const content = await readFile(process.execPath).then((bytes) => bytes.subarray(0, 100));
    const report = await audit({
      'bin/broken': { content, mode: 0o755 },
      'bin/true': { content: await readFile('/usr/bin/true'), mode: 0o755 },
    });
    expect(report.findings).toMatchObject([{ path: '/bin/broken', rule: 'elf' }]);
    expect(report.elf.map(({ path }) => path)).toEqual(['/bin/true']);
  });

  it('are the same for files that are whole in memory, without a temporary copy', async () => {
    const program = await readFile('/usr/bin/true');
    const files = {
      'bin/true': { content: program, mode: 0o755 },
      'bin/broken': { content: program.subarray(0, 100), mode: 0o755 },
      'etc/shadow': { content: 'root:$6$abc$def:1::::::\n' },
      'etc/key': { content: `-----BEGIN PRIVATE KEY-----\n${'A'.repeat(64)}\n` },
    };
    const whole = await audit(files, { pieces: Infinity, scratch: '/nowhere' });
    expect(whole).toEqual(await audit(files, { pieces: 4096 }));
    expect(whole.findings).toHaveLength(3);
  });
});

describe('waivers', () => {
  const { files: waivers } = parseWaivers({
    path: '.audit.yml',
    text: `waivers:
- {rules: [setuid, pie], files: [/bin/su, /opt/**], images: [lkt/a], reason: as we like it}`,
  });
  const report = {
    elf: [],
    findings: [
      { rule: 'setuid', path: '/bin/su', what: '' },
      { rule: 'setuid', path: '/opt/su', what: '' },
      { rule: 'setuid', path: '/optional', what: '' },
      { rule: 'secret', path: '/bin/su', what: '' },
    ] as const,
  };

  it('apply to the rules, files and images that they name', () => {
    expect(
      applyWaivers(report, waivers, 'lkt/a').findings.map(({ waived }) => waived !== undefined),
    ).toEqual([true, true, false, false]);
    for (const other of ['lkt/b', undefined])
      expect(applyWaivers(report, waivers, other).findings.map(({ waived }) => waived)).toEqual([
        undefined,
        undefined,
        undefined,
        undefined,
      ]);
  });

  it.each([
    ['{rules: [pie], files: [/a]}', /1:11: .*reason/],
    ['{rules: [pie], files: [/a], reason: " "}', /a waiver needs a reason/],
    ['{rules: [pia], files: [/a], reason: x}', /1:20: .*pia/],
    ['{rules: [], files: [/a], reason: x}', /rules/],
    ['{rules: [pie], files: [a], reason: x}', /"a" is not a path in an image/],
    ['{rules: [pie], files: [/a*b], reason: x}', /is not a path in an image/],
  ])('reject %s', (text, message) => {
    expect(() => parseWaivers({ path: 'w.yml', text: `waivers: [${text}]` })).toThrow(message);
  });
});
