import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Digest } from '@lkt/core';
import { openStore, type Store } from '@lkt/oci';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { peerVersions } from '@lkt/testing/remembered';
import { type Dockerd, startDockerd } from '../dockerd.ts';
import { scratch } from '../../../builder/test/fixture.ts';
import { differences } from './built-image.ts';
import { buildWithLkt } from './lkt-peer.ts';
import { buildahPeer, buildkitPeer, type Outcome, type Peer } from './peers.ts';
import { rememberedPeer } from './remembered-peer.ts';
import { type Rule, RULES } from './rules.ts';
import { writeStandIns } from './stand-ins.ts';
import { type ConformanceCase, conformanceCases } from './suite.ts';

const directory = scratch();
const at = (name: string): string => join(directory.path, name);
const cases = conformanceCases(at('suite')).map((item, index) => ({ ...item, index }));
/** Started for the first case that BuildKit has not built before. */
let dockerd: Promise<Dockerd> | undefined;
let places = 0;
let store: Store;
let images: ReadonlyMap<string, Digest>;
let peers: Readonly<Record<'buildah' | 'buildkit', ReturnType<typeof rememberedPeer>>>;

beforeAll(async () => {
  store = await openStore(at('store'));
  images = await writeStandIns(store);
  const versions = peerVersions();
  const buildkit: Peer = async (...words) => {
    dockerd ??= startDockerd(at('docker'));
    return buildkitPeer((await dockerd).environment, at('store'), images)(...words);
  };
  peers = {
    buildah: rememberedPeer('buildah', buildahPeer(at('buildah')), versions),
    buildkit: rememberedPeer('buildkit', buildkit, versions, images),
  };
  mkdirSync(at('peer'));
});

afterAll(async () => {
  await (await dockerd)?.[Symbol.asyncDispose]();
  directory[Symbol.dispose]();
});

function ruleOf<K extends Rule['kind']>(
  name: string,
  kind: K,
): Extract<Rule, { kind: K }> | undefined {
  return RULES.filter((rule): rule is Extract<Rule, { kind: K }> => rule.kind === kind).find(
    (rule) => rule.cases.includes(name),
  );
}

const ends = (outcome: Outcome): string => ('error' in outcome ? outcome.error : 'an image');

describe("buildah's conformance suite", () => {
  test('is complete, and every rule applies to one of its cases', () => {
    expect(cases.length).toBeGreaterThanOrEqual(160);
    const names = new Set(cases.map(({ name }) => name));
    expect(RULES.flatMap((rule) => rule.cases).filter((name) => !names.has(name))).toEqual([]);
  });

  test.concurrent.each(cases)(
    '$index $name',
    async (item) => {
      // A case that is repeated has another place.
      const place = join(at('peer'), `case-${(places += 1)}`);
      mkdirSync(place);
      const peer = ruleOf(item.name, 'peer')?.peer ?? 'buildkit';
      const [ours, theirs] = await Promise.all([
        buildWithLkt(item, store, at('store'), images),
        peers[peer](item, place),
      ]);
      await compare(item, peer, ours, theirs.outcome);
      await theirs.keep();
    },
    120_000,
  );
});

async function compare(
  item: ConformanceCase,
  peer: 'buildah' | 'buildkit',
  ours: Outcome,
  theirs: Outcome,
): Promise<void> {
  const refused = ruleOf(item.name, 'refused');
  if (refused !== undefined) {
    expect(ends(ours)).toMatch(refused.message);
    expect('error' in theirs).toBe(refused.peer === 'fails');
    return;
  }
  if (item.shouldFailAt > 0 && ruleOf(item.name, 'builds') === undefined) {
    const line = ruleOf(item.name, 'line')?.line ?? item.shouldFailAt;
    expect(ends(ours)).toMatch(new RegExp(`^\\w+ ${item.dockerfile}:${line}:`));
    expect(ends(theirs)).not.toBe('an image');
    return;
  }
  if ('error' in ours || 'error' in theirs)
    expect.fail(`lkt: ${ends(ours)}\nthe other builder: ${ends(theirs).slice(-1000)}`);
  const others = await differences(ours.image, theirs.image);
  const files = ruleOf(item.name, 'files');
  if (files === undefined) expect(others).toEqual([]);
  else expect(others.map((line) => line.replace(/: .*/, ''))).toEqual(files.paths);
  if (peer === 'buildkit' && files === undefined) {
    // The files and also the layers are the same.
    const isSame = ours.image.diffIds.join() === theirs.image.diffIds.join();
    expect(isSame).toBe(ruleOf(item.name, 'layers') === undefined);
  }
  const config = ruleOf(item.name, 'config');
  expect(ours.image.config).toMatchObject(config?.ours ?? {});
  expect({ ...ours.image.config, ...config?.theirs }).toEqual(theirs.image.config);
  if (config !== undefined) expect(ours.image.config).not.toEqual(theirs.image.config);
}
