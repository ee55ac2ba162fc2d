import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { digestOf, type ProgressEvent } from '@lkt/core';
import { writeDockerArchive, loadImage, openStore, parsePlatform, writeTar } from '@lkt/oci';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Engine, nativeEngine, type SecretSource } from '@lkt/builder';
import { ADD_ARCHIVES, ADD_OWNERS, writeArchives } from '../../builder/test/add/add-archive.ts';
import { build, type Built, contextOf, file, scratch } from '../../builder/test/fixture.ts';
import { repository, serveGit } from '../../builder/test/add/git-server.ts';
import { TORTURE, TORTURE_OWNERS, writeTortureContext } from '../../builder/test/torture.ts';
import { serveFiles } from '../../builder/test/add/file-server.ts';
import { type Dockerd, engineAt, startDockerd } from './dockerd.ts';

const directory = scratch();
let dockerd: Dockerd | undefined;

beforeAll(async () => {
  dockerd = await startDockerd(join(directory.path, 'docker'));
});

afterAll(async () => {
  await dockerd?.[Symbol.asyncDispose]();
  directory[Symbol.dispose]();
});

function engine(address = 'buildx:default'): Engine {
  return engineAt(address, dockerd?.environment ?? {});
}

function docker(...args: readonly string[]): string {
  return execFileSync('docker', args, { env: dockerd?.environment ?? {}, encoding: 'utf8' });
}

/**
 * A stage by variable, a stage named like an image, an environment, and a syntax that must not be
 * fetched.
 */
const STAGES = `# syntax=registry.invalid/frontend:1
# escape=\\
ARG BASE=base
FROM \${BASE} AS base
ARG GREETING=hello
ENV PLACE=/srv
WORKDIR $PLACE
RUN echo "$GREETING $SOURCE_DATE_EPOCH $(hostname) $HOME $PATH" > said
FROM base AS other
RUN --mount=type=bind,source=sub,target=/mnt cp /mnt/b copied
FROM scratch
COPY --from=other /srv/ /srv/
COPY --from=base /bin/busybox /bin/
ADD --chmod=600 a.txt run.sh /
LABEL of="file"
USER 5
ENTRYPOINT ["/bin/busybox"]
CMD ["cat", "/srv/said"]
`;

/** The last ARG or ENV wins; an image keeps its ENV. */
const VARIABLES = `FROM base AS one
ENV A=1 B=1
ARG A=2
RUN echo $A $B > /one
FROM one AS two
ARG B=3
RUN echo $A $B > /two
ENV A=4
ARG C=$A
WORKDIR /$A$B$C
FROM two
RUN echo $A $B $C > /three
`;

/** SOURCE_DATE_EPOCH in a Dockerfile overrides the engine's value. */
const EPOCHS = `FROM base AS one
RUN echo $SOURCE_DATE_EPOCH > /one
COPY a.txt /at-$SOURCE_DATE_EPOCH
ARG SOURCE_DATE_EPOCH=5
RUN echo $SOURCE_DATE_EPOCH > /two
ENV SOURCE_DATE_EPOCH=7
RUN echo $SOURCE_DATE_EPOCH > /three
FROM one
RUN echo $SOURCE_DATE_EPOCH > /four
WORKDIR /in-$SOURCE_DATE_EPOCH
`;

/** Linked layers over directories, symlinks and files. */
const LINKED = `FROM base
RUN mkdir -m 700 /there && ln -s /there /to && echo x > /file && mkdir /gone
COPY --link a.txt /there/
COPY --link sub /to/
ADD --link --chown=5:6 a.txt /to/deep/
COPY --link run.sh /file/
COPY --link --chmod=600 a.txt /to/
COPY --link --from=base /bin/busybox /gone
RUN find /there /to /file /gone | sort | while read f; do stat -c '%a %u %n' "$f"; done > /list
`;

test('starts with empty cache mounts on request', async () => {
  using place = scratch();
  const layer = async (run: string, emptyCaches = false): Promise<unknown> =>
    (await build(place.path, `FROM base\nRUN ${run}\n`, { engine: engine(), emptyCaches }))
      .diffIds[1];
  const cache = '--mount=type=cache,target=/c';
  await layer(`${cache} touch /c/x`);
  expect(await layer(`${cache} ls /c >/seen`)).toBe(await layer('echo x >/seen'));
  expect(await layer(`${cache} ls /c >/seen`, true)).toBe(await layer(': >/seen'));
});

