import { canonicalJson, LktError } from '@lkt/core';
import { fuzz } from '@lkt/testing/fuzz';
import { expect, test } from 'vitest';
import { GoBuildInfoScanner } from '../src/go-build-info.ts';
import { cycloneDxOf } from '../src/cyclonedx.ts';
import { additionsTo } from '../src/foreign-spdx.ts';
import { mergeSpdx } from '../src/merge-spdx.ts';
import { parseSpdx } from '../src/parse-spdx.ts';
import { parsePackageUrl } from '../src/purl.ts';
import { contentsOf, spdxOf } from '../src/spdx.ts';
import { archivePatterns } from '../src/static-archive.ts';
import { EXAMPLE } from './example-sbom.ts';
import { archive, code, objectFile } from './object-fixture.ts';

test('parsePackageUrl never fails', async () => {
  const purl = 'pkg:deb/debian/libc6@2.41-12%2Bdeb13u5?arch=amd64&distro=trixie#sub/path';
  await fuzz(
    [Buffer.from(purl)],
    (input) => parsePackageUrl(input.toString()),
    () => false,
  );
});

/** Returns a string after its length, a varint of two bytes. */
function text(value: string): Buffer {
  const length = Buffer.from([(value.length & 0x7f) | 0x80, value.length >> 7]);
  return Buffer.concat([length, Buffer.from(value)]);
}

test('GoBuildInfoScanner never fails, and holds a bounded part of its input', async () => {
  const modules = 'path\tx\nmod\tx\tv1.0.0\th1:abc=\ndep\ty\tv2.0.0\n';
  const head = Buffer.alloc(32);
  head.write('\xff Go buildinf:', 'latin1');
  head.writeUInt8(8, 14);
  head.writeUInt8(2, 15);
  const sentinel = '0'.repeat(16);
  const seed = Buffer.concat([
    Buffer.from('before'),
    head,
    text('go1.24.4'),
    text(`${sentinel}${modules}${sentinel}`),
  ]);
  await fuzz(
    [seed],
    (input) => {
      const scanner = new GoBuildInfoScanner();
      for (let at = 0; at < input.length; at += 50) scanner.push(input.subarray(at, at + 50));
    },
    () => false,
  );
  const scanner = new GoBuildInfoScanner();
  scanner.push(seed);
  expect(scanner.result()?.goVersion).toBe('go1.24.4');
});

test('archivePatterns never fails', async () => {
  const object = objectFile([{ code: code(1, 80) }, { code: code(2, 200), relocations: [40, 90] }]);
  await fuzz(
    [archive(Buffer.from('index'), object)],
    (input) => archivePatterns(input),
    () => false,
  );
});

function isRejection(error: unknown): boolean {
  return error instanceof LktError;
}

test('parseSpdx rejects what merging, converting and reading cannot use', async () => {
  const seed = spdxOf(EXAMPLE);
  const use = (input: Buffer): void => {
    const document = parseSpdx(input);
    const all = [seed, document, additionsTo([seed], document)];
    const merged = mergeSpdx({ kind: 'image', name: 'system' }, all);
    for (const one of [document, merged]) {
      canonicalJson(cycloneDxOf(one));
      contentsOf(one);
    }
  };
  for (const key of Object.keys(Object.assign({}, ...seed.packages) as object))
    for (const value of [null, 0, {}, [null], [{}], { toString: 0 }])
      try {
        const packages = seed.packages.map((item) => ({ ...item, [key]: value }));
        use(Buffer.from(JSON.stringify({ ...seed, packages })));
      } catch (error) {
        if (!isRejection(error)) throw error;
      }
  await fuzz([Buffer.from(canonicalJson(seed))], use, isRejection);
  const deep = '['.repeat(20_000) + ']'.repeat(20_000);
  const [item] = seed.packages;
  const json = JSON.stringify({ ...seed, packages: [{ ...item, annotations: 0 }] });
  expect(() => use(Buffer.from(json.replace('"annotations":0', `"annotations":${deep}`)))).toThrow(
    'not a valid SPDX document: it has more than 200 levels',
  );
});
