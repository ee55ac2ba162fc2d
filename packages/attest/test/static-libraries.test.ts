import { describe, expect, it } from 'vitest';
import {
  type Component,
  debComponent,
  describeImage,
  imageComponent,
  type KnownImage,
} from '../src/index.ts';
import { archivePatterns } from '../src/static-archive.ts';
import { LinkedCode } from '../src/static-libraries.ts';
import { archive, code, objectFile } from './object-fixture.ts';
import { file, image, withStore } from './support.ts';

function patternsOf(content: Buffer): readonly Buffer[] {
  return [...archivePatterns(content)].map((pattern) => Buffer.from(pattern, 'latin1'));
}

/** Returns a static library of functions with code of these seeds. */
function library(...seeds: readonly number[]): Buffer {
  return archive(objectFile(seeds.map((seed) => ({ code: code(seed, 80) }))));
}

function program(...seeds: readonly number[]): Buffer {
  return Buffer.concat(seeds.flatMap((seed) => [Buffer.alloc(seed % 7), code(seed, 80)]));
}

describe('archivePatterns', () => {
  it('returns code of each function that no relocation changes', () => {
    const [one, two] = [code(1, 100), code(2, 200)];
    const several = archive(
      Buffer.from('/ is the index of symbols'),
      objectFile([{ code: one }]),
      objectFile([{ code: two, relocations: [60, 90, 110] }]),
    );
    const patterns = patternsOf(several);
    expect(patterns).toHaveLength(2);
    expect(one.indexOf(patterns[0] ?? '')).toBeGreaterThanOrEqual(0);
    const at = two.indexOf(patterns[1] ?? '');
    expect(at).toBeGreaterThanOrEqual(0);
    // A linker may change 4 bytes before a relocation, and 12 from it on.
    expect(at + (patterns[1]?.length ?? 0) <= 56 || at >= 122).toBe(true);
  });

  it('skips short functions, padding, and what is not an object', () => {
    const relocations = [10, 40, 70];
    expect(patternsOf(archive(objectFile([{ code: code(1, 30) }])))).toEqual([]);
    expect(patternsOf(archive(objectFile([{ code: code(1, 100), relocations }])))).toEqual([]);
    expect(patternsOf(archive(objectFile([{ code: Buffer.alloc(200, 0x90) }])))).toEqual([]);
    expect(patternsOf(archive(Buffer.from('text')))).toEqual([]);
    expect(patternsOf(Buffer.from('GROUP ( libm-2.41.a libmvec.a )'))).toEqual([]);
    expect(patternsOf(Buffer.alloc(0))).toEqual([]);
    const whole = archive(objectFile([{ code: code(1, 100) }]));
    expect(patternsOf(whole.subarray(0, 300))).toEqual([]);
  });
});

describe('LinkedCode', () => {
  const [zlib, libc] = ['zlib1g-dev', 'libc6-dev'].map((name) =>
    debComponent({ name, version: '1', architecture: 'amd64' }),
  ) as [Component, Component];
  const linked = new LinkedCode([
    [zlib, [...archivePatterns(library(1, 2, 3, 9))]],
    [libc, [...archivePatterns(library(4, 5, 9))]],
    // Two libraries of one package.
    [zlib, [...archivePatterns(library(6, 7))]],
  ]);

  it('finds the libraries with several functions in a program', () => {
    expect(linked.foundIn(program(1, 3))).toEqual([zlib]);
    expect(linked.foundIn(program(1, 6))).toEqual([zlib]);
    expect(linked.foundIn(program(4, 2, 5, 7))).toEqual([zlib, libc]);
  });

  it('reports no library for one function, or for code of several packages', () => {
    expect(linked.foundIn(program(1, 4))).toEqual([]);
    expect(linked.foundIn(program(1, 1))).toEqual([]);
    expect(linked.foundIn(program(4, 9))).toEqual([]);
    expect(linked.foundIn(Buffer.alloc(3))).toEqual([]);
  });
});

it('relates a program to the packages whose static libraries are linked into it', async () => {
  await withStore(async (store) => {
    const zlib = debComponent({ name: 'zlib1g-dev', version: '1', architecture: 'amd64' });
    const seccomp = debComponent({ name: 'libseccomp-dev', version: '1', architecture: 'amd64' });
    const crun = debComponent({ name: 'crun', version: '1', architecture: 'source' });
    const compiler = await image(store, [
      file('usr/lib/libz.a', library(1, 2)),
      file('usr/lib/libseccomp.a', library(3, 4)),
    ]);
    const known: KnownImage = {
      component: imageComponent('lkt/c', compiler.descriptor.digest),
      image: compiler,
      contents: async () => undefined,
      ownerOf: async (path) => (path.endsWith('libz.a') ? zlib : seccomp),
      goSuppliers: async () => new Map(),
      sourcePackages: [crun],
    };
    const elf = Buffer.concat([Buffer.from('\x7fELF\x02\x01\x01', 'latin1'), Buffer.alloc(64)]);
    const crunProgram = Buffer.concat([elf, program(1, 2, 3)]);
    const made = await image(store, [file('usr/bin/crun', crunProgram), file('etc/text', 'text')]);
    const relation = 'STATIC_LINK';
    for (let run = 0; run < 2; run += 1)
      expect((await describeImage(store, made, [known])).contents).toEqual([
        {
          component: crun,
          paths: ['usr/bin/crun'],
          parts: [{ component: zlib, relation }],
        },
      ]);
    // Without a source package, the image itself.
    const bare = { ...known, sourcePackages: [] };
    expect((await describeImage(store, made, [bare])).contents).toEqual([
      { component: zlib, relation, paths: ['usr/bin/crun'], parts: [] },
    ]);
  });
});