test.each([
  { name: 'linked layers', text: LINKED },
  { name: 'a layer of every kind', text: TORTURE },
  { name: 'owners and devices', text: TORTURE_OWNERS },
  { name: 'stages and metadata', text: STAGES },
  { name: 'the time of a Dockerfile', text: EPOCHS },
  { name: 'variables', text: VARIABLES },
])(
  'builds the same image as the native engine: $name',
  async ({ text }) => {
    using place = scratch();
    // The contexts differ in what git does not record.
    const contexts = ['one', 'two'].map((name, variant) => {
      const path = join(place.path, name);
      mkdirSync(path);
      writeTortureContext(path, variant);
      return contextOf(path);
    });
    const common = { labels: { added: 'yes' }, buildArgs: new Map([['GREETING', 'good day']]) };
    const [context = [], other = []] = contexts;
    const ours = await build(join(place.path, 'ours'), text, { ...common, context });
    const store = join(place.path, 'theirs');
    const theirs = await build(store, text, { ...common, context: other, engine: engine() });
    expect(theirs.diffIds).toEqual(ours.diffIds);
    expect(theirs.descriptor).toEqual(ours.descriptor);
    expect(readdirSync(join(store, 'tmp'))).toEqual([]);
  },
  120_000,
);

test.each([
  { name: 'archives', text: ADD_ARCHIVES },
  { name: 'archives with owners and devices', text: ADD_OWNERS },
])(
  'unpacks the same files as the native engine: $name',
  async ({ text }) => {
    using place = scratch();
    writeArchives(join(place.path, 'context'));
    const context = contextOf(join(place.path, 'context'));
    const ours = await build(join(place.path, 'ours'), text, { context });
    const theirs = await build(join(place.path, 'theirs'), text, { context, engine: engine() });
    expect(theirs.diffIds).toEqual(ours.diffIds);
    expect(theirs.descriptor).toEqual(ours.descriptor);
  },
  120_000,
);

test('docker load reads an archive from the store', async () => {
  using place = scratch();
  const layout = join(place.path, 'store');
  const { descriptor } = await build(layout, 'FROM base\nENV A=b\n');
  const store = await openStore(layout);
  const image = await loadImage(store, descriptor.digest, parsePlatform('linux/amd64'));
  const path = join(place.path, 'archive.tar');
  await writeFile(path, writeDockerArchive(store, [{ image, tags: ['lkt/test:1'] }]));
  expect(docker('load', '--input', path)).toContain('lkt/test:1');
  const [loaded] = JSON.parse(docker('image', 'inspect', 'lkt/test:1')) as {
    RootFS: { Layers: unknown };
    Config: { Env: unknown };
  }[];
  expect(loaded?.RootFS.Layers).toEqual(image.config.rootfs.diff_ids);
  expect(loaded?.Config.Env).toContain('A=b');
});

test('BuildKit receives the files of ADD from a git repository', async () => {
  using place = scratch();
  const path = join(place.path, 'git', 'project');
  const commit = repository(path, {
    README: 'read\n',
    'bin/run': '#!/bin/sh\n',
    'src/a/b': 'b\n',
    'src/link': '-> ../README',
  });
  await using server = await serveGit(join(place.path, 'git'));
  const from = `${server.address}/project`;
  const text = [
    'FROM base',
    'RUN mkdir -m 700 /there && mkdir /there/src && echo x > /there/README',
    `ADD ${from}#${commit} /there`,
    `ADD ["${from}#${commit}:src", "/new/deep/"]`,
    `ADD --chown=5:6 --chmod=750 ${from}#${commit} \\`,
    '  /owned/',
    '',
  ].join('\n');
  const ours = await build(join(place.path, 'ours'), text);
  const theirs = await build(join(place.path, 'theirs'), text, { engine: engine() });
  expect(theirs.diffIds).toEqual(ours.diffIds);
  expect(theirs.descriptor).toEqual(ours.descriptor);
});

/** A base with ONBUILD triggers that use a stage, an image, the context and a here-document. */
const TRIGGERS = `FROM base
ENV P=/srv
ONBUILD ARG WHO=you
ONBUILD WORKDIR $P
ONBUILD COPY a.txt ./
ONBUILD RUN <<E
echo "$WHO $SOURCE_DATE_EPOCH" > who
E
ONBUILD COPY --from=tools /t /tool
ONBUILD run --mount=from=base,source=/bin,target=/mnt \\
  cp /mnt/busybox /bb
`;

