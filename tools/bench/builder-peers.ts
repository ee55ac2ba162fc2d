import { execFileSync } from 'node:child_process';
import { cpSync, linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Case } from './builder-cases.ts';
import { root, type Subject } from './measure.ts';

/** Amounts of work done before. `edited` keeps the edits of former runs. */
export const STATES = ['cold', 'no-cache', 'warm', 'edited'] as const;
export type State = (typeof STATES)[number];

/** An OCI layout with one image: the base image for all builders. */
export interface Base {
  readonly layout: string;
  readonly name: string;
  readonly digest: string;
  /** Its entry in the index of lkt's store. */
  readonly entry: unknown;
}

interface Named {
  readonly digest: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** Makes a layout of the image that `store` has by a name. Its blobs are hard links. */
export function makeBase(store: string, name: string, layout: string): Base {
  const { manifests } = read(join(store, 'index.json')) as { manifests: readonly Named[] };
  const found = manifests.find(
    ({ annotations }) =>
      annotations?.['org.opencontainers.image.ref.name']?.startsWith(`docker.io/${name}:`) === true,
  );
  if (found === undefined) throw new Error(`${name} is not in ${store}: build it first`);
  const index = read(blob(store, found.digest)) as { manifests: readonly [Named] };
  const [image] = index.manifests;
  const { config, layers } = read(blob(store, image.digest)) as {
    config: Named;
    layers: readonly Named[];
  };
  mkdirSync(join(layout, 'blobs/sha256'), { recursive: true });
  for (const { digest } of [found, image, config, ...layers])
    linkSync(blob(store, digest), blob(layout, digest));
  cpSync(join(store, 'oci-layout'), join(layout, 'oci-layout'));
  const annotations = { 'org.opencontainers.image.ref.name': 'base' };
  const entry = { ...image, mediaType: 'application/vnd.oci.image.manifest.v1+json', annotations };
  writeFileSync(
    join(layout, 'index.json'),
    JSON.stringify({ schemaVersion: 2, manifests: [entry] }),
  );
  return { layout, name, digest: found.digest, entry: found };
}

function read(path: string): unknown {
  return JSON.parse(readFileSync(path, 'utf8'));
}

function blob(layout: string, digest: string): string {
  return join(layout, 'blobs/sha256', digest.slice('sha256:'.length));
}

/** Builds a package with lkt, as the base image of other cases. */
export function buildBase(item: Case, directory: string): Base {
  const store = join(directory, `${item.name}-store`);
  freshStore(store, item.base);
  execFileSync(join(root, 'lkt'), ['pkg', 'build', '--quiet', '--cache', store, item.directory], {
    cwd: item.directory,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  return makeBase(store, `bench/${item.name}`, join(directory, `${item.name}-base`));
}

/** Makes a store for lkt that has only the base image. */
function freshStore(store: string, { layout, entry }: Base): void {
  rmSync(store, { recursive: true, force: true });
  execFileSync('cp', ['-al', layout, store]);
  rmSync(join(store, 'index.json'));
  writeFileSync(
    join(store, 'index.json'),
    JSON.stringify({ schemaVersion: 2, manifests: [entry] }),
  );
}

/** Returns the command with which a builder builds a case in a state. */
export type Builder = (item: Case, state: State) => Subject;

/** Returns the preparation before each run that puts a case into a state. */
function before(item: Case, state: State, empty: () => void): Pick<Subject, 'before'> {
  if (state === 'edited') return { before: item.edit };
  return state === 'cold' ? { before: empty } : {};
}

export function lkt(directory: string): Builder {
  mkdirSync(directory);
  return (item, state) => {
    const store = join(directory, item.name);
    const fresh = (): void => freshStore(store, item.base);
    const flags = state === 'no-cache' ? ['--force', '--no-cache'] : [];
    return {
      name: 'lkt',
      command: [
        join(root, 'lkt'),
        'pkg',
        'build',
        '--quiet',
        '--cache',
        store,
        ...flags,
        item.directory,
      ],
      cwd: item.directory,
      ...before(item, state, fresh),
    };
  };
}

/** Docker's BuildKit, which stores the image in Docker's image store. */
export function docker(server: number, env: Readonly<Record<string, string>>): Builder {
  return (item, state) => {
    const run = (...args: readonly string[]): void =>
      void execFileSync('docker', args, { env, stdio: ['ignore', 'ignore', 'pipe'] });
    const empty = (): void => {
      run('image', 'prune', '--all', '--force');
      run('buildx', 'prune', '--all', '--force');
    };
    return {
      name: 'docker',
      command: [
        ['docker', 'buildx', 'build', '--quiet', '--provenance=false', '--network=none'],
        ['--build-context', `base=oci-layout://${item.base.layout}:base`],
        ['--build-arg', 'SOURCE_DATE_EPOCH=0', '--tag', `bench/${item.name}`],
        state === 'no-cache' ? ['--no-cache'] : [],
        ['--file', item.dockerfile, item.directory],
      ].flat(),
      env,
      server,
      ...before(item, state, empty),
    };
  };
}

export function buildah(directory: string): Builder {
  mkdirSync(directory, { recursive: true });
  const policy = join(directory, 'policy.json');
  writeFileSync(policy, '{"default":[{"type":"insecureAcceptAnything"}]}');
  return (item, state) => {
    const home = join(directory, item.name);
    const storage = `--root ${home}/root --runroot ${home}/run --storage-driver overlay`;
    const pull = `buildah ${storage} pull --quiet --signature-policy ${policy} oci:${item.base.layout}:base`;
    const build = [
      `buildah ${storage} build --quiet --layers --timestamp 0`,
      // The fastest settings; they exclude network namespaces.
      `--isolation chroot --network host --ulimit nofile=1024:1024 --ulimit nproc=1024:1024 --pull=never --signature-policy ${policy}`,
      state === 'no-cache' ? '--no-cache' : '',
      `--build-context base=container-image://$(${pull})`,
      `--tag bench/${item.name} --file ${item.dockerfile} ${item.directory}`,
    ].join(' ');
    return {
      name: 'buildah',
      // buildah leaves its storage bind-mounted on itself.
      command: ['unshare', '--mount', 'sh', '-ec', build],
      ...before(item, state, () => rmSync(home, { recursive: true, force: true })),
    };
  };
}
