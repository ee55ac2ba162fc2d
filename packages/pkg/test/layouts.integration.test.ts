import { appendFile, cp, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ProgressEvent } from '@lkt/core';
import { openStore, type Store, writeImage } from '@lkt/oci';
import { describe, expect, it } from 'vitest';
import { buildPackages } from '../src/build/build.ts';
import type { BuiltPackage } from '../src/build/built-package.ts';
import { resolveImages } from '../src/pins/resolve-images.ts';
import { type Bench, bench } from './bench.ts';
import { commit, temporary, write } from '../../git/test/checkout.ts';
import { PlainEngine } from './plain-engine.ts';

const AMD64 = { os: 'linux', architecture: 'amd64' };

/** Another machine with the same checkout: its own store, and a copy of the layouts. */
class Machine implements AsyncDisposable {
  readonly engine = new PlainEngine();
  readonly events: ProgressEvent[] = [];
  readonly store: Store;
  readonly layouts: string;
  readonly #at: Bench;
  readonly #dir: AsyncDisposable;

  private constructor(at: Bench, store: Store, layouts: string, dir: AsyncDisposable) {
    this.#at = at;
    this.store = store;
    this.layouts = layouts;
    this.#dir = dir;
  }

  static async with(at: Bench, layouts: string): Promise<Machine> {
    const dir = await temporary();
    const copy = join(dir.path, 'layouts');
    await cp(layouts, copy, { recursive: true });
    return new Machine(at, await openStore(join(dir.path, 'store')), copy, dir);
  }

  get warnings(): readonly string[] {
    return this.events.flatMap((event) => (event.kind === 'warning' ? [event.text] : []));
  }

