import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseReference, writeImage, writeIndex, writeLayer } from '@lkt/oci';
import { expect, test } from 'vitest';
import { READ, run, serve, WRITE } from './support.ts';

test(
  'skopeo copies an image in both directions, with a token as password',
  { timeout: 60_000 },
  async () => {
    await using served = await serve({ tokens: { write: [WRITE], read: [READ], delete: [] } });
    const { store, dir, host } = served;
    const layer = await writeLayer(store, entries());
    const platform = { os: 'linux', architecture: 'amd64' };
    const image = await writeImage(store, { config: {}, layers: [layer], platform });
    await store.tag('docker.io/team/app:1', await writeIndex(store, [image]));
    const from = `docker://${host}/team/app:1`;
    await skopeo('copy', '--all', tls('src-'), ...password('src-', READ), from, `oci:${dir}/out:1`);
    const to = `docker://${host}/team/again:1`;
    const push = ['copy', '--all', tls('dest-')];
    await expect(
      skopeo(...push, ...password('dest-', READ), `oci:${dir}/out:1`, to),
    ).rejects.toThrow(/denied|reading only/i);
    await skopeo(...push, ...password('dest-', WRITE), `oci:${dir}/out:1`, to);
    const digest = await skopeo('inspect', '--raw', tls(''), '--creds', `a:${READ}`, to);
    expect(JSON.parse(digest)).toMatchObject({ manifests: [{ digest: image.digest }] });
    const tags = await skopeo(
      'list-tags',
      tls(''),
      '--creds',
      `a:${READ}`,
      `docker://${host}/team/again`,
    );
    expect(JSON.parse(tags)).toMatchObject({ Tags: ['1'] });
    expect(served.errors).toEqual([]);
  },
);

test('oras pushes and attaches files, and finds the attachments', { timeout: 60_000 }, async () => {
  await using served = await serve();
  const { dir, host } = served;
  await writeFile(join(dir, 'file.txt'), 'text');
  await writeFile(join(dir, 'note.txt'), 'note');
  const oras = async (...args: string[]): Promise<string> =>
    (await run('oras', args, { cwd: dir, env: { PATH: process.env['PATH'], HOME: dir } })).stdout;
  const name = `${host}/files:1`;
  await oras('push', '--plain-http', '--artifact-type', 'text/file', name, 'file.txt:text/plain');
  await oras('attach', '--plain-http', '--artifact-type', 'text/note', name, 'note.txt:text/plain');
  expect(await oras('discover', '--plain-http', name)).toContain('text/note');
  await oras('pull', '--plain-http', '--output', 'out', name);
  const { readFile } = await import('node:fs/promises');
  expect(await readFile(join(dir, 'out/file.txt'), 'utf8')).toBe('text');
  await writeFile(join(dir, 'file.txt'), 'other');
  await expect(oras('push', '--plain-http', name, 'file.txt:text/plain')).rejects.toThrow(
    /the tag already refers to/,
  );
  expect(parseReference(name).tag).toBe('1');
  expect(served.errors).toEqual([]);
});

async function* entries(): AsyncGenerator<never> {}

function tls(side: string): string {
  return `--${side}tls-verify=false`;
}

function password(side: string, token: string): readonly string[] {
  return [`--${side}creds`, `anybody:${token}`];
}

async function skopeo(...args: readonly string[]): Promise<string> {
  return (await run('skopeo', args)).stdout;
}
