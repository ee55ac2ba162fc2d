import { mkdtempDisposable, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { digestOf } from '@lkt/core';
import { expect, test } from 'vitest';
import { parseFleet } from '../../src/config/fleet-yml.ts';
import { FleetController } from '../../src/controller/controller.ts';
import type { FleetEvent } from '../../src/events/event.ts';
import { fleet, image, WrongProvider } from './wrong-provider.ts';

test('destroys a node that serves only after its drain has ended', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-fleet-'));
  const drained = join(dir.path, 'drained');
  const script = `sleep 0.1; echo $LKT_GROUP $LKT_NODE at $LKT_ADDRESS >> ${drained}`;
  const drain = `    drain: { command: [sh, -c, '${script}'], timeout: 30s }\n`;
  const provider = new WrongProvider();
  provider.addresses = ['192.0.2.7'];
  const events: FleetEvent[] = [];
  const { signal } = new AbortController();
  const roll = async (digest: string): Promise<void> => {
    const text = fleet.file.text.replace(image, digest) + drain;
    const controller = new FleetController({
      fleet: parseFleet({ path: 'fleet.yml', text }),
      providers: new Map([['here', provider]]),
      openImage: async (_, wanted) => ({ digest: wanted, files: { kernel: '', cmdline: '' } }),
      logDir: dir.path,
      onEvent: (event) => events.push(event),
    });
    while (events.at(-1)?.kind !== 'converged') {
      await sleep(5);
      await controller.pass({ generation: 1, signal });
      // Each destroyed node was drained before.
      const names = events
        .filter(({ kind }) => kind === 'destroy')
        .map(({ node }) => `web ${node} at 192.0.2.7`);
      const done = await readFile(drained, 'utf8').catch(() => '');
      for (const name of names) expect(done.split('\n')).toContain(name);
    }
  };
  await roll(image);
  const old = provider.nodes.map(({ name }) => name);
  events.length = 0;
  await roll(digestOf('other'));
  const of = (wanted: string): readonly unknown[] =>
    events.filter(({ kind }) => kind === wanted).map(({ node }) => node);
  expect(new Set(of('drain'))).toEqual(new Set(old));
  expect(new Set(of('destroy'))).toEqual(new Set(old));
  expect(of('error')).toEqual([]);
});

test('destroys a node at the end of the time for a drain that fails', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-fleet-'));
  let now = Date.now();
  const provider = new WrongProvider();
  const events: FleetEvent[] = [];
  const { signal } = new AbortController();
  const controllerOf = (digest: string): FleetController =>
    new FleetController({
      fleet: parseFleet({
        path: 'fleet.yml',
        text: `${fleet.file.text.replace(image, digest)}    drain: { command: ['false'], timeout: 60s }\n`,
      }),
      providers: new Map([['here', provider]]),
      openImage: async (_, wanted) => ({ digest: wanted, files: { kernel: '', cmdline: '' } }),
      logDir: dir.path,
      onEvent: (event) => events.push(event),
      now: () => now,
    });
  const first = controllerOf(image);
  for (let passes = 0; passes < 4; passes += 1) await first.pass({ generation: 1, signal });
  const second = controllerOf(digestOf('other'));
  while (!events.some(({ kind }) => kind === 'error')) {
    await sleep(5);
    await second.pass({ generation: 1, signal });
  }
  expect(events.at(-1)?.message).toMatch(/^false ended with status 1/);
  expect(events.some(({ kind }) => kind === 'destroy')).toBe(false);
  now += 61_000;
  await second.pass({ generation: 1, signal });
  expect(events.some(({ kind }) => kind === 'destroy')).toBe(true);
});
