import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { guardedDirectory } from '@lkt/testing/guarded-directory';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Done, lkt, root, startLkt } from './helpers/lkt.ts';
import { type VirtualNetwork, virtualNetwork } from './helpers/virtual-network.ts';

// The example, in a network namespace and with less memory.
const guarded = guardedDirectory('lkt-fleet-');
const { path: dir } = guarded;
const file = join(dir, 'fleet.yml');
// The store has its key in the user's state directory: builds come before commands with this one.
const env = { XDG_STATE_HOME: join(dir, 'state') };
const example = (name: string): string => readFileSync(join(root, 'examples/fleet', name), 'utf8');
const images: Record<string, string> = {};
const LIMIT_MS = 1_800_000;

interface Event {
  readonly kind: string;
  readonly node?: string;
  readonly reason?: string;
  readonly console?: string;
}

interface Node {
  readonly name: string;
  readonly state: string;
  readonly image: string;
}

const fleet = async (...args: readonly string[]): Promise<Done> =>
  lkt(['fleet', ...args, '--file', file], { env, under: network?.under ?? [] });

/** Writes the file of the fleet with an image and other changes. */
function want(image: string, change: (text: string) => string = (text) => text): void {
  writeFileSync(file, change(wanted).replace(/image: .*/, `image: ${images[image]}`));
}
let wanted = '';
/** Requests that ended with a node that was killed. */
let lost = 0;

async function apply(): Promise<readonly Event[]> {
  const done = await fleet('apply', '--timeout', String(LIMIT_MS / 1000));
  expect(done.status, done.stderr).toBe(0);
  return eventsOf(done.stderr);
}

function eventsOf(text: string): readonly Event[] {
  const lines = text.split('\n').filter((line) => line.startsWith('{'));
  return lines.map((line) => JSON.parse(line) as Event);
}

async function nodes(): Promise<readonly Node[]> {
  const { stdout } = await fleet('status', '--json');
  return (JSON.parse(stdout) as { groups: { nodes: Node[] }[] }).groups[0]?.nodes ?? [];
}

/** Starts a controller, waits for an event, and kills the controller at once. */
async function killControllerAt(isIt: (event: Event) => boolean): Promise<void> {
  const child = startLkt(['fleet', 'apply', '--file', file], {
    env,
    under: network?.under ?? [],
  });
  let text = '';
  await new Promise<void>((resolve, reject) => {
    child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      if (eventsOf(text.slice(0, text.lastIndexOf('\n') + 1)).some(isIt)) resolve();
    });
    child.once('close', () => reject(new Error(`the controller ended: ${text}`)));
  });
  child.removeAllListeners('close');
  child.kill('SIGKILL');
}

/** Counts up at the balanced address without end, one request after the other. */
class Load {
  readonly failed: string[] = [];
  served = 0;
  /** Commands sent so far. */
  asked = 0;
  #isOver = false;
  readonly #ended: Promise<void>;

  constructor() {
    this.#ended = this.#run();
  }

  async end(): Promise<void> {
    this.#isOver = true;
    await this.#ended;
  }

  async #run(): Promise<void> {
    while (!this.#isOver) {
      this.asked += 1;
      const answer = await ask('front', 'INCR requests');
      if (/^:\d+$/.test(answer)) this.served += 1;
      else this.failed.push(`${new Date().toISOString()} ${answer}`);
      await sleep(100);
    }
  }
}

/**
 * Longer than haproxy tries to connect. It may keep a connection for ever whose node it has marked
 * as down before it sent the command.
 */
const ANSWER_MS = 20_000;

/** Sends a command on a new connection to a socket of haproxy, and returns a line of the answer. */
async function ask(socket: string, command: string): Promise<string> {
  return new Promise((resolve) => {
    let answer = '';
    const connection = connect(join(dir, socket));
    connection.setTimeout(ANSWER_MS, () => connection.destroy());
    connection.setEncoding('latin1').on('data', (text: string) => {
      answer += text;
      if (answer.includes('\r\n')) connection.end();
    });
    connection.once('error', ({ message }) => resolve(message));
    connection.once('close', () => {
      const end = answer.indexOf('\r\n');
      resolve(end < 0 ? 'no answer' : answer.slice(0, end));
    });
    connection.write(`${command}\r\n`);
  });
}

