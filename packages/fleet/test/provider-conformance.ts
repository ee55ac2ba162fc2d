import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { Digest } from '@lkt/core';
import type { KeptImage } from '../src/image/kept-images.ts';
import type { Node } from '../src/node.ts';
import type { NodeLabels } from '../src/node-labels.ts';
import type { MachineImage, NodeRequest, Provider, ProviderFailure } from '../src/provider.ts';

/** A provider under test and its environment. */
export interface ProviderFixture extends AsyncDisposable {
  /** Opens the provider anew, as a controller that starts elsewhere does. */
  open(): Promise<Provider>;
  readonly image: MachineImage;
  /** Another image. */
  readonly otherImage: MachineImage;
  readonly template: NodeRequest['template'];
  /** Names of nodes, at least three; the machines, where none can be created. */
  readonly names?: readonly string[];
  /** Settings of the group, if this kind has any. */
  readonly settings?: unknown;
  /** Text on the console of every node, if the provider has a console. */
  readonly consoleText?: string;
  /** A change of the request that the provider refuses for ever. */
  readonly impossible: Partial<NodeRequest>;
  /** Loses the answers of the next calls, after they took effect; undefined if it cannot. */
  readonly loseAnswers?: (count: number) => void;
  /** Makes the next list calls fail, or return a malformed response; undefined if it cannot. */
  readonly failLists?: (count: number) => void;
  /** Returns what a user who may list nodes reads at the provider, beside the labels. */
  readonly shown?: () => Promise<string>;
  /** Makes the nodes of this machine lose power without the provider's doing. */
  readonly powerOff?: (node: Node) => Promise<void>;
}

const FLEET = 'conformance';
const SECRET = 'canary-of-metadata';
const METADATA = Buffer.from(JSON.stringify({ token: { content: SECRET } }));
const SETTLE_MS = 120_000;
const DAY_MS = 86_400_000;
const POLL_MS = 100;

/**
 * Describes the contract of `Provider` as tests. A provider's test file calls it once with a
 * fixture over the real thing, or the best stand-in:
 *
 * ```ts
 * describeProvider('libvirt', async () => startLibvirt());
 * ```
 */
