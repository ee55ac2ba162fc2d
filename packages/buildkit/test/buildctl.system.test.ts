import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { LktError, type ProgressEvent } from '@lkt/core';
import { openStore, writeIndex } from '@lkt/oci';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Engine, nativeEngine, type SecretSource } from '@lkt/builder';
import { buildkitEngine } from '../src/index.ts';
import { build, contextOf, scratch } from '../../builder/test/fixture.ts';
import { TORTURE, writeTortureContext } from '../../builder/test/torture.ts';
import { buildctl, type Listening, listenForBuildctl } from './buildctl.ts';
import { type DockerRegistry, startDockerRegistry } from './docker-registry.ts';
import { type Dockerd, engineAt, startDockerd } from './dockerd.ts';

const directory = scratch();
const open = new AsyncDisposableStack();
let dockerd: Dockerd;
let tcp: Listening;
let unix: Listening;
let registry: DockerRegistry;
let environment: Readonly<Record<string, string>>;

beforeAll(async () => {
  const program = await buildctl();
  dockerd = open.use(await startDockerd(join(directory.path, 'docker')));
  const socket = join(directory.path, 'docker/socket');
  tcp = open.use(await listenForBuildctl(socket));
  unix = open.use(await listenForBuildctl(socket, join(directory.path, 'buildkit.sock')));
  registry = open.use(await startDockerRegistry(join(directory.path, 'registry')));
  environment = { ...dockerd.environment, PATH: `${program}:${dockerd.environment['PATH'] ?? ''}` };
}, 1_800_000);

afterAll(async () => {
  await open.disposeAsync();
  directory[Symbol.dispose]();
});

/** The connections to BuildKit. */
const CONNECTIONS = {
  tcp: () => tcp.address,
  unix: () => unix.address,
  buildx: () => 'buildx:default',
};
type Connection = keyof typeof CONNECTIONS;

function engine(way: Connection): Engine {
  return engineAt(CONNECTIONS[way](), environment);
}

test.each<Connection>(['tcp', 'unix'])(
  'builds the same image as the native engine through %s',
  async (way) => {
    using place = scratch();
    const path = join(place.path, 'context');
    mkdirSync(path);
    writeTortureContext(path);
    const context = contextOf(path);
    const ours = await build(join(place.path, 'ours'), TORTURE, { context });
    const store = join(place.path, 'theirs');
    const theirs = await build(store, TORTURE, { context, engine: engine(way) });
    expect(theirs.diffIds).toEqual(ours.diffIds);
    expect(theirs.descriptor).toEqual(ours.descriptor);
    expect(readdirSync(join(store, 'tmp'))).toEqual([]);
  },
  120_000,
);

test.each<Connection>(['tcp', 'buildx'])(
  'does not confuse files of the same name and size through %s',
  async (way) => {
    using place = scratch();
    const path = join(place.path, 'context');
    mkdirSync(path);
    const text = 'FROM scratch\nCOPY a* d* /\n';
    const copied: unknown[] = [];
    for (const write of [
      (): void => writeFileSync(join(path, 'a'), 'one'),
      (): void => writeFileSync(join(path, 'a'), 'two'),
      (): void => writeFileSync(join(path, 'd/b'), 'one'),
      (): void => writeFileSync(join(path, 'd/b'), 'two'),
      (): void => rmSync(join(path, 'd/b')),
    ]) {
      write();
      mkdirSync(join(path, 'd'), { recursive: true });
      writeFileSync(join(path, 'd/c'), 'c');
      const context = contextOf(path);
      const ours = await build(join(place.path, 'ours'), text, { context });
      const theirs = await build(join(place.path, 'theirs'), text, {
        context,
        engine: engine(way),
      });
      expect(theirs.diffIds).toEqual(ours.diffIds);
      copied.push(ours.diffIds);
    }
    expect(copied[0]).not.toEqual(copied[1]);
  },
  120_000,
);

