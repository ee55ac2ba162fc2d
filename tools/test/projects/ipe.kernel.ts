import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { lkt, root } from '../system/helpers/lkt.ts';
import { bootSecurely, type FirmwareKey, firmwareKey } from '../system/helpers/secure-boot.ts';

const dir = mkdtempSync(join(tmpdir(), 'lkt-ipe-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** Executes programs of the root and of a tmpfs that permits execution. */
const SCRIPT = `
exec 2>&1
grep ' /tmp ' /proc/self/mounts
cp /usr/bin/busybox /tmp/busybox
busybox echo 'executed of root'
/tmp/busybox echo 'executed of tmpfs' || echo "status $?"
loader=$(echo /usr/lib64/ld-linux-*)
$loader /usr/bin/busybox echo 'loaded of root'
$loader /tmp/busybox echo 'loaded of tmpfs' || echo "status $?"
printf '#!/usr/bin/sh\\necho started script\\n' > /tmp/script
chmod 755 /tmp/script
/tmp/script || echo "status $?"
sh /tmp/script
echo done
exec sleep 100000
`;

/** Executes a program of a writable root, and a copy of it there. */
const WRITE = `
exec 2>&1
busybox echo 'executed of root'
cp /usr/bin/busybox /usr/bin/copy && echo copied
/usr/bin/copy echo 'executed of copy' || echo "status $?"
echo wrote
exec sleep 100000
`;

const container = (name: string, script: string): string => `
  - name: ${name}
    image: "@pkg:${join(root, 'pkg/login')}"
    command: [/usr/bin/sh, -c, ${JSON.stringify(script)}]
    env: ['PATH=/usr/bin:/usr/sbin']
    tmpfs: ['/tmp:mode=1777,size=10m']`;

describe('ipe', () => {
  let firmware: FirmwareKey;
  const rootDisk = join(dir, 'root-erofs.img');

  beforeAll(async () => {
    firmware = firmwareKey(dir);
    const more = join(dir, 'more.yml');
    writeFileSync(
      more,
      `services:${container('reads', SCRIPT)}\n    readonly: true${container('writes', WRITE)}\n    readonly: false\n`,
    );
    const config = join(root, 'projects/ipe/root.yml');
    const built = await lkt([
      'build',
      '--dir',
      dir,
      '--name',
      'root',
      '--format',
      'kernel+erofs',
      config,
      more,
    ]);
    expect(built.status, built.stderr).toBe(0);
    const [, hash = ''] =
      / sha256 ([0-9a-f]{64}) /.exec(readFileSync(join(dir, 'root-erofs-cmdline'), 'utf8')) ?? [];
    writeFileSync(join(dir, 'root-hash'), hash);
  }, 3_600_000);

  /** Signs the root with a key, boots it, and returns the console. */
  async function bootSignedBy(
    { key, certificate }: FirmwareKey,
    name: string,
    ...texts: readonly string[]
  ): Promise<string> {
    const signature = join(dir, `${name}-signature`);
    const sign = ['smime', '-sign', '-binary', '-noattr', '-nocerts', '-outform', 'der'];
    const files = ['-in', join(dir, 'root-hash'), '-inkey', key, '-signer', certificate];
    execFileSync('openssl', [...sign, ...files, '-out', signature]);
    const more = join(dir, 'boot-more.yml');
    writeFileSync(
      more,
      `kernel: { cmdline: console=ttyS0 loglevel=6 panic=1 lkt.logs.console=all }\n`,
    );
    const output = ['--dir', dir, '--name', name, '--format', 'raw-efi'];
    const keys = ['--uki-key', firmware.key, '--uki-cert', firmware.certificate];
    const disk = [
      '--set',
      `ROOT=${join(dir, 'root-erofs-cmdline')}`,
      '--set',
      `SIGNATURE=${signature}`,
    ];
    const configs = [join(root, 'projects/ipe/boot.yml'), more];
    const built = await lkt(['build', output, keys, disk, configs].flat());
    expect(built.status, built.stderr).toBe(0);
    // The firmware finds no EFI program on the first disk.
    const disks = [rootDisk, join(dir, `${name}-efi.img`)];
    return bootSecurely(disks, join(dir, `${name}.log`), texts);
  }

  test('executes the files of the signed root alone, and audits others', async () => {
    const console = await bootSignedBy(firmware, 'signed', 'reads: done', 'writes: wrote');
    expect(console).toContain('UEFI Secure Boot is enabled.');
    const said = [...console.matchAll(/^reads: (.*?)\r?$/gm)].map(([, text]) => text ?? '');
    expect(said[0]).toMatch(/ \/tmp tmpfs rw,/);
    expect(said[0]).not.toContain('noexec');
    expect(said).toContain('executed of root');
    expect(said).toContain('loaded of root');
    expect(said).not.toContain('executed of tmpfs');
    expect(said).not.toContain('loaded of tmpfs');
    expect(said.join('\n')).toMatch(/\/tmp\/busybox: Permission denied\nstatus 126/);
    expect(said.join('\n')).toMatch(/\/tmp\/script: Permission denied\nstatus 126/);
    const audited = [
      ...console.matchAll(/type=1420 .*ipe_op=EXECUTE ipe_hook=(\w+) enforcing=1 .* path="(\S+)"/g),
    ].map(([, hook, path]) => `${hook} ${path}`);
    expect(audited).toEqual(
      expect.arrayContaining([
        'BPRM_CHECK /tmp/busybox',
        'MMAP /tmp/busybox',
        'BPRM_CHECK /tmp/script',
      ]),
    );
    // An interpreter reads a script: this is no execution.
    expect(said).toContain('started script');
    // Files of the image stay those of the signed root under an overlay; new ones are not.
    const wrote = [...console.matchAll(/^writes: (.*?)\r?$/gm)].map(([, text]) => text ?? '');
    expect(wrote).toEqual(expect.arrayContaining(['executed of root', 'copied', 'status 126']));
    expect(wrote).not.toContain('executed of copy');
    expect(console).toMatch(/ipe_hook=BPRM_CHECK enforcing=1 .* path="\/usr\/bin\/copy"/);
  }, 3_600_000);

  test('mounts no root that another key has signed', async () => {
    const other = { key: join(dir, 'other.key'), certificate: join(dir, 'other.crt') };
    const request = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=other'];
    execFileSync('openssl', [...request, '-keyout', other.key, '-out', other.certificate], {
      stdio: 'ignore',
    });
    const console = await bootSignedBy(other, 'other', 'Kernel panic');
    expect(console).toContain('verity-init: no key of the firmware has signed the root hash');
    expect(console).not.toContain('lkt: init');
  }, 3_600_000);
});
