import { execFile } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtempDisposable, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { EntryWithContent, TreeNode } from '@lkt/oci';
import { describe, expect, it } from 'vitest';
import { auditFiles, type FilesReport } from '../src/audit-files.ts';
import { applyWaivers, parseWaivers } from '../src/waivers.ts';

const NOW = new Date('2026-01-01T00:00:00Z');

interface Given {
  readonly mode?: number;
  readonly type?: TreeNode['type'];
  readonly content?: string | Buffer;
  readonly xattrs?: ReadonlyMap<string, Uint8Array>;
  readonly link?: string;
}

async function audit(
  files: Readonly<Record<string, Given>>,
  { pieces = 7, shells = true } = {},
): Promise<FilesReport> {
  await using scratch = await mkdtempDisposable(join(tmpdir(), 'lkt-audit-'));
  const nodes = Object.entries(files).map(([path, parameterOrDefault]) =>
    nodeOf(path, parameterOrDefault),
  );
  const contents = async function* (): AsyncGenerator<EntryWithContent> {
    for (const node of nodes) {
      const bytes = Buffer.from(files[node.path]?.content ?? '');
      yield await Promise.resolve({ ...node, content: inPieces(bytes, pieces) });
    }
  };
  return await auditFiles(
    { nodes, contents: contents() },
    { scratch: scratch.path, now: NOW, shells },
  );
}

function nodeOf(path: string, { mode = 0o644, type = 'file', content = '', xattrs, link }: Given) {
  return {
    path,
    type,
    mode,
    uid: 0,
    gid: 0,
    mtime: 0,
    layer: 0,
    size: content.length,
    xattrs,
    link,
  } satisfies TreeNode;
}

async function* inPieces(bytes: Buffer, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size)
    yield await Promise.resolve(bytes.subarray(at, at + size));
}

/** Returns `path rule` of each finding. */
async function found(...args: Parameters<typeof audit>): Promise<readonly string[]> {
  const { findings } = await audit(...args);
  return findings.map(({ path, rule }) => `${path} ${rule}`);
}

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
  it.each([1, 7, 64, 4096])('include a private key in chunks of %i bytes', async (pieces) => {
    const run = promisify(execFile);
    const { stdout } = await run('openssl', ['genpkey', '-algorithm', 'ED25519']);
    const content = `${'x'.repeat(100)}\n${stdout}`;
    expect(await found({ 'etc/key.pem': { content } }, { pieces })).toEqual([
      '/etc/key.pem secret',
    ]);
  });

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

  it('include an expired certificate, unless it is an authority’s', async () => {
    const old = await certificate('end.example', '-1', 'CA:FALSE');
    const authority = await certificate('Old Authority', '-1', 'CA:TRUE');
    const good = await certificate('new.example', '40000', 'CA:FALSE');
    expect(
      await found({
        'etc/good.pem': { content: good },
        'etc/old.pem': { content: good + old },
        'etc/ssl/authorities.pem': { content: authority },
      }),
    ).toEqual(['/etc/old.pem certificate']);
    const { until } = await audit({ 'etc/good.pem': { content: good + authority } });
    expect(until?.getTime()).toBe(new X509Certificate(good).validToDate.getTime());
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

async function certificate(name: string, days: string, constraints: string): Promise<string> {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-audit-'));
  const key = join(dir.path, 'key.pem');
  const dates =
    days === '-1'
      ? ['-not_before', '20200101000000Z', '-not_after', '20210101000000Z']
      : ['-days', days];
  const { stdout } = await promisify(execFile)('openssl', [
    'req',
    '-x509',
    '-newkey',
    'ed25519',
    '-nodes',
    '-keyout',
    key,
    '-subj',
    `/CN=${name}`,
    '-addext',
    `basicConstraints=critical,${constraints}`,
    ...dates,
  ]);
  return stdout;
}