test.each<Connection>(['tcp', 'buildx'])(
  'reports the same steps, logs and errors as the native engine through %s',
  async (way) => {
    // Prevents cache hits from the previous test.
    const text = `FROM base AS one
ENV WAY=${way}
ARG WHERE=/a
WORKDIR /
RUN echo one; echo more
COPY <<FILE $WHERE
a
FILE
RUN echo a
FROM one
WORKDIR /srv
RUN (cat $WHERE; echo here) >&2; exit 7
`;
    const [ours, theirs] = [await failing(text, nativeEngine()), await failing(text, engine(way))];
    expect(theirs.error).toMatchObject({
      code: 'BUILD_FAILED',
      message:
        'Dockerfile:12:1: RUN (cat $WHERE; echo here) >&2; exit 7: the command ended with status 7',
      detail: 'a\nhere',
    });
    const { code, message, detail } = ours.error;
    expect(theirs.error).toMatchObject({ code, message, detail });
    expect(theirs.steps).toEqual(ours.steps);
    expect([...theirs.steps.values()]).toContain(
      '[1 2/2] RUN (cat $WHERE; echo here) >&2; exit 7 failed: a\nhere\n',
    );
  },
  120_000,
);

/** Builds, and returns the error and the events of each step. */
async function failing(
  text: string,
  by: Engine,
): Promise<{ error: LktError; steps: ReadonlyMap<string, string> }> {
  using place = scratch();
  const titles = new Map<string, string>();
  const logs = new Map<string, string>();
  const ends = new Map<string, string>();
  const onEvent = (event: ProgressEvent): void => {
    if (event.kind === 'start') titles.set(event.id, event.title);
    if (event.kind === 'log') logs.set(event.id, (logs.get(event.id) ?? '') + event.text);
    if (event.kind === 'done' || event.kind === 'failed') ends.set(event.id, event.kind);
  };
  const error = await errorOf(build(join(place.path, 'store'), text, { engine: by, onEvent }));
  const steps = [...titles]
    .filter(([id]) => /^test:\w+\/\d+$/.test(id))
    .toSorted(([a], [b]) => (a < b ? -1 : 1));
  return {
    error,
    steps: new Map(
      steps.map(([id, title]) => [id, `${title} ${ends.get(id) ?? ''}: ${logs.get(id) ?? ''}`]),
    ),
  };
}

/** Returns the error of lkt that a build ends with. */
async function errorOf(built: Promise<unknown>): Promise<LktError> {
  const error: unknown = await built.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof LktError) return error;
  throw new Error('no error of lkt', { cause: error });
}

const SECRET = 'hunter2+hunter2/hunter2';

test.each<Connection>(['tcp', 'buildx'])(
  'passes secrets through %s, and keeps them out of logs and images',
  async (way) => {
    using place = scratch();
    const path = join(place.path, 'a secret, "quoted"');
    writeFileSync(path, SECRET);
    const secrets = new Map<string, SecretSource>([
      ['file', { kind: 'file', path }],
      ['variable', { kind: 'env', value: `${SECRET}!` }],
    ]);
    const text = `FROM base
RUN --mount=type=secret,id=file,required --mount=type=secret,id=variable cat /run/secrets/*; wc -c < /run/secrets/variable > /size-${way}
RUN --mount=type=secret,id=absent test ! -e /run/secrets/absent
`;
    const ours = await build(join(place.path, 'ours'), text, { secrets });
    const store = join(place.path, 'theirs');
    const theirs = await build(store, text, { secrets, engine: engine(way) });
    expect(theirs.descriptor).toEqual(ours.descriptor);
    expect(theirs.log).toBe('******');
    const leaking = `FROM base\nRUN --mount=type=secret,id=file cat /run/secrets/file > /kept-${way}\n`;
    const { code, message, detail } = await errorOf(
      build(store, leaking, { secrets, engine: engine(way) }),
    );
    // Compared as one object, so that a failure shows all of it.
    expect({ code, message, detail }).toEqual({
      code: 'BUILD_FAILED',
      message: `the secret "file" would be in the image, in /kept-${way}`,
      detail: undefined,
    });
    const missing = 'FROM base\nRUN --mount=type=secret,id=none,required true\n';
    expect(await errorOf(build(store, missing, { engine: engine(way) }))).toMatchObject({
      code: 'NOT_FOUND',
      message: 'Dockerfile:2:5: the secret "none" is missing',
    });
  },
  120_000,
);

test('forwards an ssh agent to the same socket path as the native engine', async () => {
  using place = scratch();
  const socket = join(place.path, 'agent');
  const agent = spawn('ssh-agent', ['-D', '-a', socket], { stdio: 'ignore' });
  try {
    await expect.poll(() => existsSync(socket)).toBe(true);
    const text =
      'FROM base\nRUN --mount=type=ssh test -S "$SSH_AUTH_SOCK" && echo "$SSH_AUTH_SOCK" > /where\n';
    const ssh = new Map([['default', socket]]);
    const ours = await build(join(place.path, 'ours'), text, { ssh });
    const theirs = await build(join(place.path, 'theirs'), text, { ssh, engine: engine('tcp') });
    expect(theirs.descriptor).toEqual(ours.descriptor);
  } finally {
    agent.kill();
    await once(agent, 'exit');
  }
});

