import { digestOf } from '@lkt/core';
import { parseReference } from '@lkt/oci';
import { expect, test } from 'vitest';
import { signStatement } from '../../src/bundle/sign-statement.ts';
import { parseImagePattern } from '../../src/policy/image-pattern.ts';
import { signedSboms } from '../../src/policy/signed-documents.ts';
import { SPDX_PREDICATE, statementAbout } from '../../src/statement/statement.ts';
import { newKey } from '../support.ts';

const image = {
  ...parseReference('registry.example/app'),
  digest: digestOf('image'),
};
const SBOM = { spdxVersion: 'SPDX-2.3', packages: [] };

function nested(depth: number): unknown {
  let value: unknown = [];
  for (let level = 0; level < depth; level += 1) value = [value];
  return value;
}

test('a signed statement without a readable SBOM hides no other', async () => {
  const { signer, trust } = await newKey();
  await using session = await signer.open();
  const signers = { threshold: 1, keys: trust.keys ?? [], identities: [] };
  const rules = [{ name: 'rule', images: [parseImagePattern('**')], signers }];
  const policy = { name: 'policy', required: [], unsigned: [], rules };
  const items: { kind: 'bundle'; source: string; bytes: Buffer }[] = [];
  for (const predicate of [
    undefined,
    null,
    'text',
    [SBOM],
    { '@context': 'https://spdx.org/rdf/3.0.1/spdx-context.jsonld' },
    { ...SBOM, packages: nested(1000) },
    SBOM,
  ]) {
    const statement = statementAbout(
      { name: 'app', digest: image.digest },
      SPDX_PREDICATE,
      predicate,
    );
    const { bytes } = await signStatement(session, statement);
    items.push({ kind: 'bundle', source: 'a bundle', bytes });
  }
  expect(await signedSboms(image, [policy], { items, unreadable: [] })).toEqual([SBOM]);
});
