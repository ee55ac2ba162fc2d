import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { digestOf } from '@lkt/core';
import {
  exportImage,
  loadImage,
  parseReference,
  singleChunk,
  toRaw,
  writeDockerArchive,
  writeTar,
} from '@lkt/oci';
import { describe, expect, it } from 'vitest';
import { viewBuild } from '../src/build-view.ts';
import {
  efiProgram,
  erofsOf,
  initrdOf,
  PLATFORM,
  provenanceFile,
  sbom,
  sha256,
  storeImage,
  summary,
  tarOf,
  tempDir,
  tempStore,
} from './support.ts';

const FILES = { 'etc/': '', 'etc/motd': 'hello\n', 'etc/mtab': { link: toRaw('/proc/mounts') } };
const LISTED = { etc: 'directory', 'etc/motd': sha256('hello\n'), 'etc/mtab': 'symlink' };

/** Writes files into a new directory, and returns its path. */
function directoryOf(files: Readonly<Record<string, Buffer | string>>): string {
  const directory = tempDir();
  for (const [name, content] of Object.entries(files))
    writeFileSync(join(directory, name), content);
  return directory;
}

async function containerArchive(format: 'docker' | 'oci'): Promise<Buffer> {
  const store = await tempStore();
  const descriptor = await storeImage(store, FILES);
  const reference = parseReference('example/app:1');
  return Buffer.concat(
    await Array.fromAsync(
      await exportImage(store, descriptor, { reference, format, platforms: [PLATFORM] }),
      (part) => Uint8Array.from(part),
    ),
  );
}

async function bootTar(...more: readonly Buffer[]): Promise<Buffer> {
  const head = { type: 'file' as const, mode: 0o644, uid: 0, gid: 0, mtime: 1 };
  const entries = [initrdOf(FILES), ...more].map((initrd) => ({
    ...head,
    path: 'initrd.img',
    size: initrd.length,
    content: singleChunk(initrd),
  }));
  return Buffer.concat(await Array.fromAsync(writeTar(entries), (part) => Uint8Array.from(part)));
}

