import { spawnSync } from 'node:child_process';
import { lchownSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { build, contextOf, scratch } from './fixture.ts';
import { TORTURE, TORTURE_OWNERS, writeTortureContext } from './torture.ts';

/** The first digits of BuildKit's diffIDs, from the first layer above the base. */
const BUILD_STAGE = [
  '43fc751302045dc2',
  '39d50d507bd52add',
  'a196690cb2ae61e5',
  '1368584c8fe04e19',
  '5e97e37e9150332b',
  '5f70bf18a0860070',
  '2f213b70e4700ab0',
  'cb31528951cb7a54',
  'd838bda907c539bd',
  '2a45595307aa3ab3',
  '5f70bf18a0860070',
  '5f70bf18a0860070',
  '092d6372ec477e9b',
  '689ef9c6ab68f5d3',
  '83a52f8002a94155',
  'aae626f0ecd4b3f3',
];
const FINAL_STAGE = [
  '74334d4c22c2ff39',
  'd6df77e82616a9c8',
  '3370c2a04c86e1eb',
  '1fc9fc9cdc6cd3a7',
  '19206b501c7e33d2',
  '90417e807bca1bce',
  '4e36b220721e615c',
  '73240c6cec1a1993',
  'ee38109741a71550',
  '92866dc4c0c222c6',
  'f2cd96310406eff2',
  '46f6a9bc94edeb08',
  '044fca8b1cdb4f78',
  '8c5771dd74af48a6',
  '409a097a3ca507ae',
  'a76b6fc9d627bbb7',
  'e4fe0da40aa1cf86',
  'e3b8b2b9f9be85cb',
  'a4f026973a553312',
  '953f58ced1e357ff',
  'd590644880fdd160',
  '1408a5f336d900d4',
  '88e1132dfadd397f',
  '42f20c8cc86c6404',
  'caed8b3cc9203b79',
  '5517def77e61bb38',
];
const OWNERS = [
  '8b3360b70232673a',
  '0318546741676337',
  '3d8a82bf74e97ca3',
  '414f122816b2ae00',
  '374146a3ab9bb4e5',
  'e2a794fb64fe9065',
  'c98364d9d10be54f',
];

test('makes the same layer as BuildKit in every step', async () => {
  using directory = scratch();
  const context = join(directory.path, 'context');
  writeTortureContext(context);
  const store = join(directory.path, 'store');
  const options = { context: contextOf(context) };
  const final = await build(store, TORTURE, options);
  expect(starts(final.diffIds)).toEqual(FINAL_STAGE);
  // The layers of an intermediate stage become an image from their directories.
  const middle = await build(store, TORTURE, { ...options, target: 'build' });
  expect(starts(middle.diffIds)).toEqual(BUILD_STAGE);
  expect(middle.ran).toEqual([]);
});

test('makes the same owners and devices as BuildKit', async () => {
  using directory = scratch();
  const context = join(directory.path, 'context');
  writeTortureContext(context);
  const store = join(directory.path, 'store');
  const built = await build(store, TORTURE_OWNERS, { context: contextOf(context) });
  expect(starts(built.diffIds)).toEqual(OWNERS);
});

test.each(['bwrap', 'runc', 'crun', '/usr/bin/crun'])(
  'makes the same layers with %s',
  async (executor) => {
    using directory = scratch();
    const context = join(directory.path, 'context');
    writeTortureContext(context);
    const store = join(directory.path, 'store');
    const options = { context: contextOf(context), executor };
    expect(starts((await build(store, TORTURE, options)).diffIds)).toEqual(FINAL_STAGE);
    const owners = build(store, TORTURE_OWNERS, options);
    if (executor !== 'bwrap') expect(starts((await owners).diffIds)).toEqual(OWNERS);
    else {
      await expect(owners).rejects.toMatchObject({
        code: 'UNSUPPORTED',
        message: expect.stringMatching(/^Dockerfile:\d+:1: bubblewrap .* USER joe/) as string,
        fix: expect.stringContaining('runc') as string,
      });
    }
  },
  180_000,
);

const PERTURBED = [
  ['env', 'TZ=Asia/Tokyo', 'LANG=de_DE.UTF-8', 'HOME=/nowhere', 'SOURCE_DATE_EPOCH=7'],
  ['prlimit', '--nofile=256', '--stack=1048576', '--core=0'],
  ['taskset', '1'],
  ['unshare', '--uts', 'sh', '-c', 'hostname other; exec "$@"', 'sh'],
  ['sh', '-c', 'umask 077; exec "$@"', 'sh'],
].flat();

const WORLDS: readonly {
  readonly name: string;
  readonly argv: readonly string[];
  readonly executor?: string;
}[] = [
  { name: 'another umask, time zone, locale, host name, limits, processors', argv: PERTURBED },
  {
    name: 'a user without privileges',
    argv: ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'],
  },
  ...['bwrap', 'runc', 'crun'].map((executor) => ({
    name: `a user without privileges, by ${executor}`,
    argv: ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'],
    executor,
  })),
];

test.each(WORLDS)(
  'makes the same image: $name',
  async ({ argv, executor = 'init' }) => {
    using directory = scratch();
    const context = join(directory.path, 'elsewhere', 'checkout');
    mkdirSync(join(directory.path, 'elsewhere'));
    writeTortureContext(context, 1);
    if (argv[0] === 'setpriv') makePublic(directory.path);
    const script = join(import.meta.dirname, 'build-torture.ts');
    const [program = '', ...flags] = argv;
    const { status, stdout, stderr } = spawnSync(
      program,
      [
        ...flags,
        process.execPath,
        '--no-warnings',
        script,
        join(directory.path, 'store'),
        context,
        executor,
      ],
      { cwd: '/', encoding: 'utf8' },
    );
    expect(stderr).toBe('');
    expect(status).toBe(0);
    expect(starts(stdout.trim().split('\n'))).toEqual(FINAL_STAGE);
  },
  120_000,
);

/** Modes of the checkout stay; the owner becomes the user who builds. */
function makePublic(path: string): void {
  for (const entry of [path, ...contextOf(path).map(({ source }) => source)])
    lchownSync(entry, 65_534, 65_534);
  for (const name of [
    'elsewhere',
    'elsewhere/checkout',
    'elsewhere/checkout/sub',
    'elsewhere/checkout/sub/deep',
    'elsewhere/checkout/tmp',
  ])
    lchownSync(join(path, name), 65_534, 65_534);
}

function starts(diffIds: readonly string[]): string[] {
  return diffIds.slice(1).map((diffId) => diffId.slice('sha256:'.length, 'sha256:'.length + 16));
}