test('an interrupted build through buildctl ends at once and leaves nothing', async () => {
  using place = scratch();
  const store = join(place.path, 'store');
  const controller = new AbortController();
  const building = build(store, 'FROM base\nRUN echo here; sleep 1000\n', {
    engine: engine('tcp'),
    signal: controller.signal,
    onEvent: (event) => {
      if (event.kind === 'log') controller.abort();
    },
  });
  await expect(building).rejects.toMatchObject({ name: 'AbortError' });
  expect(readdirSync(join(store, 'tmp'))).toEqual([]);
  // The command in the container has ended as well.
  await expect
    .poll(() => execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' }))
    .not.toMatch(/^sleep 1000$/m);
});

/** A cross build: its command runs on the build platform, and the target has no command. */
const CROSS = `FROM --platform=$BUILDPLATFORM base AS compiler
ARG TARGETARCH BUILDPLATFORM
RUN echo "for $TARGETARCH on $BUILDPLATFORM" > /program
FROM scratch
COPY --from=compiler /program /
`;

test.each<Connection>(['tcp', 'buildx'])(
  'cross-builds the same image as the native engine through %s, without emulation',
  async (way) => {
    using place = scratch();
    const indexes = [];
    for (const by of [nativeEngine(), engine(way)]) {
      const store = await openStore(join(place.path, `store-${indexes.length}`));
      const manifests = [];
      for (const architecture of ['amd64', 'arm64']) {
        const platform = { os: 'linux', architecture };
        const { descriptor } = await build(store.dir, CROSS, { platform, engine: by });
        manifests.push({ ...descriptor, platform });
      }
      indexes.push(await writeIndex(store, manifests));
    }
    expect(indexes[1]).toEqual(indexes[0]);
  },
  120_000,
);

test('each platform can have its own builder, which counts as a machine of that platform', async () => {
  using place = scratch();
  const engines = buildkitEngine({
    builders: [`linux/arm64=${tcp.address}`],
    environment,
    fallback: nativeEngine(),
  });
  const arm64 = { os: 'linux', architecture: 'arm64' };
  expect(engines.buildPlatform?.(arm64)).toEqual(arm64);
  const store = join(place.path, 'store');
  await build(store, 'FROM base\nRUN true\n', { engine: engines });
  const text = 'FROM scratch\nCOPY <<F /f\n$TARGETARCH\nF\n';
  const ours = await build(store, text, { platform: arm64 });
  const theirs = await build(store, text, { platform: arm64, engine: engines });
  expect(theirs.descriptor).toEqual(ours.descriptor);
  expect(theirs.ran.length + theirs.cached.length).toBe(1);
});

test.each<Connection>(['tcp', 'buildx'])(
  'stores steps in a registry through %s, and reuses them',
  async (way) => {
    using place = scratch();
    const text = `FROM base AS one\nRUN echo ${way} > /a\nFROM scratch\nCOPY --from=one /a /\n`;
    const to = `${registry.host}/cache/${way}:latest`;
    const store = join(place.path, 'store');
    const first = await build(store, text, { engine: engine(way), remoteCache: { to } });
    expect(first.ran).toContain(`RUN echo ${way} > /a`);
    forget();
    const second = await build(store, text, { engine: engine(way), remoteCache: { from: [to] } });
    expect(second.cached).toContain(`COPY --from=one /a /`);
    expect(second.ran).not.toContain(`RUN echo ${way} > /a`);
    expect(second.descriptor).toEqual(first.descriptor);
    forget();
    const third = await build(store, text, { engine: engine(way) });
    expect(third.ran).toContain(`RUN echo ${way} > /a`);
  },
  120_000,
);

function forget(): void {
  execFileSync('docker', ['builder', 'prune', '--all', '--force'], {
    env: environment,
    stdio: 'pipe',
  });
}

test('rejects a cache that is not a reference', async () => {
  using place = scratch();
  const building = build(join(place.path, 'store'), 'FROM base\nRUN true\n', {
    engine: engine('tcp'),
    remoteCache: { to: 'x,dest=/etc' },
  });
  await expect(building).rejects.toMatchObject({ code: 'REFERENCE_INVALID' });
});