describe('viewBuild', () => {
  it.each([
    ['app.tar', async () => tarOf(FILES)],
    ['app-initrd.img', async () => initrdOf(FILES)],
    ['app-initrd.tar', async () => bootTar()],
    ['app-erofs.img', async () => erofsOf(FILES)],
    ['app.efi', async () => efiProgram(['.initrd', initrdOf(FILES)])],
    ['app.docker', async () => containerArchive('docker')],
    ['app-oci.tar', async () => containerArchive('oci')],
  ] as const)('reads the files of %s', async (name, bytes) => {
    const directory = directoryOf({ [name]: await bytes() });
    const view = await viewBuild(join(directory, 'app'), PLATFORM);
    expect(view?.outputs.map((output) => output.name)).toEqual([name]);
    expect(summary(await view?.files?.())).toEqual(LISTED);
  });

  it('reads the microcode of an EFI program before its initrd, as systemd-stub passes them', async () => {
    const microcode = initrdOf({ 'kernel/x86/microcode/AuthenticAMD.bin': 'code', one: '1' });
    const program = efiProgram(
      ['.initrd', initrdOf({ one: '2' })],
      ['.ucode', Buffer.concat([microcode, Buffer.of(0)])],
    );
    const directory = directoryOf({ 'app.efi': program });
    const view = await viewBuild(join(directory, 'app'), PLATFORM);
    expect(summary(await view?.files?.())).toEqual({
      'kernel/x86/microcode/AuthenticAMD.bin': sha256('code'),
      one: sha256('2'),
    });
  });

  it.each([
    [
      'an EFI program with two initrds',
      'app.efi',
      async () => efiProgram(['.initrd', initrdOf(FILES)], ['.initrd', initrdOf({})]),
      'the EFI program has two sections .initrd',
    ],
    [
      'an EFI program with profiles',
      'app.efi',
      async () => efiProgram(['.initrd', initrdOf(FILES)], ['.profile', Buffer.from('ID=x')]),
      'the EFI program has profiles',
    ],
    [
      'an archive with two initrds',
      'app-initrd.tar',
      async () => bootTar(initrdOf({})),
      'the archive has two files initrd.img',
    ],
  ] as const)('rejects %s', async (_, name, bytes, message) => {
    const directory = directoryOf({ [name]: await bytes() });
    const view = await viewBuild(join(directory, 'app'), PLATFORM);
    await expect(view?.files?.()).rejects.toThrow(`${name}: ${message}`);
  });

  it('reads the metadata of a file', async () => {
    const directory = directoryOf({ 'app-initrd.img': initrdOf({ 'etc/motd': 'hello\n' }) });
    const view = await viewBuild(join(directory, 'app'), PLATFORM);
    expect((await view?.files?.())?.get('etc/motd')).toMatchObject({
      type: 'file',
      mode: 0o644,
      uid: 0,
      gid: 0,
      mtime: 1,
      size: 6,
    });
  });

  it('returns undefined without outputs', async () => {
    const directory = directoryOf({ 'other.txt': '' });
    mkdirSync(join(directory, 'app-kernel'));
    expect(await viewBuild(join(directory, 'app'), PLATFORM)).toBeUndefined();
    expect(await viewBuild(join(directory, 'missing/app'), PLATFORM)).toBeUndefined();
  });

  it('prefers the tar, and reads only the given file', async () => {
    const directory = directoryOf({
      'app.tar': await tarOf({ one: '1' }),
      'app-initrd.img': initrdOf({ two: '2' }),
    });
    const all = await viewBuild(join(directory, 'app'), PLATFORM);
    expect(summary(await all?.files?.())).toEqual({ one: sha256('1') });
    const one = await viewBuild(join(directory, 'app-initrd.img'), PLATFORM);
    expect(one?.name).toBe('app-initrd.img');
    expect(summary(await one?.files?.())).toEqual({ two: sha256('2') });
  });

  it('has no reader for a kernel', async () => {
    const directory = directoryOf({ 'app-kernel': 'k' });
    const view = await viewBuild(join(directory, 'app'), PLATFORM);
    expect(view?.outputs).toEqual([
      { name: 'app-kernel', state: 'there', size: 1, digest: digestOf('k') },
    ]);
    expect(view?.files).toBeUndefined();
  });

  it('compares the outputs with the provenance', async () => {
    const subjects = { 'app-kernel': 'kernel', 'app-initrd.img': 'initrd', 'app-cmdline': 'quiet' };
    const directory = directoryOf({
      ...subjects,
      'app.iso': 'iso',
      'app-provenance.json': provenanceFile(subjects),
    });
    writeFileSync(join(directory, 'app-initrd.img'), 'other');
    rmSync(join(directory, 'app-cmdline'));
    const view = await viewBuild(join(directory, 'app'), PLATFORM);
    expect(view?.outputs.map(({ name, state }) => [name, state])).toEqual([
      ['app-cmdline', 'missing'],
      ['app-initrd.img', 'changed'],
      ['app-kernel', 'as built'],
      ['app-provenance.json', 'there'],
      ['app.iso', 'there'],
    ]);
    expect(view?.parameters).toMatchObject({ variables: { GREETING: 'hello' } });
  });

  it('opens no subject outside the directory', async () => {
    const directory = directoryOf({
      'app-kernel': 'k',
      'app-provenance.json': provenanceFile({ '../secret': 's', 'app-kernel': 'k' }),
    });
    const view = await viewBuild(join(directory, 'app'), PLATFORM);
    expect(view?.outputs[0]).toEqual({ name: '../secret', state: 'missing' });
  });

  it('distinguishes images from files in the provenance', async () => {
    const digest = digestOf('x');
    const hex = { sha256: digest.slice('sha256:'.length) };
    const directory = directoryOf({
      'app-kernel': 'k',
      'app-provenance.json': provenanceFile({ 'app-kernel': 'k' }, [
        { name: 'docker.io/example/hello:1', digest: hex, annotations: { because: 'signed' } },
        { name: 'docker.io/example/untagged', digest: hex },
        { name: 'app.yml', digest: hex },
      ]),
    });
    const view = await viewBuild(join(directory, 'app'), PLATFORM);
    expect(view?.images).toEqual([{ name: 'example/hello:1', digest, because: 'signed' }]);
    expect(view?.inputs).toEqual([
      { name: 'app.yml', digest },
      { name: 'docker.io/example/untagged', digest },
    ]);
  });

  it('finds the build of a file by its longest suffix', async () => {
    const directory = directoryOf({ 'app-squashfs-cmdline': 'quiet', 'app-kernel': 'k' });
    const view = await viewBuild(join(directory, 'app-squashfs-cmdline'), PLATFORM);
    expect(view?.outputs.map(({ name }) => name)).toEqual(['app-kernel', 'app-squashfs-cmdline']);
  });

  it('finds the build of a file by the provenance that lists it', async () => {
    const directory = directoryOf({
      'app-efi.iso': 'disk',
      'app-kernel': 'k',
      'app-efi-kernel': 'k',
      'app-provenance.json': provenanceFile({ 'app-kernel': 'k' }),
      'app-efi-provenance.json': provenanceFile({ 'app-efi.iso': 'disk' }),
    });
    const view = await viewBuild(join(directory, 'app-efi.iso'), PLATFORM);
    expect(view?.outputs.map(({ name }) => name)).toEqual([
      'app-efi-kernel',
      'app-efi-provenance.json',
      'app-efi.iso',
    ]);
  });

  it('reads the SBOM and the command line', async () => {
    const directory = directoryOf({
      'app-cmdline': 'quiet console=ttyS0',
      'app-sbom.spdx.json': JSON.stringify(sbom([{ name: 'busybox', versionInfo: '1.37' }])),
    });
    const view = await viewBuild(join(directory, 'app'), PLATFORM);
    expect(view?.cmdline).toBe('quiet console=ttyS0');
    expect(view?.sbom?.packages.map(({ name }) => name)).toEqual(['busybox']);
  });

  it.each([
    ['app-provenance.json', '{', /app-provenance\.json is not the provenance of an image: /],
    ['app-provenance.json', '[]', /: the document is not an object/],
    ['app-provenance.json', '{"predicate":{}}', /: buildDefinition is not an object/],
    ['app-provenance.json', provenanceFile({ a: '' }).replace(/[0-9a-f]{64}/, 'z'), /no sha256/],
    ['app-sbom.spdx.json', '{"spdxVersion":"SPDX-3"}', /app-sbom\.spdx\.json is not a valid SPDX/],
    ['app-cmdline', Buffer.alloc(65_537), /app-cmdline has 65537 bytes, more than 65536/],
  ])('rejects %s with the content %s', async (name, content, message) => {
    const directory = directoryOf({ [name]: content, 'app-kernel': 'k' });
    await expect(viewBuild(join(directory, 'app'), PLATFORM)).rejects.toMatchObject({
      code: 'IMAGE_INVALID',
      message: expect.stringMatching(message) as string,
    });
  });

  it('rejects a directory in place of the command line', async () => {
    const directory = directoryOf({ 'app-kernel': 'k' });
    mkdirSync(join(directory, 'app-cmdline'));
    await expect(viewBuild(join(directory, 'app'), PLATFORM)).rejects.toMatchObject({
      code: 'IMAGE_INVALID',
      message: expect.stringMatching(/app-cmdline is not a regular file$/) as string,
    });
  });

  it('rejects an archive of two images', async () => {
    const store = await tempStore();
    const images = [];
    for (const text of ['one', 'two']) {
      const { digest } = await storeImage(store, { a: text });
      images.push({ image: await loadImage(store, digest, PLATFORM), tags: [`${text}:1`] });
    }
    const archive = await Array.fromAsync(writeDockerArchive(store, images), (part) =>
      Uint8Array.from(part),
    );
    const directory = directoryOf({ 'app.docker': Buffer.concat(archive) });
    const view = await viewBuild(join(directory, 'app'), PLATFORM);
    await expect(view?.files?.()).rejects.toMatchObject({
      code: 'ARCHIVE_INVALID',
      message: 'app.docker: the archive has 2 images, not one',
    });
  });

  it.each([
    ['app.efi', efiProgram(['.linux', Buffer.from('k')]), 'the EFI program has no section .initrd'],
    ['app.efi', efiProgram(['.initrd', initrdOf(FILES)]).subarray(0, 700), 'the file is truncated'],
    ['app-initrd.tar', Buffer.alloc(1024), 'the archive has no initrd.img'],
    ['app-initrd.img', Buffer.alloc(512), 'the initrd contains no archive'],
  ])('names the file of an invalid %s', async (name, content, message) => {
    const directory = directoryOf({ [name]: content });
    const view = await viewBuild(join(directory, 'app'), PLATFORM);
    await expect(view?.files?.()).rejects.toMatchObject({
      code: 'ARCHIVE_INVALID',
      message: `${name}: ${message}`,
    });
  });
});
