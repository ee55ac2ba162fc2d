import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { LktError } from '@lkt/core';
import { expect, test } from 'vitest';
import { findBootFiles } from '../src/boot-files.ts';
import { findBootMedium } from '../src/boot-medium.ts';
import {
  type MachineOptions,
  type MachineResult,
  runMachine,
  type StartedMachine,
} from '../src/machine.ts';
import type { Timeline } from '../src/timeline.ts';
import { tinyImage } from './tiny-kernel.ts';

class Capture extends Writable {
  text = '';
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString();
    done();
  }
}

async function boot(
  cmdline: string,
  options: Partial<MachineOptions> = {},
): Promise<{ result: MachineResult; text: string }> {
  await using image = await tinyImage(cmdline);
  const console = new Capture();
  const result = await runMachine({
    files: await findBootFiles(image.prefix),
    accelerator: 'tcg',
    memory: 32,
    timeoutMs: 30_000,
    console,
    ...options,
  });
  return { result, text: console.text };
}

async function failureOf(promise: Promise<unknown>): Promise<LktError> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof LktError) return error;
  throw new Error('expected an LktError', { cause: error });
}

test('copies the console and reports a power-off', async () => {
  const { result, text } = await boot('hello world !');
  expect(result).toMatchObject({ end: 'powered-off', accelerator: 'tcg' });
  expect(text).toContain('hello world ');
});

test('a reset ends the machine instead of restarting it', async () => {
  const { result, text } = await boot('once #');
  expect(result.end).toBe('restarted');
  expect(text.match(/once/g)).toHaveLength(1);
});

test('ends as soon as every expected text was seen', async () => {
  const { result } = await boot('sshd is up, dhcp is up', { expect: ['dhcp is up', 'sshd is up'] });
  expect(result.end).toBe('expected');
});

test('records a boot as complete, even if its last message is the expected text', async () => {
  const seen: Timeline[] = [];
  const { result } = await boot('lkt: init 1.000\nlkt: boot complete 2.000\nmore', {
    expect: ['boot complete'],
    onTimeline: (timeline) => seen.push(timeline),
  });
  expect(result.end).toBe('expected');
  expect(seen).toEqual([expect.objectContaining({ end: 'complete' })]);
});

test('an end before the expected text is an error with the console', async () => {
  const error = await failureOf(boot('only this !', { expect: ['that'] }));
  expect(error.code).toBe('RUN_FAILED');
  expect(error.message).toBe('the machine ended before the console showed "that"');
  expect(error.detail).toContain('| only this');
});

test('a time-out names the missing text', async () => {
  const error = await failureOf(boot('waiting', { expect: ['done'], timeoutMs: 700 }));
  expect(error.message).toBe('the console did not show "done" within 0.7 s');
});

test('a time-out without expected texts reports that the machine did not end', async () => {
  const error = await failureOf(boot('waiting', { timeoutMs: 700 }));
  expect(error.message).toBe('the machine did not end within 0.7 s');
});

test('a kernel panic is an error, with or without a reset after it', async () => {
  for (const cmdline of [
    'Kernel panic - not syncing: no init',
    'Kernel panic - not syncing: x #',
  ]) {
    const error = await failureOf(boot(cmdline));
    expect(error.message).toBe('the kernel of the machine panicked');
    expect(error.detail).toContain('not syncing');
  }
});

test('an abort while QEMU starts ends it', async () => {
  const abort = new AbortController();
  const { signal } = abort;
  const listen = signal.addEventListener.bind(signal);
  // Abort at the last moment before the listener is added.
  signal.addEventListener = (...args: Parameters<typeof listen>): void => {
    abort.abort();
    listen(...args);
  };
  expect(await failureOf(boot('waiting', { signal }))).toMatchObject({ code: 'INTERRUPTED' });
});

test('an abort ends QEMU', async () => {
  const abort = new AbortController();
  const before = children();
  const running = failureOf(boot('waiting', { signal: abort.signal }));
  await sleep(500);
  abort.abort();
  expect((await running).code).toBe('INTERRUPTED');
  expect(children()).toEqual(before);
});

test('QEMU dies with a killed lkt process', async () => {
  await using image = await tinyImage('waiting');
  const script = `
    const { findBootFiles, runMachine } = await import(${JSON.stringify(import.meta.resolve('../src/index.ts'))});
    const files = await findBootFiles(${JSON.stringify(image.prefix)});
    await runMachine({ files, accelerator: 'tcg', memory: 32, console: process.stdout });`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script]);
  await new Promise((resolve) => child.stdout.once('data', resolve));
  const machine = children(child.pid);
  expect(machine).toHaveLength(1);
  child.kill('SIGKILL');
  await expect.poll(() => machine.filter((pid) => isRunning(pid))).toHaveLength(0);
});

test('rejects too little memory before the boot', async () => {
  const console = new Capture();
  const error = await failureOf(boot('never !', { memory: 64, minimumMemory: 200, console }));
  expect(error.message).toBe(
    'the image needs 200 MiB of memory to boot, but the machine has 64 MiB',
  );
  expect(error.fix).toBe('add --mem 200');
  expect(console.text).toBe('');
});

test('a missing QEMU names the package to install', async () => {
  const error = await failureOf(boot('never', { qemu: 'qemu-system-none' }));
  expect(error.code).toBe('TOOL_MISSING');
  expect(error.fix).toContain('apt-get install');
});

