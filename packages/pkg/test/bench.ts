import type { ProgressEvent } from '@lkt/core';
import { openStore, type Store } from '@lkt/oci';
import type { BuildOptions } from '../src/build/build-options.ts';
import { buildPackages } from '../src/build/build.ts';
import type { BuiltPackage } from '../src/build/built-package.ts';
import { pinWorkspace } from '../src/pins/pin-workspace.ts';
import { openWorkspace, type Workspace } from '../src/workspace/workspace.ts';
import { checkout, ENV, temporary } from '../../git/test/checkout.ts';
import { PlainEngine } from './plain-engine.ts';

/** Four packages; three of them use each other. */
export const FILES = {
  'tools/base/build.yml': 'org: lkt\nimage: base\narches: [amd64]\n',
  'tools/base/Dockerfile': 'FROM scratch\n',
  'tools/go/build.yml': 'org: lkt\nimage: go\narches: [amd64]\n',
  'tools/go/Dockerfile': 'FROM lkt/base\n',
  'pkg/init/build.yml': 'org: lkt\nimage: init\narches: [amd64]\n',
  'pkg/init/Dockerfile':
    'FROM lkt/go AS build\nFROM scratch\nCOPY --from=lkt/base / /\nCOPY --from=build / /\n',
  'pkg/alone/build.yml':
    'org: lkt\nimage: alone\narches: [amd64]\nconfig: {pid: host}\ngitrepo: https://git.example\n',
  'pkg/alone/Dockerfile': 'FROM scratch\nARG PKG_HASH\nARG PKG_IMAGE\nARG SOURCE\n',
};

/** A checkout, a store and an engine that records its requests. */
export interface Bench extends AsyncDisposable {
  readonly path: string;
  readonly store: Store;
  readonly engine: PlainEngine;
  readonly events: ProgressEvent[];
  readonly options: BuildOptions;
  open(): Promise<Workspace>;
  build(...names: string[]): Promise<readonly BuiltPackage[]>;
  pin(...names: string[]): ReturnType<typeof pinWorkspace>;
}

export async function bench(files: Readonly<Record<string, string>> = FILES): Promise<Bench> {
  const repo = await checkout(files);
  const dir = await temporary();
  const store = await openStore(dir.path);
  const engine = new PlainEngine();
  const events: ProgressEvent[] = [];
  const options: BuildOptions = {
    store,
    engine,
    mirror: () => Promise.reject(new Error('no mirror in this test')),
    reporter: { emit: (event) => void events.push(event) },
  };
  const open = (): Promise<Workspace> => openWorkspace(repo.path, { env: ENV });
  return {
    path: repo.path,
    store,
    engine,
    events,
    options,
    open,
    async build(...names) {
      const workspace = await open();
      const targets = names.map((name) => workspace.get(name));
      return (await buildPackages(workspace, targets, options)).packages;
    },
    async pin(...names) {
      const workspace = await open();
      const targets =
        names.length > 0
          ? names.map((name) => workspace.get(name))
          : [...workspace.packages.values()];
      return pinWorkspace(workspace, targets, options);
    },
    async [Symbol.asyncDispose]() {
      await repo[Symbol.asyncDispose]();
      await dir[Symbol.asyncDispose]();
    },
  };
}
