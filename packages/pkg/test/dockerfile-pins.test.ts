import { join } from 'node:path';
import { type Digest, parseDigest } from '@lkt/core';
import { familiarReference, openStore } from '@lkt/oci';
import { expect, it } from 'vitest';
import { checkout, ENV, temporary } from '../../git/test/checkout.ts';
import { findDockerfilePins } from '../src/pins/dockerfile-pins.ts';
import { findPins } from '../src/pins/find-pins.ts';
import { foreignPin } from '../src/pins/foreign-images.ts';
import { ownRecipes } from '../src/pins/own-recipes.ts';
import { openWorkspace } from '../src/workspace/workspace.ts';
import { PlainEngine } from './plain-engine.ts';

const yml = (image: string, more = ''): string =>
  `org: lkt\nimage: ${image}\narches: [amd64]\n${more}`;
const digestOf = (digit: string): Digest => parseDigest(`sha256:${digit.repeat(64)}`);
const one = digestOf('1');
const two = digestOf('2');

/** Pins the foreign images of a Dockerfile, each tag to `one`, and returns it and build.yml. */
async function pinned(
  dockerfile: string,
  { update = false, buildYml = '' } = {},
): Promise<{ readonly dockerfile: string; readonly buildYml: string; asked: readonly string[] }> {
  await using repo = await checkout({
    'pkg/app/build.yml': yml('app', buildYml),
    'pkg/app/Dockerfile': dockerfile,
  });
  const workspace = await openWorkspace(repo.path, { env: ENV });
  const [found] = await ownRecipes(workspace, [workspace.get('lkt/app')]);
  if (found === undefined) throw new Error('no Dockerfile');
  const { item, recipe } = found;
  const asked: string[] = [];
  const resolveTag: Parameters<typeof foreignPin>[2] = {
    update,
    resolveTag: async (reference) => {
      asked.push(familiarReference(reference));
      return one;
    },
  };
  const { texts } = await findDockerfilePins(workspace, item, recipe, async (use) =>
    foreignPin(recipe.dockerfile.file, use, resolveTag),
  );
  const text = (name: string, otherwise: string): string =>
    texts.get(join(item.dir, name)) ?? otherwise;
  return {
    dockerfile: text('Dockerfile', dockerfile),
    buildYml: text('build.yml', yml('app', buildYml)),
    asked,
  };
}

it('pins FROM, COPY --from and RUN --mount=from, with a tag or without, and keeps all else', async () => {
  const before = `# syntax=docker/dockerfile:1
# x.io/a:1 stays here
FROM --platform=$BUILDPLATFORM \\
  # in between
  x.io/a:1 AS a
RUN --mount=type=bind,from=x.io/b,target=/b true # x.io/b stays
FROM scratch
COPY --from=a / /
COPY --from=x.io/c:3@${two} --chown=0 / /
COPY --from=x.io/d@${two} / /
`;
  const { dockerfile, asked } = await pinned(before);
  expect(dockerfile).toBe(
    before
      .replace('  x.io/a:1 AS', `  x.io/a:1@${one} AS`)
      .replace('from=x.io/b,', `from=x.io/b:latest@${one},`),
  );
  expect(asked).toEqual(['x.io/a:1', 'x.io/b:latest']);
  const updated = await pinned(before, { update: true });
  expect(updated.dockerfile).toBe(dockerfile.replace(`x.io/c:3@${two}`, `x.io/c:3@${one}`));
});

it.each(['"', "'"])('pins a reference in %s', async (quote) => {
  const before = `FROM ${quote}x.io/a:1${quote} AS a\nFROM scratch\nCOPY --from=a / /\n`;
  const { dockerfile } = await pinned(before);
  expect(dockerfile).toBe(before.replace('x.io/a:1', `x.io/a:1@${one}`));
  await expect(pinned(dockerfile)).resolves.toMatchObject({ dockerfile, asked: [] });
});

it('leaves stages that nothing needs', async () => {
  const text = 'FROM x.io/a:1 AS tool\nFROM scratch\nCOPY Dockerfile /\n';
  await expect(pinned(text)).resolves.toMatchObject({ dockerfile: text, asked: [] });
});

it.each([
  ['ARG V=1\nFROM x.io/a:$V\n', `ARG V=1@${one}\nFROM x.io/a:$V\n`],
  ["ARG I='x.io/a:1'\nFROM ${I}\n", `ARG I='x.io/a:1@${one}'\nFROM \${I}\n`],
  [
    'ARG A=0 I="x.io/a:1"\nFROM $I AS b\nFROM $I\nCOPY --from=b / /\n',
    `ARG A=0 I="x.io/a:1@${one}"\nFROM $I AS b\nFROM $I\nCOPY --from=b / /\n`,
  ],
  ['ARG I=x.io/a:1\nFROM "${I}"\n', `ARG I=x.io/a:1@${one}\nFROM "\${I}"\n`],
  ['ARG V\nFROM x.io/a:${V:-1}\n', undefined],
  ['ARG V=1\nFROM x.io/${V}-a:2\n', undefined],
  ['ARG V=1\nARG V=1\nFROM x.io/a:$V\n', undefined],
])('pins the default of an argument: %j', async (before, after) => {
  if (after === undefined)
    await expect(pinned(before)).rejects.toThrow(/cannot pin .*: it contains variables/);
  else await expect(pinned(before)).resolves.toMatchObject({ dockerfile: after });
});

it('pins the argument of build.yml, which overrides the default', async () => {
  const dockerfile = 'ARG V=0\nFROM x.io/a:$V\n';
  await expect(pinned(dockerfile, { buildYml: 'buildArgs: [V=1] # c\n' })).resolves.toMatchObject({
    dockerfile,
    buildYml: yml('app', `buildArgs: [V=1@${one}] # c\n`),
  });
});

it('finds what a changed Dockerfile makes stale, also in a package around it', async () => {
  await using repo = await checkout({
    'kernel/build.yml': yml('kernel'),
    'kernel/Dockerfile': 'FROM scratch\nCOPY . /\n',
    'kernel/base/build.yml': yml('base'),
    'kernel/base/Dockerfile': 'FROM x.io/a:1\n',
    'pkg/app/build.yml': yml('app'),
    'pkg/app/Dockerfile': `FROM lkt/kernel:old@${two}\n`,
  });
  await using dir = await temporary();
  const workspace = await openWorkspace(repo.path, { env: ENV });
  const options = {
    store: await openStore(dir.path),
    engine: new PlainEngine(),
    mirror: () => Promise.reject(new Error('no mirror in this test')),
    reporter: { emit: () => undefined },
  };
  const find = async (...names: readonly string[]): Promise<readonly string[]> => {
    const items = names.map((name) => workspace.get(name));
    const { changes } = await findPins(workspace, items, options, { resolveTag: async () => one });
    return changes.map(({ file, line, from, to }) => `${file}:${line} ${from} ${to}`);
  };
  expect(await find('lkt/base', 'lkt/app')).toEqual([
    `kernel/base/Dockerfile:1 x.io/a:1 x.io/a:1@${one}`,
    `pkg/app/Dockerfile:1 lkt/kernel:old@${two} lkt/kernel:…@sha256:…`,
  ]);
  expect(await find('lkt/app')).toEqual([
    expect.stringMatching(
      `^pkg/app/Dockerfile:1 lkt/kernel:old@${two} lkt/kernel:[0-9a-f]{40}@sha256:…$`,
    ),
  ]);
  expect(options.engine.built).toEqual([]);
});
