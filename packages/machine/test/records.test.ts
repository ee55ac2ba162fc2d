import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  ConsoleLog,
  followConsoleLog,
  HALF_BYTES,
  readConsoleLog,
} from '../src/records/console-log.ts';
import { ownProcessId, stateOf } from '../src/records/process-id.ts';
import { MachineRecords } from '../src/records/records.ts';
import { announcedHostKey, knownHost } from '../src/records/ssh-server.ts';

let top: string;
beforeEach(() => {
  top = mkdtempSync(join(tmpdir(), 'lkt-records-'));
});
afterEach(() => rmSync(top, { recursive: true, force: true }));

describe('MachineRecords', () => {
  const ports = [
    { address: '127.0.0.1', hostPort: 40_000, guestPort: 22, protocol: 'tcp' as const },
  ];

  test('lists a machine until its record is disposed of', async () => {
    const records = new MachineRecords(join(top, 'machines'));
    expect(await records.list()).toEqual([]);
    const open = await records.create({ name: 'web', ports, services: ['sshd'] });
    expect(await records.list()).toEqual([open.record]);
    expect(open.record).toMatchObject({ name: 'web', ports, services: ['sshd'] });
    expect(statSync(open.record.dir).mode & 0o777).toBe(0o700);
    await open[Symbol.asyncDispose]();
    expect(await records.list()).toEqual([]);
    expect(existsSync(open.record.dir)).toBe(false);
  });

  test('numbers machines of the same name', async () => {
    const records = new MachineRecords(top);
    await using one = await records.create({ name: 'web', ports });
    await using two = await records.create({ name: 'web', ports });
    expect([one, two].map(({ record }) => record.name)).toEqual(['web', 'web-2']);
  });

  test('keeps the files of a machine with any name in its directory', async () => {
    const records = new MachineRecords(top);
    await using open = await records.create({ name: '../a b', ports });
    expect(open.record.name).toBe('../a b');
    expect(open.record.dir).toMatch(/\/\.\.-a-b-\w{6}$/);
    expect((await records.list()).map(({ name }) => name)).toEqual(['../a b']);
  });

  const { pid } = spawnSync('true');
  test.each([
    ['an ended process', { pid }, false],
    ['another process with its pid', { start: '1' }, false],
    ['an earlier boot', { boot: 'earlier' }, false],
    ['another host', { host: 'other', pid }, true],
    ['another PID namespace', { namespace: 'pid:[1]', pid }, true],
  ])('does not list the machine of %s', async (_, change, isKept) => {
    const records = new MachineRecords(top);
    const open = await records.create({ name: 'web', ports });
    const file = join(open.record.dir, 'machine.json');
    const record = JSON.parse(readFileSync(file, 'utf8')) as { process: object };
    writeFileSync(file, JSON.stringify({ ...record, process: { ...record.process, ...change } }));
    expect(await records.list()).toEqual([]);
    expect(existsSync(open.record.dir)).toBe(isKept);
  });

  test('removes a malformed record, but not one that may be about to be written', async () => {
    const records = new MachineRecords(top);
    mkdirSync(join(top, 'new'));
    mkdirSync(join(top, 'old'));
    writeFileSync(join(top, 'old/machine.json'), '{"name": 1}');
    utimesSync(join(top, 'old'), 1, 1);
    expect(await records.list()).toEqual([]);
    expect([existsSync(join(top, 'new')), existsSync(join(top, 'old'))]).toEqual([true, false]);
  });

  test('refuses a directory that others may write', async () => {
    chmodSync(top, 0o777);
    await expect(new MachineRecords(top).create({ name: 'web', ports })).rejects.toMatchObject({
      code: 'IO_FAILED',
    });
  });

  test('reports a directory that cannot be made', async () => {
    writeFileSync(join(top, 'file'), '');
    const records = new MachineRecords(join(top, 'file/machines'));
    expect(await records.list()).toEqual([]);
    await expect(records.create({ name: 'web', ports })).rejects.toMatchObject({
      code: 'IO_FAILED',
    });
  });

  test('reports its own process as running', () => {
    expect(stateOf(ownProcessId())).toBe('running');
  });
});

describe('ConsoleLog', () => {
  test('keeps the last two halves', async () => {
    const log = new ConsoleLog(top);
    for (const byte of [1, 2, 3]) log.write(Buffer.alloc(HALF_BYTES, byte));
    log.close();
    log.write(Buffer.from('after its end'));
    const kept = await readConsoleLog(top);
    expect(kept.length).toBe(2 * HALF_BYTES);
    expect([kept[0], kept.at(-1)]).toEqual([2, 3]);
  });

  test('is followed over its rotation, until the machine ends', async () => {
    const log = new ConsoleLog(top);
    const [first, second] = [Buffer.alloc(HALF_BYTES, 'a'), Buffer.from('bcd')];
    log.write(first);
    let runs = true;
    let length = 0;
    const chunks: Buffer[] = [];
    const { signal } = new AbortController();
    for await (const chunk of followConsoleLog(top, () => runs, signal)) {
      chunks.push(chunk);
      length += chunk.length;
      if (length === HALF_BYTES) log.write(second);
      runs = length < HALF_BYTES + second.length;
    }
    expect(Buffer.concat(chunks).equals(Buffer.concat([first, second]))).toBe(true);
  });

  test('is followed to its end when the record is removed', async () => {
    const log = new ConsoleLog(top);
    log.write(Buffer.from('one'));
    let text = '';
    const { signal } = new AbortController();
    for await (const chunk of followConsoleLog(top, () => true, signal)) {
      text += chunk.toString();
      if (text === 'one') log.write(Buffer.from(' two'));
      rmSync(join(top, 'console.log'), { force: true });
    }
    expect(text).toBe('one two');
  });
});

const fingerprint = (letter: string): string => `SHA256:${letter.repeat(43)}`;

describe('host keys', () => {
  test('are announced by logd alone, which names the log first', () => {
    const line = `sshd: sshd: host key ${fingerprint('a')}\r\n`;
    expect(announcedHostKey(`lkt: service sshd 4.1\r\n${line}`)).toBe(fingerprint('a'));
    expect(announcedHostKey(`sshd: host key ${fingerprint('a')}\n`)).toBeUndefined();
    expect(announcedHostKey(`web: says sshd: host key ${fingerprint('a')}\n`)).toBeUndefined();
    expect(announcedHostKey(line + line)).toBe(fingerprint('a'));
    expect(
      announcedHostKey(`${line}x: sshd: host key ${fingerprint('b')}\n`),
      'which one is unknown',
    ).toBeUndefined();
  });

  test('become a line of known_hosts if the fingerprint is theirs', () => {
    const made = join(top, 'key');
    spawnSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', made]);
    const [type, text] = readFileSync(`${made}.pub`, 'utf8').trim().split(' ');
    const { stdout } = spawnSync('ssh-keygen', ['-l', '-f', made], { encoding: 'utf8' });
    const own = stdout.split(' ')[1] ?? '';
    const scanned = `# 127.0.0.1:2222 SSH-2.0-lkt\n[127.0.0.1]:2222 ${type} ${text}\n`;
    expect(knownHost(scanned, own, 'alias')).toBe(`alias ${type} ${text}\n`);
    expect(knownHost(scanned, fingerprint('a'), 'alias')).toBeUndefined();
    expect(knownHost('', own, 'alias')).toBeUndefined();
  });
});