export function describeProvider(name: string, start: () => Promise<ProviderFixture>): void {
  describe(`provider ${name}`, () => {
    let fixture: ProviderFixture;
    let provider: Provider;
    let generation = 1;
    let image = '';

    const options = (): { generation: number; signal: AbortSignal } => ({
      generation,
      signal: AbortSignal.timeout(SETTLE_MS),
    });
    const nameOf = (index: number): string =>
      fixture.names?.[index] ?? provider.capabilities.machines?.[index] ?? `web-0123abcd-${index}`;
    const request = (index: number, labels: Partial<NodeLabels> = {}): NodeRequest => ({
      name: nameOf(index),
      image,
      labels: labelsOf(fixture.image, labels),
      template: fixture.template,
      metadata: provider.capabilities.metadata ? METADATA : undefined,
      settings: fixture.settings,
    });
    const list = async (fleet: string = FLEET): Promise<readonly Node[]> =>
      provider.list(fleet, options());
    const find = async (wanted: string): Promise<Node | undefined> =>
      (await list()).find((node) => node.name === wanted);
    const running = async (wanted: string): Promise<Node> =>
      until(`${wanted} runs`, async () => {
        const node = await find(wanted);
        return node?.power === 'running' && node;
      });
    /** As the controller does: again as long as the node is listed. */
    const destroy = async (node: Node, graceMs = 0, fleet = FLEET): Promise<void> => {
      await until(`${node.name} is gone`, async () => {
        await provider.destroy(node.id, { ...options(), reason: 'excess', graceMs });
        return (await list(fleet)).every(({ id }) => id !== node.id) && true;
      });
    };

    beforeAll(async () => {
      fixture = await start();
      provider = await fixture.open();
      image = await provider.prepare(fixture.image, options());
    });
    afterAll(async () => {
      for (const node of await list()) await destroy(node);
      await provider[Symbol.asyncDispose]();
      await fixture[Symbol.asyncDispose]();
    });

    test('prepares an image once, and different images under different names', async () => {
      expect(await provider.prepare(fixture.image, options())).toBe(image);
      const other = await provider.prepare(fixture.otherImage, options());
      expect(other).not.toBe(image);
    });

    test('lists nothing for a fleet without nodes', async () => {
      expect(await list()).toEqual([]);
    });

    test('creates a node once, however often and by how many calls at once', async () => {
      const calls = [0, 1, 2].map(async () => provider.create(request(0), options()));
      await Promise.all(calls);
      await provider.create(request(0), options());
      const node = await running(nameOf(0));
      expect((await list()).filter((one) => one.name === node.name)).toHaveLength(1);
    });

    test('keeps every label, and lists a node only for its fleet', async () => {
      const labels = labelsOf(fixture.image, {});
      expect((await running(nameOf(0))).labels).toEqual(labels);
      expect(await list('another')).toEqual([]);
    });

    test('shows no secret of the metadata where nodes are listed', async () => {
      const shown = [JSON.stringify(await list()), (await fixture.shown?.()) ?? ''].join('\n');
      expect(shown).toContain(nameOf(0));
      expect(shown).not.toContain(SECRET);
      expect(shown).not.toContain(METADATA.toString('base64'));
    });

    test('removes an image that no machine uses, and prepares it again', async () => {
      const { images } = provider;
      if (images === undefined) return;
      const { digest } = fixture.otherImage;
      const kept = async (wanted: Digest): Promise<readonly KeptImage[]> =>
        (await images.list(options())).filter((one) => one.digest === wanted);
      await provider.prepare(fixture.otherImage, options());
      const [own] = await kept(fixture.image.digest);
      const [other] = await kept(digest);
      if (own === undefined || other === undefined) throw new Error('an image is not listed');
      for (const { created } of [own, other]) {
        expect(created).toBeGreaterThan(0);
        expect(created).toBeLessThan(Date.now() + DAY_MS);
      }
      await running(nameOf(0));
      expect(await images.isUsed(own, options())).toBe(true);
      expect(await images.isUsed(other, options())).toBe(false);
      await images.remove(other, options());
      await images.remove(other, options());
      expect(await kept(digest)).toEqual([]);
      await provider.prepare(fixture.otherImage, options());
      expect(await kept(digest)).toHaveLength(1);
    });

    test('returns the address of each published port of a running node', async () => {
      const node = await until('an address', async () => {
        const found = await running(nameOf(0));
        const has = (port: number): boolean =>
          found.published.has(port) || found.addresses.length > 0;
        return fixture.template.publish.every(has) && found;
      });
      for (const { host, port } of node.published.values()) {
        expect(host).not.toBe('');
        expect(port).toBeGreaterThan(0);
      }
    });

    test('rejects another spec under a name in use', async () => {
      const other = request(0, { spec: 'fedcba9876543210' });
      expect(await failureOf(provider.create(other, options()))).toBe('conflict');
      expect((await running(nameOf(0))).labels.spec).toBe('0123456789abcdef');
    });

    test('never takes the node of another group or fleet for the requested one', async () => {
      const other = provider.create(request(0, { group: 'api' }), options());
      await expect(other).rejects.toMatchObject({
        failure: 'invalid',
        message: `the node ${nameOf(0)} is of the group web`,
        fix: expect.stringContaining('size: 0') as unknown,
      });
      const fleet = 'another';
      const created = await failureOf(provider.create(request(0, { fleet }), options()));
      const nodes = await list(fleet);
      for (const node of nodes) await destroy(node, 0, fleet);
      // Where names are unique at the provider, the second fleet gets an error instead of a node.
      expect([created, nodes.length]).toEqual(created === 'none' ? ['none', 1] : ['invalid', 0]);
      expect((await running(nameOf(0))).labels).toMatchObject({ fleet: FLEET, group: 'web' });
    });

    test('replaces labels, and shows them to a controller that starts elsewhere', async () => {
      const node = await running(nameOf(0));
      const { ready: _, ...rest } = { ...node.labels, ready: 5 };
      await provider.label(node.id, { ...rest, ready: 1_700_000_000_000, attempt: 3 }, options());
      await provider.label(node.id, { ...rest, draining: 1_700_000_000_001 }, options());
      await using elsewhere = await fixture.open();
      const [seen] = await elsewhere.list(FLEET, options());
      expect(seen).toMatchObject({ id: node.id, name: node.name, power: 'running' });
      expect(seen?.labels).toEqual({ ...rest, draining: 1_700_000_000_001 });
    });

    test('reports an unknown node as missing when labelled, and as gone when destroyed', async () => {
      const { labels } = await running(nameOf(0));
      expect(await failureOf(provider.label('no-such-node', labels, options()))).toBe('missing');
      await provider.destroy('no-such-node', { ...options(), reason: 'excess', graceMs: 0 });
    });

    test('creates the possible nodes of a batch, and refuses the impossible one for ever', async () => {
      const bad = { ...request(1), ...fixture.impossible };
      expect(await failureOf(provider.create(bad, options()))).toBe('invalid');
      await provider.create(request(2), options());
      await running(nameOf(2));
      expect((await list()).map((node) => node.name).toSorted()).toEqual(
        [nameOf(0), nameOf(2)].toSorted(),
      );
    });

    test('does nothing once the signal is aborted', async () => {
      const aborted = { generation, signal: AbortSignal.abort(new Error('stop')) };
      await expect(provider.create(request(1), aborted)).rejects.toThrow('stop');
      await expect(provider.list(FLEET, aborted)).rejects.toThrow('stop');
      expect(await find(nameOf(1))).toBeUndefined();
    });

    test('finds a node whose answer was lost, and creates it no second time', async () => {
      if (fixture.loseAnswers === undefined) return;
      fixture.loseAnswers(1);
      expect(await failureOf(provider.create(request(1), options()))).toBe('unavailable');
      await provider.create(request(1), options());
      await destroy(await running(nameOf(1)));
    });

    test('fails as a whole when a list is incomplete', async () => {
      if (fixture.failLists === undefined) return;
      fixture.failLists(1);
      expect(['unavailable', 'malformed', 'throttled']).toContain(await failureOf(list()));
      expect(await list()).toHaveLength(2);
    });

    test('returns the console', async () => {
      if (!provider.capabilities.console || fixture.consoleText === undefined) return;
      const { consoleText } = fixture;
      const { id } = await running(nameOf(0));
      const read = async (): Promise<string> =>
        Buffer.from((await provider.console?.(id, options())) ?? []).toString();
      await until('a text on the console', async () => (await read()).includes(consoleText));
      expect(await provider.console?.('no-such-node', options())).toHaveLength(0);
    });

    test('lists a node that lost power as stopped, or not at all', async () => {
      if (fixture.powerOff === undefined) return;
      const node = await running(nameOf(2));
      await fixture.powerOff(node);
      await until('it is off', async () => (await find(node.name))?.power !== 'running');
    });

    test('destroys a node, and frees its name', async () => {
      const node = await until('a node', async () => find(nameOf(0)));
      await destroy(node);
      await provider.destroy(node.id, { ...options(), reason: 'excess', graceMs: 0 });
      await provider.create(request(0, { spec: 'fedcba9876543210' }), options());
      expect((await running(nameOf(0))).labels.spec).toBe('fedcba9876543210');
    });

    test('lists a node as terminating until it is gone', async () => {
      const node = await running(nameOf(0));
      await provider.destroy(node.id, { ...options(), reason: 'excess', graceMs: 600_000 });
      const found = await find(node.name);
      expect([undefined, 'terminating']).toContain(found?.power);
      // Its deadline is far away.
      if (found !== undefined) await fixture.powerOff?.(found);
    });

    test('destroys a node whose deadline was set by a clock a day ahead', async () => {
      await provider.create(request(1), options());
      const node = await running(nameOf(1));
      const leave = { reason: 'excess', graceMs: 600_000 } as const;
      vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + DAY_MS });
      try {
        await provider.destroy(node.id, { ...options(), ...leave });
      } finally {
        vi.useRealTimers();
      }
      await until(`${node.name} is gone`, async () => {
        await provider.destroy(node.id, { ...options(), ...leave });
        return (await find(node.name)) === undefined && true;
      });
    });

    test('keeps volumes when their node is destroyed', async () => {
      if (!provider.capabilities.volumes) return;
      const volume = { name: `${FLEET}.web.0.data`, size: 1024 * 1024 };
      const template = { ...fixture.template, volumes: [volume] };
      await provider.create({ ...request(1), template }, options());
      await destroy(await running(nameOf(1)));
      expect(await provider.volumes?.(FLEET, options())).toContain(volume.name);
      await provider.create({ ...request(1), template }, options());
      await destroy(await running(nameOf(1)));
    });

    test('ignores or rejects the late call of a controller that was replaced', async () => {
      generation = 2;
      await provider.create(request(1, { generation: 2 }), options());
      const node = await running(nameOf(1));
      const late = { generation: 1, signal: AbortSignal.timeout(SETTLE_MS) };
      if (!provider.capabilities.fencing) {
        // The name is the lock, and the node's label has its generation.
        await provider.create(request(1, { generation: 1 }), late);
        expect((await running(nameOf(1))).id).toBe(node.id);
        const unchanged = { ...late, reason: 'excess', graceMs: 0 } as const;
        expect(await failureOf(provider.destroy(node.id, unchanged))).toBe('fenced');
        expect(await failureOf(provider.label(node.id, node.labels, late))).toBe('fenced');
        return;
      }
      const { labels } = node;
      const reason = { reason: 'excess', graceMs: 0 } as const;
      expect(await failureOf(provider.destroy(node.id, { ...late, ...reason }))).toBe('fenced');
      expect(await failureOf(provider.label(node.id, labels, late))).toBe('fenced');
      expect(await failureOf(provider.create(request(2), late))).toBe('fenced');
      expect((await running(nameOf(1))).labels).toEqual(labels);
    });
  });
}

function labelsOf(image: MachineImage, labels: Partial<NodeLabels>): NodeLabels {
  return {
    fleet: FLEET,
    group: 'web',
    spec: '0123456789abcdef',
    specVersion: 1,
    image: image.digest,
    template: '00112233445566ff',
    generation: 1,
    attempt: 0,
    created: 1_700_000_000_000,
    ...labels,
  };
}

async function failureOf(call: Promise<unknown>): Promise<ProviderFailure | 'none'> {
  try {
    await call;
    return 'none';
  } catch (error) {
    if (error instanceof Error && 'failure' in error) return error.failure as ProviderFailure;
    throw error;
  }
}

/** Waits until `get` returns a value. */
async function until<T>(what: string, get: () => Promise<T | undefined | false>): Promise<T> {
  const end = Date.now() + SETTLE_MS;
  for (;;) {
    const found = await get();
    if (found !== undefined && found !== false) return found;
    if (Date.now() > end) throw new Error(`never: ${what}`);
    await sleep(POLL_MS);
  }
}