const TRIGGERED = `FROM base AS tools
RUN echo t > /t
FROM triggers AS middle
ONBUILD RUN echo again > /again
# between
ONBUILD COPY --from=base /bin/busybox /copied/
ONBUILD COPY <<F /file
in it
F
FROM middle
RUN cat who > /end
`;

test('BuildKit runs the ONBUILD triggers of base images', async () => {
  using place = scratch();
  writeFileSync(join(place.path, 'a.txt'), 'a\n');
  const context = [{ path: 'a.txt', source: join(place.path, 'a.txt') }];
  const builtWith = async (name: string, by: Engine): Promise<Built> => {
    const store = join(place.path, name);
    const { descriptor } = await build(store, TRIGGERS);
    const { descriptor: base } = await build(store, 'FROM base\n');
    const bases = new Map([
      ['base', base.digest],
      ['triggers', descriptor.digest],
    ]);
    return build(store, TRIGGERED, { bases, context, engine: by });
  };
  const ours = await builtWith('ours', nativeEngine());
  const theirs = await builtWith('theirs', engine());
  expect(theirs.diffIds).toEqual(ours.diffIds);
  expect(theirs.descriptor).toEqual(ours.descriptor);
  const all = [...theirs.ran, ...theirs.cached];
  for (const title of [...ours.ran, ...ours.cached]) expect(all).toContain(title);
});

test('BuildKit receives the files of ADD from a URL', async () => {
  using place = scratch();
  await using server = await serveFiles({
    '/file-1.0+x': 'what is fetched\n',
    '/': 'nameless\n',
    '/archive.tgz': gzipSync(Buffer.concat(await Array.fromAsync(writeTar([file('in', 'x')])))),
  });
  const sum = digestOf('what is fetched\n');
  const text = [
    'FROM base',
    'RUN mkdir -m 700 /there',
    `ADD --checksum=${sum} ${server.address}/file-1.0+x /there`,
    `ADD --checksum=${sum} --unpack --chmod=755 ["${server.address}/file-1.0+x", "/new/deep/"]`,
    `ADD --chown=5:6 --checksum=${digestOf('nameless\n')} \\`,
    `  ${server.address}/ \\`,
    '  /a/',
    `ADD --link --checksum=${sum} --unpack=false ${server.address}/file-1.0+x /renamed`,
    '',
  ].join('\n');
  const ours = await build(join(place.path, 'ours'), text);
  const store = join(place.path, 'theirs');
  const theirs = await build(store, text, { engine: engine() });
  expect(theirs.diffIds).toEqual(ours.diffIds);
  expect(theirs.descriptor).toEqual(ours.descriptor);
  const archive = await fetch(`${server.address}/archive.tgz`);
  const archiveSum = digestOf(Buffer.from(await archive.arrayBuffer()));
  const unpacking = `FROM base\nADD --unpack --checksum=${archiveSum} ${server.address}/archive.tgz /\n`;
  await expect(build(store, unpacking, { engine: engine() })).rejects.toMatchObject({
    code: 'UNSUPPORTED',
    message: expect.stringContaining('ADD --unpack of a URL') as string,
  });
});

test('sets variables with secrets by a shell where BuildKit cannot', async () => {
  using place = scratch();
  const secrets = new Map<string, SecretSource>([
    ['one', { kind: 'env', value: 'it\'s "so" $HOME\n\n' }],
    ['two', { kind: 'env', value: 'second-secret' }],
  ]);
  const text = `FROM base
RUN echo before
RUN --mount=type=secret,id=one,env=ONE --mount=from=base,target=/mnt \\
    --mount=type=secret,id=two,env=TWO --mount=type=secret,id=none,env=NONE \\
    printf %s "$ONE$TWO" | wc -c > /length; test -z "\${NONE+x}" && test -d /mnt/bin
RUN --mount=type=secret,id=two,env=TWO <<E
test "$TWO" = second-secret
cat <<F > /twice
x
F
E
USER joe
RUN --mount=type=secret,id=two,env=TWO ["sh", "-c", "test $TWO = second-secret", "<<A"]
`;
  const ours = await build(join(place.path, 'ours'), text, { secrets });
  const theirs = await build(join(place.path, 'theirs'), text, { secrets, engine: engine() });
  expect(theirs.diffIds).toEqual(ours.diffIds);
  expect(theirs.descriptor).toEqual(ours.descriptor);
  const both =
    'FROM base\nRUN --mount=type=secret,id=two,env=TWO,target=/two echo "$TWO"; cat /two\n';
  const store = join(place.path, 'theirs');
  await expect(build(store, both, { secrets, engine: engine() })).rejects.toMatchObject({
    code: 'UNSUPPORTED',
    message: 'Dockerfile:2:5: this BuildKit cannot put the secret into a variable',
  });
});