  options(): Bench['options'] & { readonly layouts: string } {
    const { store, engine, layouts } = this;
    const reporter = { emit: (event: ProgressEvent) => void this.events.push(event) };
    return { ...this.#at.options, store, engine, reporter, layouts };
  }

  async build(...names: readonly string[]): Promise<readonly BuiltPackage[]> {
    const workspace = await this.#at.open();
    const targets = names.map((name) => workspace.get(name));
    return (await buildPackages(workspace, targets, this.options())).packages;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#dir[Symbol.asyncDispose]();
  }
}

/** Returns a checkout with pins, and the layouts of all its packages. */
async function built(): Promise<Bench & { readonly layouts: string }> {
  const at = await bench();
  await at.pin();
  commit(at.path);
  const layouts = join(at.path, 'layouts');
  const workspace = await at.open();
  await buildPackages(workspace, [...workspace.packages.values()], { ...at.options, layouts });
  return { ...at, layouts };
}

/** Replaces the image in a layout by one that no sources build to, with correct digests. */
async function lie(layouts: string, name: string): Promise<void> {
  const dir = join(layouts, name);
  const layout = await openStore(dir);
  const image = await writeImage(layout, { config: { config: {} }, layers: [], platform: AMD64 });
  const text = await readFile(join(dir, 'lkt.json'), 'utf8');
  const digest = /sha256:[0-9a-f]{64}/;
  await writeFile(join(dir, 'lkt.json'), text.replace(digest, image.digest));
}

describe('layouts of packages', () => {
  it('save another machine all builds, with the same digests', async () => {
    await using at = await built();
    const there = await at.build('lkt/init', 'lkt/alone');
    await using machine = await Machine.with(at, at.layouts);
    const here = await machine.build('lkt/init', 'lkt/alone');
    expect(machine.engine.built).toEqual([]);
    expect(here.map(({ index, cached }) => [index.digest, cached])).toEqual(
      there.map(({ index }) => [index.digest, true]),
    );
    // The store has the package now, so the layout is not read again.
    await writeFile(join(machine.layouts, 'lkt+init', 'lkt.json'), 'no longer needed');
    await machine.build('lkt/init');
    expect([machine.engine.built, machine.warnings]).toEqual([[], []]);
  });

  it('are OCI layouts of hard links to the store’s blobs, without sources', async () => {
    await using at = await built();
    const dir = join(at.layouts, 'lkt+alone');
    const names = await readdir(join(dir, 'blobs/sha256'));
    expect(names.length).toBeGreaterThan(2);
    for (const name of names) {
      const one = await stat(join(dir, 'blobs/sha256', name));
      const other = await stat(join(at.store.dir, 'blobs/sha256', name));
      expect(one.ino).toBe(other.ino);
    }
    expect(await readFile(join(dir, 'oci-layout'), 'utf8')).toBe('{"imageLayoutVersion":"1.0.0"}');
    expect(await readFile(join(at.layouts, '.gitignore'), 'utf8')).toBe('*\n');
  });

  it('change their index only with the image', async () => {
    await using at = await bench({
      'pkg/a/build.yml': 'org: lkt\nimage: a\narches: [amd64]\n',
      'pkg/a/Dockerfile': 'FROM scratch\n',
      'pkg/a/.dockerignore': 'README.md\n',
    });
    const layouts = join(at.path, 'layouts');
    const read = async (): Promise<readonly string[]> => {
      const workspace = await at.open();
      await buildPackages(workspace, [workspace.get('lkt/a')], { ...at.options, layouts });
      const files = ['index.json', 'lkt.json'].map((name) => join(layouts, 'lkt+a', name));
      return Promise.all(files.map((file) => readFile(file, 'utf8')));
    };
    const before = await read();
    await write(at.path, { 'pkg/a/README.md': 'of no consequence' });
    expect(await read()).toEqual(before);
    await write(at.path, { 'pkg/a/file': 'of consequence' });
    const [index] = await read();
    expect(index).not.toBe(before[0]);
  });

  it.each(['manifest', 'layer'])(
    'with a damaged %s are rejected, and the package is built',
    async (what) => {
      await using at = await built();
      await using machine = await Machine.with(at, at.layouts);
      const blobs = join(machine.layouts, 'lkt+alone/blobs/sha256');
      for (const name of await readdir(blobs)) {
        const isText = (await readFile(join(blobs, name), 'utf8')).startsWith('{');
        if (isText === (what === 'manifest')) await appendFile(join(blobs, name), ' ');
      }
      const [alone] = await machine.build('lkt/alone');
      expect(machine.engine.built).toEqual(['lkt/alone']);
      expect(machine.warnings).toEqual([
        expect.stringMatching(
          /^the layout of lkt\/alone is rejected, so it is built here: blob sha256:/,
        ),
      ]);
      // The build also repaired the layout.
      await using third = await Machine.with(at, machine.layouts);
      expect((await third.build('lkt/alone'))[0]?.index).toEqual(alone?.index);
      expect([third.engine.built, third.warnings]).toEqual([[], []]);
    },
  );

  it('with an image other than a Dockerfile pins are rejected', async () => {
    await using at = await built();
    const [there] = await at.build('lkt/base');
    await using machine = await Machine.with(at, at.layouts);
    await lie(machine.layouts, 'lkt+base');
    const [base] = await machine.build('lkt/base');
    expect(base?.index).toEqual(there?.index);
    expect(machine.engine.built).toEqual(['lkt/base']);
    expect(machine.warnings).toEqual([
      expect.stringMatching(/^the layout of lkt\/base is rejected.* is pinned$/),
    ]);
  });

  it('with an image other than an image config pins are rejected', async () => {
    await using at = await built();
    const [there] = await at.build('lkt/alone');
    const text = `lkt/alone:${there?.hash.committed}@${there?.index.digest}`;
    await using machine = await Machine.with(at, at.layouts);
    await lie(machine.layouts, 'lkt+alone');
    await resolveImages(await at.open(), [{ text }], machine.options());
    expect(machine.engine.built).toEqual(['lkt/alone']);
    // An unpinned image is accepted.
    await using trusting = await Machine.with(at, machine.layouts);
    await lie(trusting.layouts, 'lkt+alone');
    await trusting.build('lkt/alone');
    expect(trusting.engine.built).toEqual([]);
  });
});