const PARTITION_START = 2 ** 20;

/** Returns owner and mode of a directory on the disk of a node, which runs. */
function ownerOf(slot: number, path: string): string {
  // A copy of its partition, in which what is only in the journal is written to its place.
  const image = join(dir, `disk-${slot}.img`);
  const disk = readFileSync(join(dir, `nodes/volumes/example.redis.${slot}.data.img`));
  writeFileSync(image, disk.subarray(PARTITION_START));
  spawnSync('e2fsck', ['-fy', image]);
  const { stdout } = spawnSync('debugfs', ['-R', `stat ${path}`, image], { encoding: 'utf8' });
  const [, mode = ''] = /Mode: +(\d+)/.exec(stdout) ?? [];
  const [, user = '', group = ''] = /User: +(\d+) +Group: +(\d+)/.exec(stdout) ?? [];
  return `${user}:${group} ${mode}`;
}

/** The configuration of the example, with sockets that this process reaches: also of each node. */
function haproxyConfig(): string {
  const direct = SLOTS.map(
    (slot) =>
      `listen redis-${slot}\n  bind unix@${dir}/redis-${slot}\n  server node 10.77.0.1${slot}:6379\n`,
  );
  return `${example('haproxy.cfg')
    .replace('haproxy.sock', join(dir, 'haproxy.sock'))
    .replace('bind 127.0.0.1:6380', `bind unix@${dir}/front`)}
${direct.join('')}`;
}

const SLOTS = [0, 1, 2];
let network: VirtualNetwork | undefined;
let haproxy: ChildProcess | undefined;
let load: Load | undefined;

beforeAll(async () => {
  network = await virtualNetwork(dir);
  const config = join(root, 'examples/fleet/redis.yml');
  const more = join(dir, 'more.yml');
  writeFileSync(more, 'files:\n  - path: etc/release\n    contents: two\n');
  for (const [name, configs] of [
    ['one', [config]],
    ['two', [config, more]],
  ] as const) {
    const done = await lkt(['build', '--dir', dir, '--name', name, ...configs]);
    expect(done.status, done.stderr).toBe(0);
  }
  for (const end of ['kernel', 'initrd.img'])
    copyFileSync(join(dir, `one-${end}`), join(dir, `bad-${end}`));
  writeFileSync(join(dir, 'bad-cmdline'), 'console=ttyS0 panic=1 rdinit=/no/such/init');
  for (const name of ['one', 'two', 'bad']) {
    const made = await lkt(['fleet', 'image', join(dir, name), `fleet/redis:${name}`]);
    expect(made.status, made.stderr).toBe(0);
    images[name] = made.stdout.trim();
  }
  wanted = example('fleet.yml')
    .replace('memory: 256M', 'memory: 192M')
    .replaceAll('[node, ', `[${process.execPath}, `)
    .replaceAll('haproxy.sock', join(dir, 'haproxy.sock'));
  writeFileSync(join(dir, 'haproxy.cfg'), haproxyConfig());
  want('one');
  await apply();
  const [program, ...args] = [...network.under, 'haproxy', '-db', '-f'];
  haproxy = spawn(program, [...args, join(dir, 'haproxy.cfg')], { stdio: 'ignore' });
  while ((await ask('front', 'PING')) !== '+PONG') await sleep(200);
  load = new Load();
}, LIMIT_MS);

afterAll(async () => {
  await load?.end();
  haproxy?.kill();
  want('one', (text) => text.replace('size: 3', 'size: 0'));
  await apply();
  await network?.[Symbol.asyncDispose]();
  await guarded[Symbol.asyncDispose]();
}, LIMIT_MS);

