import { gzipSync, zstdCompressSync } from 'node:zlib';
import { LktError } from '@lkt/core';
import { fuzz } from '@lkt/testing/fuzz';
import { describe, test } from 'vitest';
import {
  type EntryWithContent,
  parseImageConfig,
  parseIndex,
  parseManifest,
  parseManifestOrIndex,
  parsePlatform,
  parseReference,
  readTar,
  writeTar,
} from '../src/index.ts';
import { gunzip, unzstd } from '../src/compression/compression.ts';
import { parsePax } from '../src/tar/pax.ts';
import { chunks, collect, directory, file, hardlink, symlink } from './support.ts';

const isRejection = (error: unknown): boolean => error instanceof LktError;
const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));

const digest = `sha256:${'ab'.repeat(32)}`;
const descriptor = { mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', digest, size: 12 };
const manifest = {
  schemaVersion: 2,
  mediaType: 'application/vnd.oci.image.manifest.v1+json',
  config: { ...descriptor, mediaType: 'application/vnd.oci.image.config.v1+json' },
  layers: [descriptor, { ...descriptor, annotations: { a: 'b' }, urls: ['https://example.com'] }],
  subject: descriptor,
  annotations: { 'org.opencontainers.image.title': 'x' },
};
const platform = { os: 'linux', architecture: 'arm', variant: 'v7' };
const index = {
  schemaVersion: 2,
  mediaType: 'application/vnd.oci.image.index.v1+json',
  manifests: [{ ...descriptor, mediaType: manifest.mediaType, platform }],
};
const config = {
  os: 'linux',
  architecture: 'amd64',
  created: '2017-04-18T16:30:00Z',
  config: {
    User: '1',
    Env: ['A=b'],
    Cmd: ['/bin/x'],
    Labels: { a: 'b' },
    ExposedPorts: { '1': {} },
  },
  rootfs: { type: 'layers', diff_ids: [digest] },
  history: [{ created_by: 'x', empty_layer: true }],
};

describe('parsers of documents', () => {
  test.each([
    ['parseManifest', parseManifest, manifest],
    ['parseIndex', parseIndex, index],
    ['parseManifestOrIndex', parseManifestOrIndex, index],
    ['parseImageConfig', parseImageConfig, config],
  ] as const)('%s only rejects with an LktError', async (_, parse, document) => {
    await fuzz([json(document)], parse, isRejection);
  });

  test('parseReference only rejects with an LktError', async () => {
    const seeds = [`localhost:5000/a/b-c:v1@${digest}`, 'alpine', '[::1]:5000/x'];
    await fuzz(
      seeds.map((text) => Buffer.from(text)),
      (input) => parseReference(input.toString()),
      isRejection,
    );
  });

  test('parsePlatform only rejects with an LktError', async () => {
    await fuzz(
      [Buffer.from('linux/arm64/v8')],
      (input) => parsePlatform(input.toString()),
      isRejection,
    );
  });

  test('parsePax never fails', async () => {
    const record = Buffer.from('30 mtime=1234567890.123456789\n20 path=abcdefghijk\n');
    await fuzz(
      [record],
      (input) => parsePax(input.toString('latin1')),
      () => false,
    );
  });
});

async function archive(): Promise<Buffer> {
  const long = file(`${'d/'.repeat(80)}name`, 'content');
  const entries: EntryWithContent[] = [directory('a'), file('a/b', 'x'.repeat(700)), long];
  entries.push(symlink('l', 'a/b'), hardlink('h', 'a/b'));
  return collect(writeTar(entries));
}

async function drain(source: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const { content } of readTar(source))
    for await (const chunk of content ?? []) void chunk;
}

describe('readers of archives', () => {
  test('readTar only rejects with an LktError', async () => {
    await fuzz([await archive()], async (input) => drain(chunks(input)), isRejection);
  });

  test.each([
    ['gzip', gunzip, gzipSync],
    ['zstd', unzstd, zstdCompressSync],
  ] as const)('the decompression of %s only rejects with an LktError', async (_, read, pack) => {
    const tar = await archive();
    await fuzz(
      [pack(tar), Buffer.concat([pack(Buffer.from('a')), pack(tar)])],
      async (input) => {
        for await (const chunk of read(chunks(input), { maxBytes: 2 ** 24 })) void chunk;
      },
      isRejection,
    );
  });
});
