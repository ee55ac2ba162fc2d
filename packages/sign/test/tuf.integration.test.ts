import { readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { startTufRepository, type TufRepository } from '@lkt/testing';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type FetchedRoot, fetchTrustedRoot } from '../src/sigstore/tuf.ts';
import { sigstore, temporary } from './support.ts';

const TARGET = 'trusted_root.json';

async function repository(): Promise<TufRepository> {
  const started = await startTufRepository();
  onTestFinished(async () => started[Symbol.asyncDispose]());
  return started;
}

async function fetchFrom(
  { url, root }: TufRepository,
  directory: string,
  given: Buffer = root,
): Promise<FetchedRoot> {
  const http = { backoff: [1, 1] };
  return fetchTrustedRoot({ root: given, rootName: 'root.json', url, directory, http });
}

describe('the trusted root of a TUF repository', () => {
  it('is fetched and updated, also after the keys changed', async () => {
    const [first, second] = [(await sigstore()).trustedRoot, (await sigstore()).trustedRoot];
    const tuf = await repository();
    const directory = await temporary();
    tuf.publish({ [TARGET]: first });
    expect(await fetchFrom(tuf, directory)).toMatchObject({
      text: first,
      rootVersion: 1,
      targetsVersion: 1,
      expires: expect.stringMatching(/^\d{4}-.*Z$/) as string,
    });
    tuf.rotate();
    tuf.publish({ [TARGET]: second });
    expect(await fetchFrom(tuf, directory)).toMatchObject({
      text: second,
      rootVersion: 2,
      targetsVersion: 2,
    });
    // A new machine follows the chain of roots.
    expect((await fetchFrom(tuf, await temporary())).text).toBe(second);
  });

  it('is refused from a repository with another root', async () => {
    const [tuf, other] = [await repository(), await repository()];
    const { trustedRoot } = await sigstore();
    tuf.publish({ [TARGET]: trustedRoot });
    await expect(fetchFrom(tuf, await temporary(), other.root)).rejects.toMatchObject({
      code: 'SIGNATURE_INVALID',
      fix: 'check that root.json is of this repository',
    });
  });

  it('is refused if metadata is expired or changed, or of an old key', async () => {
    const { trustedRoot } = await sigstore();
    const expired = await repository();
    expired.publish({ [TARGET]: trustedRoot }, { expires: new Date(Date.now() - 1000) });
    await expect(fetchFrom(expired, await temporary())).rejects.toMatchObject({
      code: 'SIGNATURE_INVALID',
      fix: expect.stringContaining('check the clock') as string,
    });
    const old = await repository();
    old.rotate();
    old.publish({ [TARGET]: trustedRoot }, { withFirstKey: true });
    await expect(fetchFrom(old, await temporary())).rejects.toMatchObject({
      code: 'SIGNATURE_INVALID',
    });
    for (const path of ['timestamp.json', '1.snapshot.json', '1.targets.json']) {
      const changed = await repository();
      changed.publish({ [TARGET]: trustedRoot });
      const text = changed.files.get(path)?.toString() ?? '';
      changed.files.set(path, Buffer.from(text.replace(/"expires":"\d{4}/, '"expires":"2999')));
      await expect(fetchFrom(changed, await temporary()), path).rejects.toMatchObject({
        code: 'SIGNATURE_INVALID',
      });
    }
    const swapped = await repository();
    swapped.publish({ [TARGET]: trustedRoot });
    for (const path of swapped.files.keys())
      if (path.startsWith('targets/')) swapped.files.set(path, Buffer.from('{}'));
    await expect(fetchFrom(swapped, await temporary())).rejects.toMatchObject({
      code: 'SIGNATURE_INVALID',
    });
  });

  it('is not replaced by an older one, nor by one that replaced keys signed', async () => {
    const { trustedRoot } = await sigstore();
    const tuf = await repository();
    const directory = await temporary();
    tuf.publish({ [TARGET]: trustedRoot }, { version: 5 });
    await fetchFrom(tuf, directory);
    tuf.publish({ [TARGET]: trustedRoot }, { version: 4 });
    await expect(fetchFrom(tuf, directory)).rejects.toMatchObject({ code: 'SIGNATURE_INVALID' });
    tuf.rotate();
    tuf.publish({ [TARGET]: trustedRoot }, { version: 6 });
    await fetchFrom(tuf, directory);
    // The repository withholds the new root.
    tuf.files.delete('2.root.json');
    tuf.publish({ [TARGET]: trustedRoot }, { version: 7, withFirstKey: true });
    await expect(fetchFrom(tuf, directory)).rejects.toMatchObject({ code: 'SIGNATURE_INVALID' });
  });

  it('is verified from the given root, even if files of the cache name another', async () => {
    const { trustedRoot } = await sigstore();
    const [tuf, other] = [await repository(), await repository()];
    tuf.publish({ [TARGET]: trustedRoot });
    other.publish({ [TARGET]: trustedRoot });
    const directory = await temporary();
    await fetchFrom(tuf, directory);
    const [entry = ''] = await readdir(directory);
    await writeFile(join(directory, entry, 'root.json'), other.root);
    await writeFile(join(directory, entry, 'roots/2.root.json'), other.root);
    await expect(fetchFrom(tuf, directory)).rejects.toMatchObject({ code: 'SIGNATURE_INVALID' });
    await rm(join(directory, entry, 'roots/2.root.json'));
    expect((await fetchFrom(tuf, directory)).text).toBe(trustedRoot);
  });

  it.each<[string, (tuf: TufRepository) => Promise<unknown>, string]>([
    ['no trusted root', async (tuf) => tuf.publish({ other: 'x' }), 'NOT_FOUND'],
    ['an invalid one', async (tuf) => tuf.publish({ [TARGET]: '{}' }), 'CONFIG_INVALID'],
    ['no server', async (tuf) => tuf[Symbol.asyncDispose](), 'NETWORK_FAILED'],
  ])('is not returned with %s', async (_what, change, code) => {
    const tuf = await repository();
    await change(tuf);
    await expect(fetchFrom(tuf, await temporary())).rejects.toMatchObject({ code });
  });

  it('needs root metadata, and https except on this machine', async () => {
    const tuf = await repository();
    const directory = await temporary();
    await expect(fetchFrom(tuf, directory, Buffer.from('{}'))).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: 'root.json is not the root metadata of TUF',
    });
    const remote = { ...tuf, url: 'http://tuf.example' };
    await expect(fetchFrom(remote, directory)).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: 'the URL of the TUF repository is not https',
    });
  });
});
