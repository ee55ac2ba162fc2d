import { digestOf, LktError } from '@lkt/core';
import { expect, it } from 'vitest';
import { MediaType, parseImageConfig, parseIndex, parseManifest } from '../../src/index.ts';

const digest = digestOf('');
const blob = { mediaType: 'application/x', digest, size: 5 };
const manifest = JSON.stringify({
  schemaVersion: 2,
  mediaType: MediaType.ociManifest,
  config: blob,
  layers: [blob],
  annotations: { a: '1', A: '2' },
});
const index = JSON.stringify({
  schemaVersion: 2,
  manifests: [{ ...blob, platform: { os: 'linux', architecture: 'arm64' } }],
});
const config = JSON.stringify({
  architecture: 'amd64',
  os: 'linux',
  config: { Env: ['A=b'], Labels: { a: '1', A: '2' } },
  rootfs: { type: 'layers', diff_ids: [digest] },
  history: [{ created_by: 'x' }],
});

type Parser = (data: Uint8Array) => unknown;

// Go's encoding/json takes the last of equal keys, in any case, and rejects a byte order mark.
it.each<[string, Parser, string, string | RegExp, string, string]>([
  ['a byte order mark', parseManifest, manifest, /^/, '\ufeff', 'is not valid JSON'],
  ['a byte order mark', parseIndex, index, /^/, '\ufeff', 'is not valid JSON'],
  ['a byte order mark', parseImageConfig, config, /^/, '\ufeff', 'is not valid JSON'],
  [
    'two lists of layers',
    parseManifest,
    manifest,
    /\}$/,
    ',"layers":[]}',
    'the key "layers" twice',
  ],
  [
    'an escaped key',
    parseManifest,
    manifest,
    /\}$/,
    ',"l\\u0061yers":[]}',
    'the key "layers" twice',
  ],
  [
    'two digests',
    parseManifest,
    manifest,
    '"size"',
    `"digest":"${digest}","size"`,
    '"digest" twice',
  ],
  ['two platforms', parseIndex, index, '"size"', '"platform":null,"size"', '"platform" twice'],
  ['two diff ids', parseImageConfig, config, '"type"', '"diff_ids":[],"type"', '"diff_ids" twice'],
  [
    'layers in other case',
    parseManifest,
    manifest,
    /\}$/,
    ',"Layers":[]}',
    'has "Layers" instead of',
  ],
  ['a long s', parseManifest, manifest, '"layers"', '"layer\u017f"', 'instead of "layers"'],
  ['an index in other case', parseManifest, manifest, /\}$/, ',"Manifests":[]}', '"Manifests"'],
  [
    'a digest in other case',
    parseManifest,
    manifest,
    '"digest"',
    '"Digest"',
    'config has "Digest"',
  ],
  ['a platform in other case', parseIndex, index, '"os"', '"OS"', 'manifests[0].platform has "OS"'],
  ['a config in other case', parseImageConfig, config, '"config"', '"Config"', 'has "Config"'],
  ['Env in other case', parseImageConfig, config, '"Env"', '"ENV"', 'config has "ENV"'],
  [
    'diff ids in other case',
    parseImageConfig,
    config,
    '"diff_ids"',
    '"Diff_IDs"',
    'has "Diff_IDs"',
  ],
])('rejects %s', (_name, parse, text, from, to, message) => {
  expect(parse(Buffer.from(text))).toBeDefined();
  const changed = text.replace(from, () => to);
  expect(changed).not.toBe(text);
  let error: unknown;
  try {
    parse(Buffer.from(changed));
  } catch (thrown) {
    error = thrown;
  }
  expect(error).toBeInstanceOf(LktError);
  expect(error).toMatchObject({ code: 'IMAGE_INVALID' });
  expect(String(error)).toContain(message);
});
