import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { SecretSource } from '@lkt/builder';
import { type Digest, digestOf } from '@lkt/core';
import { openStore, writeTar } from '@lkt/oci';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { serveFiles } from '../../../builder/test/add/file-server.ts';
import { commit, git, repository, serveGit } from '../../../builder/test/add/git-server.ts';
import { build, file, scratch } from '../../../builder/test/fixture.ts';
import { type Dockerd, startDockerd } from '../dockerd.ts';
import { builtImage, differences } from './built-image.ts';
import { type OwnCase, writeCase } from './own-case.ts';
import { SOURCE_CASES, sourceCases } from './own/sources.ts';
import { buildkitPeer } from './peers.ts';
import { writeStandIns } from './stand-ins.ts';

const TEXT = 'what is fetched\n';
const directory = scratch();
const at = (...names: readonly string[]): string => join(directory.path, ...names);
const resources = new AsyncDisposableStack();
let dockerd: Dockerd;
let bases: ReadonlyMap<string, Digest>;
let cases: readonly OwnCase[];

beforeAll(async () => {
  resources.defer(() => directory[Symbol.dispose]());
  const [base] = (await writeStandIns(await openStore(at('store')))).values();
  if (base === undefined) throw new Error('no image stands for base');
  bases = new Map([['base', base]]);
  const archive = gzipSync(Buffer.concat(await Array.fromAsync(writeTar([file('in', 'inner')]))));
  const files = resources.use(
    await serveFiles({
      '/file': TEXT,
      '/old': (_, response) => {
        response.writeHead(200, { 'last-modified': 'Sat, 03 Feb 2001 04:05:06 GMT' }).end(TEXT);
      },
      '/archive.tgz': archive,
    }),
  );
  const first = repository(at('git/project'), {
    README: 'read\n',
    '.gitignore': 'x\n',
    'bin/run': '#!/bin/sh\n',
    'src/a/b': 'b\n',
    'src/link': '-> ../README',
  });
  const second = commit(at('git/project'), { README: 'again\n', 'src/new': 'new\n' });
  const { address } = resources.use(await serveGit(at('git')));
  repository(at('git/whole'), { own: 'own\n' });
  git(at('git/whole'), 'submodule', '--quiet', 'add', `${address}/project`, 'part');
  const whole = commit(at('git/whole'), {});
  cases = sourceCases({
    files: files.address,
    file: digestOf(TEXT),
    archive: digestOf(archive),
    repositories: address,
    commits: { first, second, whole },
  });
  const agent = spawn('ssh-agent', ['-D', '-a', at('agent')], { stdio: 'ignore' });
  resources.defer(async () => {
    agent.kill();
    await once(agent, 'exit');
  });
  await vi.waitUntil(() => existsSync(at('agent')), 30_000);
  writeFileSync(at('secret'), 'a secret of tests');
  dockerd = resources.use(await startDockerd(at('docker')));
}, 120_000);

afterAll(async () => resources.disposeAsync());

const SECRETS: ReadonlyMap<string, SecretSource> = new Map([
  ['given', { kind: 'file', path: at('secret') }],
]);

test.concurrent.each(SOURCE_CASES.map(({ name }, index) => [name, index] as const))(
  'builds the same as BuildKit: %s',
  async (_, index) => {
    const item = cases[index] ?? { name: '', dockerfile: [] };
    const place = at(`case-${index}`);
    const ssh = new Map([['default', at('agent')]]);
    const text = `${item.dockerfile.join('\n')}\n`;
    const { descriptor } = await build(at('store'), text, { secrets: SECRETS, ssh, bases });
    const ours = await builtImage(at('store'), descriptor.digest);
    const flags = ['--secret', `id=given,src=${at('secret')}`, '--ssh', `default=${at('agent')}`];
    const peer = buildkitPeer(dockerd.environment, at('store'), bases, flags);
    const written = await writeCase(item, join(place, 'context'));
    mkdirSync(join(place, 'peer'), { recursive: true });
    const theirs = await peer(written, join(place, 'peer'));
    if ('error' in theirs) expect.fail(theirs.error.slice(-1000));
    const files = item.expect !== undefined && 'files' in item.expect ? item.expect.files : [];
    const found = await differences(ours, theirs.image);
    expect(
      found.map((line) => line.replace(/: .*/, '')),
      found.join('\n'),
    ).toEqual(files);
    expect(ours.diffIds.join() === theirs.image.diffIds.join()).toBe(item.expect === undefined);
  },
  120_000,
);
