import { createCipheriv, createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, expect, test } from 'vitest';
import { tool } from '../volumes/disk.ts';
import { banner, boot, makeHome, ssh } from './helpers/guest.ts';
import { freePort, lkt, root } from './helpers/lkt.ts';

const dir = mkdtempSync(join(tmpdir(), 'lkt-disks-'));
const home = makeHome(join(dir, 'home'));
const key = 'abcdefghijklmnopqrstuvwxyz123456';

afterAll(() => rmSync(dir, { recursive: true, force: true }));

function image(name: string): string {
  return `"@pkg:${join(root, name)}"`;
}

/** Returns additions to examples/metadata.yml: every disk package, on three disks. */
function config(): string {
  const steps = [
    ['extend', '/usr/bin/extend, /dev/vdb'],
    ['mount', '/usr/bin/mountie, -label, data, /var/lib/data'],
    ['fstrim', '/usr/bin/trim-after-delete, "-1", --, /sbin/fstrim, /var/lib/data'],
    ['swap', '/swap.sh, --path, /var/lib/data/swap, --size, 8M'],
    [
      'swap',
      '/swap.sh, --path, /var/lib/data/secret, --size, 8M, --encrypt, --condition, "part:/var/lib/data:true"',
    ],
    ['losetup', '/usr/bin/loopy, --create, --size, "32", --dev, /dev/loop9, /var/lib/data/disk'],
    ['dm-crypt', '/usr/bin/crypto, --luks, made, /dev/loop9'],
    ['mount', '/usr/bin/mountie, /dev/mapper/made, /var/lib/made'],
    ['dm-crypt', '/usr/bin/crypto, --key-file, key, kept, /dev/vdc'],
    ['mount', '/usr/bin/mountie, /dev/mapper/kept, /var/lib/kept'],
  ];
  const look =
    'cat /proc/swaps; df /var/lib/data /var/lib/made /var/lib/kept; cat /var/lib/kept/file; head -c 6 /var/lib/data/disk | hexdump -C';
  return [
    'onboot:',
    ...steps.map(
      ([name = '', command]) =>
        `  - {name: ${name}, image: ${image(`pkg/${name}`)}, command: [${command}]}`,
    ),
    `  - {name: look, image: ${image('pkg/login')}, command: [sh, -c, "${look}"], binds: ["/var:/var:rbind,ro"]}`,
    'services:',
    `  - {name: ender, image: ${image('pkg/login')}, command: [sh, -c, "nc -l -p 9999; kill -USR2 1"], net: host, pid: host}`,
    `files: [{path: etc/dm-crypt/key, contents: ${key}, mode: "0400"}]`,
    '',
  ].join('\n');
}

/** Makes a disk that has grown beyond its only partition, of 16 MiB. */
function smallPartition(): string {
  const path = join(dir, 'small.img');
  writeFileSync(path, '');
  truncateSync(path, 17 << 20);
  tool('sgdisk', '--new', '1:2048:34782', '--typecode', '1:8300', path);
  tool('mke2fs', '-q', '-t', 'ext4', '-L', 'data', '-E', `offset=${1 << 20}`, path, '15m');
  truncateSync(path, 96 << 20);
  return path;
}

/**
 * Makes a disk that cryptsetup encrypted as LinuxKit's dm-crypt does, with a file in its file
 * system.
 */
function encrypted(): string {
  const [content, path] = [join(dir, 'content'), join(dir, 'encrypted.img')];
  mkdirSync(content);
  writeFileSync(join(content, 'file'), 'from before\n');
  writeFileSync(path, '');
  truncateSync(path, 8 << 20);
  tool('mke2fs', '-q', '-t', 'ext4', '-d', content, path);
  const plain = readFileSync(path);
  const hash = createHash('sha256').update(key).digest();
  for (let at = 0; at < plain.length; at += 512) {
    const number = Buffer.alloc(16);
    number.writeUInt32LE(at / 512);
    const iv = createCipheriv('aes-256-ecb', hash, null).setAutoPadding(false).update(number);
    const cipher = createCipheriv('aes-256-cbc', key, iv).setAutoPadding(false);
    plain.set(cipher.update(plain.subarray(at, at + 512)), at);
  }
  writeFileSync(path, plain);
  return path;
}

