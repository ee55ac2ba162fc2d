import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { lstatSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { guardedDirectory } from '@lkt/testing/guarded-directory';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { startEtcd } from '../../../fleet/test/lease/etcd.ts';
import { writeTinyImage } from '../../../machine/test/tiny-kernel.ts';
import { main } from '../program.ts';

// Real processes of QEMU with a kernel of 100 bytes, and real controllers that are killed.
const guarded = guardedDirectory('lkt-apply-');
const { path: dir } = guarded;
const file = join(dir, 'fleet.yml');
const env = { PATH: process.env['PATH'] ?? '', HOME: dir, LKT_CACHE: join(dir, 'store') };
const images = new Map<string, string>();
const nodesDir = join(dir, 'nodes/nodes');
const run = promisify(execFile);
const controllers: ChildProcess[] = [];

interface Event {
  readonly kind: string;
  readonly node?: string;
  readonly reason?: string;
}

async function lkt(...args: readonly string[]): Promise<{ stdout: string; stderr: string }> {
  return run(process.execPath, [main, ...args], { cwd: dir, env });
}

function want(image: string, expire: string = '30d'): void {
  writeFileSync(
    file,
    `version: "1"
name: demo
providers:
  here: { qemu: { accelerator: tcg, state: nodes } }
groups:
  web:
    provider: here
    image: ${images.get(image)}
    size: 3
    template: { memory: 4M }
    health: { console: healthy }
    expire: { after: ${expire}, jitter: 50% }
    grace: 0s
`,
  );
}

async function apply(): Promise<readonly Event[]> {
  const { stderr } = await lkt('fleet', 'apply', '--timeout', '150');
  return eventsOf(`${stderr}\n`);
}

/** Returns the events of whole lines. */
function eventsOf(text: string): readonly Event[] {
  const lines = text.split('\n').slice(0, -1);
  return lines.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line) as Event);
}

/** Starts a controller, and returns it once one of its events is as wanted. */
async function startUntil(
  command: string,
  isWanted: (events: readonly Event[]) => boolean,
  flags: readonly string[] = [],
): Promise<ChildProcess> {
  const child = spawn(process.execPath, [main, 'fleet', command, ...flags], { cwd: dir, env });
  controllers.push(child);
  let text = '';
  await new Promise<void>((resolve, reject) => {
    const read = (chunk: Buffer): void => {
      text += chunk.toString();
      if (isWanted(eventsOf(text))) resolve();
    };
    child.stdout.on('data', read);
    child.stderr.on('data', read);
    child.once('close', () => reject(new Error(`the controller ended: ${text}`)));
  });
  return child;
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  const closed = new Promise((resolve) => child.once('close', resolve));
  child.kill(signal);
  await closed;
}

/** Stops a controller where it does not hold the lock of its nodes, which a standby needs. */
async function stopBetweenChanges(child: ChildProcess): Promise<void> {
  const pid = child.pid ?? 0;
  for (;;) {
    child.kill('SIGSTOP');
    while (!/\) T/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))) await sleep(10);
    if (lstatSync(join(dir, 'nodes/lock'), { throwIfNoEntry: false }) === undefined) return;
    child.kill('SIGCONT');
    await sleep(10);
  }
}

async function status(): Promise<{ isConverged: boolean; images: readonly string[] }> {
  const { stdout } = await lkt('fleet', 'status', '--json');
  const report = JSON.parse(stdout) as {
    readonly isConverged: boolean;
    readonly groups: readonly { readonly nodes: readonly { readonly image: string }[] }[];
  };
  const nodes = report.groups[0]?.nodes ?? [];
  return { isConverged: report.isConverged, images: nodes.map(({ image }) => image) };
}

/** Reports whether three nodes were destroyed for their age. */
function haveThreeExpired(events: readonly Event[]): boolean {
  return (
    new Set(events.flatMap(({ node, reason }) => (reason === 'expired' ? [node] : []))).size >= 3
  );
}

/** Returns a condition: an event of a kind came. */
function has(wanted: string): (events: readonly Event[]) => boolean {
  return (events) => events.some(({ kind }) => kind === wanted);
}

/** Returns three times the digest of an image. */
function three(name: string): readonly string[] {
  const digest = images.get(name)?.split('@')[1] ?? '';
  return [digest, digest, digest];
}

beforeAll(async () => {
  for (const name of ['one', 'two']) {
    await writeTinyImage(join(dir, name), `healthy ${name}`);
    const { stdout } = await lkt('fleet', 'image', name, `test/app:${name}`);
    images.set(name, stdout.trim());
  }
  want('one');
  await apply();
});

// A controller that a failed test left stopped would hold its locks in the next attempt.
afterEach(() => {
  for (const child of controllers.splice(0)) child.kill('SIGKILL');
});

afterAll(async () => guarded[Symbol.asyncDispose]());

test('continues a roll whose controller was killed at any of its events', async () => {
  for (const [image, kind] of [
    ['two', 'create'],
    ['one', 'ready'],
    ['two', 'destroy'],
  ] as const) {
    want(image);
    const child = await startUntil('apply', (events) => events.some((one) => one.kind === kind));
    await end(child, 'SIGKILL');
    await apply();
    expect(await status()).toEqual({ isConverged: true, images: three(image) });
  }
});

test('replaces a node whose process was killed', async () => {
  want('two');
  const [name = ''] = readdirSync(nodesDir);
  process.kill(Number(readFileSync(join(nodesDir, name, 'pid'), 'utf8')), 'SIGKILL');
  const events = await apply();
  expect(events).toContainEqual(
    expect.objectContaining({ kind: 'destroy', node: name, reason: 'unhealthy' }),
  );
  expect(await status()).toEqual({ isConverged: true, images: three('two') });
});

test('a standby takes over from a controller that was stopped, which then changes nothing', async () => {
  await using etcd = await startEtcd();
  const flags = ['--lease', `etcd://127.0.0.1:${etcd.port}?ttl=15`];
  const target = (await status()).images[0] === three('one')[0] ? 'two' : 'one';
  want(target);
  const first = await startUntil('watch', has('create'), flags);
  await expect(lkt('fleet', 'apply', ...flags)).rejects.toMatchObject({
    stderr: expect.stringMatching(/another controller manages this fleet\n.*process \d+, since 20/),
  });
  await stopBetweenChanges(first);
  const second = await startUntil('watch', has('converged'), ['--standby', ...flags]);
  let said = '';
  first.stderr?.on('data', (chunk: Buffer) => (said += chunk.toString()));
  const ended = new Promise((resolve) => first.once('close', resolve));
  first.kill('SIGCONT');
  expect(await ended, said).toBe(1);
  expect(said).toContain('error: the lease of this fleet is lost');
  await end(second, 'SIGINT');
  expect(await status()).toEqual({ isConverged: true, images: three(target) });
});

test('replaces nodes that have expired, and lets no second controller in meanwhile', async () => {
  want('two', '40s');
  const watch = startUntil('watch', haveThreeExpired);
  const lock = join(dir, '.local/state/lkt/fleet/leases/demo');
  while (lstatSync(lock, { throwIfNoEntry: false }) === undefined) await sleep(100);
  await expect(lkt('fleet', 'apply')).rejects.toMatchObject({
    stderr: expect.stringContaining('error: another controller manages this fleet'),
  });
  await end(await watch, 'SIGINT');
  want('two');
  await apply();
  expect(await status()).toEqual({ isConverged: true, images: three('two') });
});
