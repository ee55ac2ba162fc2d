import { mkdtempDisposable, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { Attestations } from '../../src/controller/attestations.ts';
import { EXAMPLE_LABELS } from '../example-labels.ts';
import { fleet, image, type Setting, start } from './wrong-provider.ts';

/** A fleet whose nodes are attested by a program that ends with the status in a file. */
interface Attesting extends Setting, AsyncDisposable {
  readonly setStatus: (status: string) => Promise<void>;
  readonly log: () => Promise<string>;
  /** Lets time pass, and makes passes until a condition is true. */
  readonly passUntil: (isTrue: () => boolean | Promise<boolean>) => Promise<void>;
  readonly wait: (ms: number) => void;
}

async function attesting(status: string, roll = ''): Promise<Attesting> {
  const dir = await mkdtempDisposable(join(tmpdir(), 'lkt-attest-'));
  const [file, log] = [join(dir.path, 'status'), join(dir.path, 'log')];
  await writeFile(file, status);
  await writeFile(log, '');
  const script = `echo $LKT_NODE $LKT_IMAGE >> ${log}; exit $(cat ${file})`;
  let now = Date.now();
  const text = fleet.file.text.replace('60s }', `60s${roll} }`);
  const setting = start(
    dir.path,
    () => now,
    `${text}    attest: { command: [sh, -c, '${script}'], interval: 1h }\n    maxSick: 100%\n`,
  );
  return {
    ...setting,
    setStatus: async (wanted) => writeFile(file, wanted),
    log: async () => readFile(log, 'utf8'),
    passUntil: async (isTrue) => {
      for (let tries = 0; tries < 2000; tries += 1) {
        await setting.pass();
        if (await isTrue()) return;
        await sleep(10);
      }
      throw new Error(`not in time: ${JSON.stringify(setting.events)}`);
    },
    wait: (ms) => {
      now += ms;
    },
    [Symbol.asyncDispose]: async () => dir[Symbol.asyncDispose](),
  };
}

const count = ({ events }: Setting, wanted: string): number =>
  events.filter(({ kind }) => kind === wanted).length;

test('puts a node into service once the program has verified it, and verifies again after the interval', async () => {
  await using setting = await attesting('0');
  await setting.pass();
  await setting.pass();
  // The first passes start the program, and do not wait for it.
  expect(count(setting, 'ready')).toBe(0);
  await setting.passUntil(() => count(setting, 'converged') === 1);
  const lines = (await setting.log()).trim().split('\n');
  expect(lines.toSorted()).toEqual(
    setting.provider.nodes.map(({ name }) => `${name} ${image}`).toSorted(),
  );
  setting.wait(3_600_000);
  await setting.passUntil(async () => (await setting.log()).trim().split('\n').length === 4);
  const { signal } = new AbortController();
  const observed = await setting.controller.observe(signal);
  expect(observed.groups.get('web')?.nodes.map(({ attestation }) => attestation)).toEqual([
    'verified',
    'verified',
  ]);
});

test('replaces nodes that do not prove their image any more', async () => {
  await using setting = await attesting('0');
  await setting.passUntil(() => count(setting, 'converged') === 1);
  await setting.setStatus('1');
  setting.wait(3_600_000);
  await setting.passUntil(() => count(setting, 'destroy') > 0);
  expect(setting.events.find(({ kind }) => kind === 'destroy')).toMatchObject({
    reason: 'unhealthy',
  });
});

test('halts when no node of an image proves it', async () => {
  await using setting = await attesting('1', ', retries: 0');
  await setting.passUntil(async () => (await setting.log()).split('\n').length > 2);
  setting.wait(61_000);
  await setting.passUntil(() => count(setting, 'halted') === 1);
  expect(count(setting, 'ready')).toBe(0);
});

test('treats a program that fails as no proof, reports it once, and retries', async () => {
  await using setting = await attesting('0');
  await setting.passUntil(() => count(setting, 'converged') === 1);
  await setting.setStatus('2');
  setting.wait(3_600_000);
  await setting.passUntil(() => count(setting, 'error') === 2);
  setting.wait(10_000);
  await setting.passUntil(async () => (await setting.log()).trim().split('\n').length >= 6);
  for (let passes = 0; passes < 5; passes += 1) await setting.pass();
  expect(count(setting, 'error')).toBe(2);
  expect(setting.events.find(({ kind }) => kind === 'error')?.message).toMatch(
    /^sh ended with status 2/,
  );
  expect(count(setting, 'destroy')).toBe(0);
  await setting.setStatus('1');
  setting.wait(10_000);
  await setting.passUntil(() => count(setting, 'destroy') > 0);
});

test('limits the programs that run at once', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-attest-'));
  const log = join(dir.path, 'log');
  const attestations = new Attestations();
  const many = Array.from({ length: 40 }, (_, index) => ({
    id: `${index}`,
    name: `web-${index}`,
    labels: EXAMPLE_LABELS,
    power: 'running' as const,
    addresses: [],
    published: new Map(),
  }));
  const command = ['sh', '-c', `echo + >> ${log}; sleep 0.5; echo - >> ${log}`];
  attestations.begin(many, { command, interval: 1e9, timeout: 30_000 }, Date.now, () => undefined);
  await attestations.settled();
  let running = 0;
  let most = 0;
  for (const sign of (await readFile(log, 'utf8')).trim().split('\n')) {
    running += sign === '+' ? 1 : -1;
    most = Math.max(most, running);
  }
  expect(most).toBeLessThanOrEqual(16);
  expect(many.map(({ id }) => attestations.of(id))).toEqual(many.map(() => 'verified'));
});
