import { type ChildProcess, spawn } from 'node:child_process';
import { copyFileSync, existsSync, globSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { mkdtempSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Done, freePort, lkt, root, startLkt } from './helpers/lkt.ts';

// The example, with a smaller image, so that a boot takes less time in software translation.
const dir = mkdtempSync(join(tmpdir(), 'lkt-fleet-'));
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
  lkt(['fleet', ...args, '--file', file], { env });

/** Writes the file of the fleet with an image and other changes. */
function want(image: string, change: (text: string) => string = (text) => text): void {
  writeFileSync(file, change(wanted).replace(/image: .*/, `image: ${images[image]}`));
}
let wanted = '';

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
  const child = startLkt(['fleet', 'apply', '--file', file], { env });
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

/** Requests the balanced address without end, and counts. */
class Load {
  readonly failed: string[] = [];
  served = 0;
  #isOver = false;
  readonly #port: number;
  readonly #ended: Promise<void>;

  constructor(port: number) {
    this.#port = port;
    this.#ended = this.#run();
  }

  async end(): Promise<void> {
    this.#isOver = true;
    await this.#ended;
  }

  async #run(): Promise<void> {
    while (!this.#isOver) {
      const answer = await get(this.#port);
      if (answer === '200') this.served += 1;
      else this.failed.push(`${new Date().toISOString()} ${answer}`);
      await sleep(100);
    }
  }
}

/** Returns the status of the balanced page, or the error. */
async function get(port: number): Promise<string> {
  return new Promise((resolve) => {
    request({ host: '127.0.0.1', port, path: '/', agent: false }, (response) => {
      response.resume();
      response.once('end', () => resolve(String(response.statusCode)));
    })
      .once('error', (error) => resolve(error.message))
      .end();
  });
}

let haproxy: ChildProcess | undefined;
let load: Load | undefined;

beforeAll(async () => {
  const exporter = readFileSync(join(root, 'examples/node_exporter.yml'), 'utf8');
  const service = exporter.slice(exporter.indexOf('  - name: node_exporter'));
  const overlay = `services:\n${service.slice(0, service.indexOf('# Each'))}`;
  for (const [name, text] of [
    ['one', overlay],
    ['two', `${overlay}files:\n  - path: etc/release\n    contents: two\n`],
  ] as const) {
    writeFileSync(join(dir, `${name}.yml`), text);
    const configs = [join(root, 'examples/tiny.yml'), join(dir, `${name}.yml`)];
    const done = await lkt(['build', '--dir', dir, '--name', name, ...configs]);
    expect(done.status, done.stderr).toBe(0);
  }
  for (const end of ['kernel', 'initrd.img'])
    copyFileSync(join(dir, `one-${end}`), join(dir, `bad-${end}`));
  writeFileSync(join(dir, 'bad-cmdline'), 'console=ttyS0 panic=1 rdinit=/no/such/init');
  for (const name of ['one', 'two', 'bad']) {
    const made = await lkt(['fleet', 'image', join(dir, name), `fleet/web:${name}`]);
    expect(made.status, made.stderr).toBe(0);
    images[name] = made.stdout.trim();
  }
  const [first, front] = [await freePort(), await freePort()];
  wanted = example('fleet.yml')
    .replaceAll('19100', String(first))
    .replace('memory: 256M', 'memory: 128M');
  const ports = [0, 1, 2].map((slot) => first + slot);
  const config = example('haproxy.cfg')
    .replace('9180', String(front))
    .replaceAll(/1910([012])/g, (_, slot: string) => String(ports[Number(slot)]));
  writeFileSync(join(dir, 'haproxy.cfg'), config);
  want('one');
  await apply();
  haproxy = spawn('haproxy', ['-db', '-f', join(dir, 'haproxy.cfg')], { stdio: 'ignore' });
  while ((await get(front)) !== '200') await sleep(200);
  load = new Load(front);
}, LIMIT_MS);

afterAll(async () => {
  await load?.end();
  haproxy?.kill();
  want('one', (text) => text.replace('size: 3', 'size: 0'));
  await apply();
  for (const path of globSync(join(dir, 'nodes/nodes/*/pid')))
    process.kill(Number(readFileSync(path, 'utf8')), 'SIGKILL');
  rmSync(dir, { recursive: true, force: true });
}, LIMIT_MS);

// One after the other, on the same nodes: a boot takes most of the time.
describe('examples/fleet', () => {
  test('has three nodes, each with a disk of its own', { timeout: LIMIT_MS }, async () => {
    expect((await nodes()).map(({ name, state }) => `${name} ${state}`)).toEqual([
      'web-0 ready',
      'web-1 ready',
      'web-2 ready',
    ]);
    const volumes = [0, 1, 2].map((slot) =>
      join(dir, `nodes/volumes/example.web.${slot}.data.img`),
    );
    for (const path of volumes) {
      expect(existsSync(path)).toBe(true);
      writeFileSync(path, `data of ${path}`, { flag: 'r+' });
    }
  });

  test(
    'rolls another image though the controller is killed in the middle',
    { timeout: LIMIT_MS },
    async () => {
      want('two');
      const plan = await fleet('plan');
      expect(plan.stdout).toMatch(/^ {2}~ web-0: its image is [0-9a-f]{12}, wanted is/m);
      expect(plan.stdout).toContain('etc/release');
      await killControllerAt(({ kind }) => kind === 'destroy');
      const events = await apply();
      expect(events.filter(({ kind }) => kind === 'create').length).toBeLessThanOrEqual(3);
      const found = await nodes();
      expect(found.map(({ name }) => name)).toEqual(['web-0', 'web-1', 'web-2']);
      expect(new Set(found.map(({ image }) => images['two']?.endsWith(image)))).toEqual(
        new Set([true]),
      );
      const path = join(dir, 'nodes/volumes/example.web.1.data.img');
      expect(readFileSync(path).subarray(0, 8).toString()).toBe('data of ');
    },
  );

  test('replaces a node that is lost', { timeout: LIMIT_MS }, async () => {
    process.kill(Number(readFileSync(join(dir, 'nodes/nodes/web-1/pid'), 'utf8')), 'SIGKILL');
    const events = await apply();
    expect(events).toContainEqual(
      expect.objectContaining({ kind: 'destroy', node: 'web-1', reason: 'unhealthy' }),
    );
    expect(events).toContainEqual(expect.objectContaining({ kind: 'create', node: 'web-1' }));
  });

  test('stops at a bad image, and keeps its console', { timeout: LIMIT_MS }, async () => {
    want('bad');
    const done = await fleet('apply');
    expect(done.status).toBe(1);
    expect(done.stderr).toMatch(/^error: the roll of web halted/m);
    const lost = eventsOf(done.stderr).find(({ reason }) => reason === 'failed');
    expect(readFileSync(lost?.console ?? '', 'utf8')).toContain('Kernel panic');
    expect((await nodes()).filter(({ state }) => state === 'ready')).toHaveLength(2);
    want('two');
    await apply();
  });

  test('replaces nodes that have expired, one after the other', { timeout: LIMIT_MS }, async () => {
    want('two', (text) => text.replace('after: 30d', 'after: 5m, jitter: 50%'));
    const watch = startLkt(['fleet', 'watch', '--file', file], { env });
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

  test('served every request all the time', async () => {
    await load?.end();
    expect(load?.served).toBeGreaterThan(100);
    expect(load?.failed).toEqual([]);
  });
});