// One after the other, on the same nodes: a boot takes most of the time.
describe('examples/fleet', () => {
  test('has three nodes, each with an address and a disk', { timeout: LIMIT_MS }, async () => {
    expect((await nodes()).map(({ name, state }) => `${name} ${state}`)).toEqual([
      'redis-0 ready',
      'redis-1 ready',
      'redis-2 ready',
    ]);
    for (const slot of SLOTS) {
      expect(existsSync(join(dir, `nodes/volumes/example.redis.${slot}.data.img`))).toBe(true);
      expect(await ask(`redis-${slot}`, `SET slot ${slot}`)).toBe('+OK');
      expect(ownerOf(slot, '/valkey')).toBe('686:686 0700');
      expect(ownerOf(slot, '/')).toBe('0:0 0755');
    }
  });

  test(
    'rolls another image though the controller is killed in the middle',
    { timeout: LIMIT_MS },
    async () => {
      want('two');
      const plan = await fleet('plan');
      expect(plan.stdout).toMatch(/^ {2}~ redis-0: its image is [0-9a-f]{12}, wanted is/m);
      expect(plan.stdout).toContain('etc/release');
      await killControllerAt(({ kind }) => kind === 'destroy');
      const events = await apply();
      expect(events.filter(({ kind }) => kind === 'create').length).toBeLessThanOrEqual(3);
      const found = await nodes();
      expect(found.map(({ name }) => name)).toEqual(['redis-0', 'redis-1', 'redis-2']);
      expect(new Set(found.map(({ image }) => images['two']?.endsWith(image)))).toEqual(
        new Set([true]),
      );
      for (const slot of SLOTS)
        expect(await ask(`redis-${slot}`, `INCRBY slot 0`), String(slot)).toBe(`:${slot}`);
      expect(load?.failed).toEqual([]);
    },
  );

  test('replaces a node that is lost', { timeout: LIMIT_MS }, async () => {
    const before = load?.failed.length ?? 0;
    process.kill(Number(readFileSync(join(dir, 'nodes/nodes/redis-1/pid'), 'utf8')), 'SIGKILL');
    const events = await apply();
    expect(events).toContainEqual(
      expect.objectContaining({ kind: 'destroy', node: 'redis-1', reason: 'unhealthy' }),
    );
    expect(events).toContainEqual(expect.objectContaining({ kind: 'create', node: 'redis-1' }));
    // Requests are sent one after the other: those before this one have ended then.
    const asked = load?.asked ?? 0;
    await expect.poll(() => load?.asked).toBeGreaterThan(asked);
    lost = (load?.failed.length ?? 0) - before;
    // One that the node was answering, as TCP has no way to send it again, and one that haproxy was
    // sending to it when it noticed.
    expect(lost).toBeLessThanOrEqual(2);
  });

  test('stops at a bad image, and keeps its console', { timeout: LIMIT_MS }, async () => {
    want('bad');
    const done = await fleet('apply');
    expect(done.status).toBe(1);
    expect(done.stderr).toMatch(/^error: the roll of redis halted/m);
    const failed = eventsOf(done.stderr).find(({ reason }) => reason === 'failed');
    expect(readFileSync(failed?.console ?? '', 'utf8')).toContain('Kernel panic');
    expect((await nodes()).filter(({ state }) => state === 'ready')).toHaveLength(2);
    want('two');
    await apply();
  });

  test('replaces nodes that have expired, one after the other', { timeout: LIMIT_MS }, async () => {
    want('two', (text) => text.replace('after: 30d', 'after: 5m, jitter: 50%'));
    const watch = startLkt(['fleet', 'watch', '--file', file], {
      env,
      under: network?.under ?? [],
    });
    let text = '';
    watch.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
    const expired = (): ReadonlySet<string | undefined> =>
      new Set(
        eventsOf(text.slice(0, text.lastIndexOf('\n') + 1))
          .filter(({ kind, reason }) => kind === 'destroy' && reason === 'expired')
          .map(({ node }) => node),
      );
    while (expired().size < 3) await sleep(500);
    watch.kill('SIGINT');
    await new Promise((resolve) => watch.once('close', resolve));
    want('two');
    await apply();
  });

  test('answered every request but that of the lost node, and kept what it answered', async () => {
    await load?.end();
    const served = load?.served ?? 0;
    expect(served).toBeGreaterThan(100);
    expect(load?.failed, load?.failed.join('\n')).toHaveLength(lost);
    let kept = 0;
    for (const slot of SLOTS)
      kept += Number((await ask(`redis-${slot}`, 'INCRBY requests 0')).slice(1));
    expect(kept).toBeGreaterThanOrEqual(served);
    expect(kept).toBeLessThanOrEqual(served + lost);
  });
});