test(
  'metadata.yml takes its name and key from a disk, and has swap and encrypted volumes',
  { timeout: 1_800_000 },
  async () => {
    const disks = join(dir, 'disks.yml');
    writeFileSync(disks, config());
    const example = join(root, 'examples/metadata.yml');
    const done = await lkt(['build', '--dir', dir, '--name', 'disks', example, disks]);
    expect(done.status, done.stderr).toBe(0);
    const content = readFileSync(join(home, '.ssh/id_ed25519.pub'), 'utf8');
    const data = {
      hostname: { content: 'web' },
      ssh: { entries: { authorized_keys: { perm: '0600', content } } },
    };
    const disk = join(dir, 'data.iso');
    expect(await lkt(['metadata', 'create', disk, JSON.stringify(data)])).toMatchObject({
      status: 0,
    });
    const partitioned = smallPartition();
    const asked = await freePort();
    const more = [partitioned, encrypted()].flatMap((path) => [
      '--disk',
      `file=${path},format=raw`,
    ]);
    const publish = ['--publish', `127.0.0.1:${asked}:9999`];
    await using guest = await boot(join(dir, 'disks'), ['--disk', disk, ...more, ...publish]);
    await guest.until('lkt: host name web');
    await guest.until('lkt: boot ');
    for (let tries = 0; tries < 60 && (await banner(guest.port)) === undefined; tries += 1)
      await sleep(500);
    const log = (name: string): string => {
      const said = ssh(guest.port, home, `cat /var/log/onboot.*-${name}.log`);
      expect(said, guest.console().slice(-2000)).toMatchObject({ status: 0 });
      return said.stdout.replaceAll(/^\S+ /gm, '');
    };
    // The hostname is from the disk: no cloud was asked.
    expect(ssh(guest.port, home, 'hostname').stdout).toBe('web\n');
    expect(log('metadata')).toMatch(/^metadata: CDROM \/dev\/vda\n$/);
    expect(log('extend')).toMatch(
      /^extend: \/dev\/vdb1 has 98566144 bytes instead of \d+\nextend: \/dev\/vdb1 has ext4 with 98566144 /,
    );
    expect(log('fstrim')).toMatch(/^fstrim: \/var\/lib\/data: [1-9]\d{6,} bytes trimmed\n$/);
    expect(log('swap')).toBe(
      'swap: /var/lib/data/swap is in use\nswap: /var/lib/data/secret is in use, encrypted\n',
    );
    const seen = log('look');
    // The first page of a swap area and the first MiB of an encrypted one hold no data. Paths are
    // those of the file systems: the container that looks has other mounts of them.
    expect(seen).toMatch(/^\/swap +file\s+81\d\d\s/m);
    expect(seen).toMatch(/^\/dm-0 +partition\s+7164\s/m);
    expect(seen).toMatch(/^\/dev\/mapper\/made .* \/var\/lib\/made$/m);
    expect(seen).toMatch(/^from before$/m);
    expect(seen).toContain('4c 55 4b 53 ba be');
    expect(guest.console()).toContain('lkt: boot complete');
    const stranger = makeHome(join(dir, 'other'));
    expect(ssh(guest.port, stranger, 'true').status).toBe(255);
    // The disk holds swap and encrypted volumes, and was released before it was unmounted.
    const connection = connect(asked, '127.0.0.1', () => connection.end());
    await guest.until('lkt: bye');
    expect(guest.console()).not.toMatch(/lkt: (unmount|swap|mapped|\/dev)/);
    const partition = join(dir, 'partition.img');
    tool(
      'dd',
      `if=${partitioned}`,
      `of=${partition}`,
      'bs=1M',
      'skip=1',
      'count=94',
      'status=none',
    );
    const superblock = tool('dumpe2fs', '-h', partition);
    expect(superblock).toMatch(/^Filesystem state: +clean$/m);
    expect(superblock).not.toContain('needs_recovery');
  },
);