test('a failed QEMU shows its messages', async () => {
  const error = await failureOf(boot('never', { memory: 1 << 30 }));
  expect(error.code).toMatch(/RUN_FAILED|HOST_UNSUPPORTED/);
  await using image = await tinyImage('never');
  await writeFile(`${image.prefix}-kernel`, 'no kernel');
  const files = await findBootFiles(image.prefix);
  const bad = await failureOf(
    runMachine({ files, accelerator: 'tcg', memory: 32, console: new Capture() }),
  );
  expect(bad.message).toMatch(/^QEMU ended with status 1$/);
  expect(bad.detail).toContain('kernel');
});

test('names a published port in use before the boot', async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const hostPort = typeof address === 'object' && address !== null ? address.port : 0;
  const publish = [{ address: '127.0.0.1', hostPort, guestPort: 22, protocol: 'tcp' as const }];
  const error = await failureOf(boot('never !', { publish }));
  server.close();
  expect(error.message).toBe(`port 127.0.0.1:${hostPort} is in use on this machine`);
});

test('opens a published port on its address, and resolves port 0', async () => {
  const free = { address: '127.0.0.1', hostPort: 0, guestPort: 22, protocol: 'tcp' as const };
  const abort = new AbortController();
  const { promise: started, resolve: onStart } = Promise.withResolvers<StartedMachine>();
  const publish = [free, { ...free, protocol: 'udp' as const }];
  const running = failureOf(boot('up', { publish, signal: abort.signal, onStart }));
  const port = (await started).publish[0]?.hostPort ?? 0;
  const hex = port.toString(16).toUpperCase().padStart(4, '0');
  const listening = new RegExp(`\\w{8}:${hex} 00000000:0000 0A`, 'g');
  await expect
    .poll(() => readFileSync('/proc/net/tcp', 'utf8').match(listening))
    .toEqual([`0100007F:${hex} 00000000:0000 0A`]);
  abort.abort();
  await running;
});

test('creates missing disks and keeps existing ones', async () => {
  await using image = await tinyImage('disks !');
  const files = await findBootFiles(image.prefix);
  const disks = [
    { path: join(image.dir, 'a,b.img'), size: 1 << 20, format: 'raw' as const },
    { path: join(image.dir, 'c.qcow2'), size: 1 << 30, format: 'qcow2' as const },
  ];
  const run = (): Promise<MachineResult> =>
    runMachine({ files, accelerator: 'tcg', memory: 32, console: new Capture(), disks });
  expect((await run()).end).toBe('powered-off');
  expect((await stat(join(image.dir, 'a,b.img'))).size).toBe(1 << 20);
  expect(readFileSync(join(image.dir, 'c.qcow2')).subarray(0, 4).toString('latin1')).toBe(
    'QFI\u00fb',
  );
  await writeFile(join(image.dir, 'a,b.img'), Buffer.alloc(512, 7));
  expect((await run()).end).toBe('powered-off');
  expect(readFileSync(join(image.dir, 'a,b.img'))).toEqual(Buffer.alloc(512, 7));
  const error = await failureOf(
    runMachine({
      files,
      accelerator: 'tcg',
      console: new Capture(),
      disks: [{ path: join(image.dir, 'absent'), format: 'raw' }],
    }),
  );
  expect(error.code).toBe('NOT_FOUND');
});

test('an interactive console passes input to the guest, and Ctrl-A x ends it', async () => {
  for (const [ending, end] of [
    ['!', 'powered-off'],
    ['\u0001x', 'stopped'],
  ] as const) {
    await using image = await tinyImage('> ');
    const script = `
      const { findBootFiles, runMachine } = await import(${JSON.stringify(import.meta.resolve('../src/index.ts'))});
      const files = await findBootFiles(${JSON.stringify(image.prefix)});
      const options = { files, accelerator: 'tcg', memory: 32, interactive: true, console: process.stdout };
      console.log((await runMachine(options)).end);`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script]);
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString();
      if (output.endsWith('panic=-1')) child.stdin.write('typed');
      if (output.endsWith('typed')) child.stdin.write(ending);
    });
    await new Promise((resolve) => child.once('close', resolve));
    expect(output).toContain('typed');
    expect(output).toMatch(new RegExp(`${end}\n$`));
  }
});

test.each(['-erofs.img', '-squashfs.img', '.iso'])(
  'a kernel boots with %s as its root',
  async (end) => {
    await using image = await tinyImage('not this one !');
    const { prefix } = image;
    const kind = /[a-z]+/.exec(end)?.[0] ?? '';
    const root = `${prefix}${end}`;
    const missing = await failureOf(findBootFiles(root));
    expect(missing.message).toBe(`there is no image "${root}": ${root} is missing`);
    await writeFile(root, Buffer.alloc(4096));
    await writeFile(`${prefix}-${kind}-cmdline`, 'the root is a disk !');
    expect(await findBootMedium(root)).toBeUndefined();
    const files = await findBootFiles(root);
    expect(files).toEqual({ kernel: `${prefix}-kernel`, root, cmdline: 'the root is a disk !' });
    // With an initrd, PREFIX means the initrd.
    expect(await findBootFiles(prefix)).toHaveProperty('initrd');
    await rm(`${prefix}-initrd.img`);
    if (end !== '.iso') expect(await findBootFiles(prefix)).toEqual(files);
    const { result, text } = await boot('', { files });
    expect(result.end).toBe('powered-off');
    expect(text).toContain('the root is a disk');
  },
);

test('names a missing image', async () => {
  const error = await failureOf(findBootFiles('/nonexistent/sshd'));
  expect(error.message).toBe(
    'there is no image "/nonexistent/sshd": /nonexistent/sshd-kernel is missing',
  );
});

function children(pid: number = process.pid): readonly number[] {
  const list = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
  return list === '' ? [] : list.split(' ').map(Number);
}

function isRunning(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}
