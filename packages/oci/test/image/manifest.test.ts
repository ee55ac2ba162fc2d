import { digestOf, LktError } from '@lkt/core';
import { describe, expect, test } from 'vitest';
import { MediaType, parseImageConfig, parseIndex, parseManifest } from '../../src/index.ts';

const DIGEST = digestOf('');
const blob = { mediaType: 'application/x', digest: DIGEST, size: 5 };
const bytes = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));

const manifest = {
  schemaVersion: 2,
  mediaType: MediaType.ociManifest,
  config: blob,
  layers: [blob],
};
const index = {
  schemaVersion: 2,
  mediaType: MediaType.ociIndex,
  manifests: [{ ...blob, platform: { os: 'linux', architecture: 'arm', variant: 'v7' } }],
};
const config = {
  created: '2017-04-18T16:30:00Z',
  architecture: 'amd64',
  os: 'linux',
  config: {
    User: 'a',
    Env: ['A=b'],
    Entrypoint: ['/x'],
    Labels: { a: 'b' },
    Volumes: { '/v': {} },
  },
  rootfs: { type: 'layers', diff_ids: [DIGEST] },
  history: [{ created_by: 'x' }],
  'moby.buildkit.cache': 1,
};

test('parses documents of OCI and Docker', () => {
  expect(parseManifest(bytes(manifest))).toEqual(manifest);
  expect(
    parseManifest(
      bytes({
        ...manifest,
        mediaType: MediaType.dockerManifest,
        annotations: { a: 'b' },
        subject: blob,
        artifactType: 'x',
        unknown: 1,
      }),
    ),
  ).toEqual({
    ...manifest,
    mediaType: MediaType.dockerManifest,
    annotations: { a: 'b' },
    subject: blob,
    artifactType: 'x',
  });
  expect(parseIndex(bytes(index))).toEqual(index);
  expect(parseIndex(bytes({ ...index, mediaType: MediaType.dockerList }))).toEqual({
    ...index,
    mediaType: MediaType.dockerList,
  });
  expect(parseImageConfig(bytes(config))).toEqual(config);
});

test('drops fields that Go writes as null', () => {
  expect(
    parseManifest(bytes({ schemaVersion: 2, config: blob, layers: null, annotations: null })),
  ).toEqual({ schemaVersion: 2, config: blob, layers: [] });
  expect(parseIndex(bytes({ schemaVersion: 2, manifests: null }))).toEqual({
    schemaVersion: 2,
    manifests: [],
  });
  const bare = {
    architecture: 'amd64',
    os: 'linux',
    created: null,
    author: null,
    variant: null,
    rootfs: { type: 'layers', diff_ids: null },
    history: null,
    config: { Cmd: null, Labels: null, User: '' },
  };
  expect(parseImageConfig(bytes(bare))).toEqual({
    architecture: 'amd64',
    os: 'linux',
    rootfs: { type: 'layers', diff_ids: [] },
    config: { User: '' },
  });
});

type Parser = (data: Uint8Array) => unknown;
describe('rejects', () => {
  test.each<[string, Parser, unknown, string]>([
    ['not JSON', parseManifest, undefined, 'not a valid image manifest'],
    ['a list', parseManifest, [], 'the document is not an object'],
    ['null', parseIndex, null, 'the document is not an object'],
    ['another version', parseManifest, { ...manifest, schemaVersion: 1 }, 'schemaVersion is not 2'],
    [
      'an index for a manifest',
      parseManifest,
      { ...index },
      'its mediaType is "application/vnd.oci.image.index.v1+json"',
    ],
    [
      'both at once (CVE-2021-41190)',
      parseManifest,
      { ...manifest, manifests: [] },
      'it has "manifests"',
    ],
    ['both at once', parseIndex, { ...index, layers: [] }, 'it has "layers" or "config"'],
    ['no config', parseManifest, { ...manifest, config: undefined }, 'config is not an object'],
    [
      'bad digest',
      parseManifest,
      { ...manifest, layers: [blob, { ...blob, digest: 'sha256:0' }] },
      'layers[1].digest is not a sha256 or sha512 digest',
    ],
    [
      'traversal in a digest',
      parseManifest,
      { ...manifest, layers: [{ ...blob, digest: `sha256:../${'0'.repeat(61)}` }] },
      'layers[0].digest',
    ],
    [
      'bad size',
      parseManifest,
      { ...manifest, layers: [{ ...blob, size: 1.5 }] },
      'layers[0].size',
    ],
    [
      'negative size',
      parseManifest,
      { ...manifest, layers: [{ ...blob, size: -1 }] },
      'layers[0].size',
    ],
    [
      'no media type',
      parseManifest,
      { ...manifest, layers: [{ ...blob, mediaType: '' }] },
      'layers[0].mediaType',
    ],
    ['layers as an object', parseManifest, { ...manifest, layers: {} }, 'layers is not a list'],
    [
      'annotations that are not strings',
      parseManifest,
      { ...manifest, annotations: { a: 1 } },
      'annotations["a"] is not a string',
    ],
    [
      'half a platform',
      parseIndex,
      { ...index, manifests: [{ ...blob, platform: { os: 'linux' } }] },
      'manifests[0].platform',
    ],
    [
      'no architecture',
      parseImageConfig,
      { ...config, architecture: undefined },
      'architecture is missing',
    ],
    ['no rootfs', parseImageConfig, { ...config, rootfs: undefined }, 'rootfs is not an object'],
    [
      'another rootfs',
      parseImageConfig,
      { ...config, rootfs: { type: 'x', diff_ids: [] } },
      'rootfs.type',
    ],
    [
      'bad diff id',
      parseImageConfig,
      { ...config, rootfs: { type: 'layers', diff_ids: ['x'] } },
      'rootfs.diff_ids',
    ],
    [
      'Env as text',
      parseImageConfig,
      { ...config, config: { Env: 'A=b' } },
      'config.Env is not a list',
    ],
    [
      'Cmd of numbers',
      parseImageConfig,
      { ...config, config: { Cmd: [1] } },
      'config.Cmd[0] is not a string',
    ],
    [
      'User as a number',
      parseImageConfig,
      { ...config, config: { User: 0 } },
      'config.User is not a string',
    ],
    [
      'Labels of numbers',
      parseImageConfig,
      { ...config, config: { Labels: { a: 1 } } },
      'config.Labels["a"] is not a string',
    ],
    [
      'Volumes as a list',
      parseImageConfig,
      { ...config, config: { Volumes: ['/v'] } },
      'config.Volumes is not an object',
    ],
    [
      'history of text',
      parseImageConfig,
      { ...config, history: ['x'] },
      'history is not an object',
    ],
  ])('%s', (_name, parse, value, message) => {
    let error: unknown;
    try {
      parse(value === undefined ? Buffer.from('{') : bytes(value));
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(LktError);
    expect(error).toMatchObject({ code: 'IMAGE_INVALID' });
    expect((error as LktError).message).toContain(message);
  });

  test('rejects text that is not UTF-8', () => {
    expect(() => parseManifest(Buffer.from([0x7b, 0xff, 0x7d]))).toThrow(LktError);
  });
});
