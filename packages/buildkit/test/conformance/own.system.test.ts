import { mkdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Digest } from '@lkt/core';
import { openStore, type Store } from '@lkt/oci';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { build, scratch } from '../../../builder/test/fixture.ts';
import { peerVersions } from '@lkt/testing/remembered';
import { type Dockerd, startDockerd } from '../dockerd.ts';
import { type BuiltImage, differences } from './built-image.ts';
import { buildWithLkt } from './lkt-peer.ts';
import { OWN_CASES } from './own/cases.ts';
import { type Expectation, type OwnCase, writeCase } from './own-case.ts';
import { buildkitPeer, type Outcome, type Peer } from './peers.ts';
import { type PeerResult, rememberedPeer } from './remembered-peer.ts';
import { writeStandIns } from './stand-ins.ts';

const directory = scratch();
const at = (name: string): string => join(directory.path, name);
const cases = OWN_CASES.map((item, index) => ({ ...item, index }));
/** Started for the first case that BuildKit has not built before. */
let dockerd: Promise<Dockerd> | undefined;
let store: Store;
let base: readonly [string, Digest];

beforeAll(async () => {
  store = await openStore(at('store'));
  const [digest] = (await writeStandIns(store)).values();
  if (digest === undefined) throw new Error('no image stands for base');
  base = ['base', digest];
  mkdirSync(at('case'));
});

afterAll(async () => {
  await (await dockerd)?.[Symbol.asyncDispose]();
  directory[Symbol.dispose]();
});

const ends = (outcome: Outcome): string => ('error' in outcome ? outcome.error : 'an image');

const versions = peerVersions();
let places = 0;

/** Builds a case with both. */
async function buildBoth(
  item: OwnCase,
  place: string,
): Promise<{ readonly ours: Outcome; readonly theirs: PeerResult }> {
  const written = await writeCase(item, join(place, 'context'));
  const images = new Map([base]);
  for (const [name, lines] of Object.entries(item.images ?? {})) {
    const { descriptor } = await build(at('store'), `${lines.join('\n')}\n`, {
      bases: new Map(images),
    });
    images.set(name, descriptor.digest);
  }
  const buildkit: Peer = async (...words) => {
    dockerd ??= startDockerd(at('docker'));
    return buildkitPeer((await dockerd).environment, at('store'), images)(...words);
  };
  // BuildKit caches a context by the name of its directory.
  const peer = join(place, `own-${basename(place)}`);
  mkdirSync(peer);
  const [ours, theirs] = await Promise.all([
    buildWithLkt(written, store, at('store'), images),
    rememberedPeer('buildkit', buildkit, versions, images)(written, peer),
  ]);
  return { ours, theirs };
}

/** The config of an image without the one property that differs everywhere. */
function configOf({ config }: BuiltImage): object {
  return Object.fromEntries(Object.entries(config).filter(([name]) => name !== 'ArgsEscaped'));
}

describe('own cases', () => {
  test('have different names', () => {
    const names = cases.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
  });

  test('use each divergence that docs/builder.md lists, and no other', () => {
    const text = readFileSync(join(import.meta.dirname, '../../../../docs/builder.md'), 'utf8');
    const [, section = ''] = text.split('\n### Divergences from BuildKit\n');
    const listed = section
      .split('\n#')[0]
      ?.matchAll(/^- \*\*(.+?)\*\*/gm)
      .map(([, name]) => name)
      .toArray();
    const used = cases.flatMap(({ expect: expected }) =>
      expected !== undefined && 'divergence' in expected ? [expected.divergence] : [],
    );
    expect(listed).toEqual([...new Set([...used, 'ArgsEscaped'])].toSorted());
  });

  test.concurrent.each(cases)(
    '$index $name',
    async (item) => {
      // A case that is repeated has another place.
      const place = join(at('case'), String((places += 1)));
      const { ours, theirs } = await buildBoth(item, place);
      await compare(item.expect ?? { divergence: 'none' }, ours, theirs.outcome);
      await theirs.keep();
    },
    120_000,
  );
});

async function compare(expected: Expectation, ours: Outcome, theirs: Outcome): Promise<void> {
  if ('bothFail' in expected) {
    expect(ends(ours)).toMatch(expected.bothFail);
    expect(ends(theirs)).not.toBe('an image');
    return;
  }
  if ('lktFails' in expected) {
    expect(ends(ours)).toMatch(expected.lktFails);
    expect(ends(theirs)).toBe('an image');
    return;
  }
  if ('buildkitFails' in expected) {
    expect(ends(ours)).toBe('an image');
    expect(ends(theirs)).toMatch(expected.buildkitFails);
    return;
  }
  if ('error' in ours || 'error' in theirs)
    expect.fail(`lkt: ${ends(ours)}\nBuildKit: ${ends(theirs).slice(-1000)}`);
  const { files, ours: changed, theirs: changes } = expected;
  const found = await differences(ours.image, theirs.image);
  if (files === undefined) expect(found).toEqual([]);
  else expect(found.map((line) => line.replace(/: .*/, ''))).toEqual(files);
  const isSame = ours.image.diffIds.join() === theirs.image.diffIds.join();
  expect(isSame).toBe(files === undefined);
  const config = { ours: configOf(ours.image), theirs: configOf(theirs.image) };
  expect(config.ours).toMatchObject(changed ?? {});
  expect({ ...config.ours, ...changes }).toEqual(config.theirs);
  if (changed !== undefined) expect(config.ours).not.toEqual(config.theirs);
}