test('reports a failed step with its position and log', async () => {
  using place = scratch();
  const text = 'FROM base AS one\nRUN echo fine\nRUN echo gone >&2; exit 3\nFROM one\nRUN true\n';
  const events: ProgressEvent[] = [];
  const failing = build(join(place.path, 'store'), text, {
    engine: engine(),
    onEvent: (event) => events.push(event),
  });
  await expect(failing).rejects.toMatchObject({
    code: 'BUILD_FAILED',
    message: 'Dockerfile:3:1: RUN echo gone >&2; exit 3: the command ended with status 3',
    detail: 'gone',
  });
  const kinds = new Map(events.map((event) => ['id' in event ? event.id : '', event.kind]));
  expect([...kinds.values()].toSorted()).toEqual(['done', 'failed']);
  expect(events).toContainEqual(expect.objectContaining({ kind: 'log', text: 'fine\n' }));
});

test('an interrupted build ends at once and leaves nothing', async () => {
  using place = scratch();
  const store = join(place.path, 'store');
  const controller = new AbortController();
  const building = build(store, 'FROM base\nRUN echo here; sleep 987\n', {
    engine: engine(),
    signal: controller.signal,
    onEvent: (event) => {
      if (event.kind === 'log') controller.abort();
    },
  });
  await expect(building).rejects.toMatchObject({ name: 'AbortError' });
  expect(readdirSync(join(store, 'tmp'))).toEqual([]);
});

test.each([
  {
    what: 'a program that is not installed',
    address: 'tcp://127.0.0.1:1',
    environment: { PATH: '/nowhere' },
    error: { code: 'TOOL_MISSING', fix: expect.stringContaining('buildctl') },
  },
  {
    what: 'a docker that is not installed',
    address: 'buildx:default',
    environment: { PATH: '/nowhere' },
    error: { code: 'TOOL_MISSING', fix: 'sudo apt-get install docker-cli docker-buildx' },
  },
  {
    what: 'a Docker that does not run',
    address: 'buildx:default',
    environment: { PATH: '/usr/bin:/bin', DOCKER_HOST: 'unix:///nowhere/docker.sock' },
    error: { code: 'NETWORK_FAILED', message: 'cannot connect to the builder buildx:default' },
  },
  {
    what: 'a builder that does not exist',
    address: 'buildx:unknown',
    environment: { PATH: '/usr/bin:/bin' },
    error: { code: 'NOT_FOUND', message: 'there is no builder buildx:unknown' },
  },
])('reports $what', async ({ address, environment, error }) => {
  using place = scratch();
  const home = join(place.path, 'home');
  mkdirSync(home);
  const remote = engineAt(address, { ...(environment as Record<string, string>), HOME: home });
  const building = build(join(place.path, 'store'), 'FROM base\nRUN true\n', { engine: remote });
  await expect(building).rejects.toMatchObject(error);
});

test.each([
  ['RUN --network=host true', 'needs the network'],
  ['RUN --security=insecure true', '--security=insecure is not supported'],
  [
    `ADD --checksum=${digestOf('x')} https://example.invalid/a%20b /x`,
    'the file name "a b" does not work with BuildKit',
  ],
])('rejects %s before it starts a builder', async (line, message) => {
  using place = scratch();
  const remote = engineAt('buildx:default', { PATH: '/nowhere' });
  const building = build(join(place.path, 'store'), `FROM base\n${line}\n`, { engine: remote });
  await expect(building).rejects.toMatchObject({
    code: 'UNSUPPORTED',
    message: expect.stringContaining(message),
  });
});

test('reports a file of the context that has vanished', async () => {
  using place = scratch();
  const path = join(place.path, 'a');
  writeFileSync(path, 'a');
  const remote = engineAt('buildx:default', { PATH: '/nowhere' });
  const building = build(join(place.path, 'store'), 'FROM base\nCOPY . /\n', {
    engine: remote,
    context: [{ path: 'b', source: join(place.path, 'b') }],
  });
  await expect(building).rejects.toMatchObject({ code: 'IO_FAILED' });
});
