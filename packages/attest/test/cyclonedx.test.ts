import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Ajv, type ValidateFunction } from 'ajv';
import { canonicalJson, digestOf } from '@lkt/core';
import { beforeAll, expect, test } from 'vitest';
import { cycloneDxOf, mergeSpdx, type SpdxDocument, spdxOf } from '../src/index.ts';
import { EXAMPLE } from './example-sbom.ts';

let validate: ValidateFunction;

beforeAll(() => {
  const library = fileURLToPath(import.meta.resolve('@cyclonedx/cyclonedx-library/package.json'));
  const schema = (name: string): object => {
    const path = join(library, '../res/schema', `${name}.SNAPSHOT.schema.json`);
    return JSON.parse(readFileSync(path, 'utf8')) as object;
  };
  // The formats of strings are checked below; the schema has annotations that ajv does not know.
  const ajv = new Ajv({ strict: false, validateFormats: false });
  for (const name of ['spdx', 'jsf-0.82'])
    ajv.addSchema(schema(name), `http://cyclonedx.org/schema/${name}.SNAPSHOT.schema.json`);
  validate = ajv.compile(schema('bom-1.6'));
});

/** Checks a document against the official schema, and that its references name components. */
function check(document: unknown): void {
  expect(validate(JSON.parse(canonicalJson(document))), JSON.stringify(validate.errors)).toBe(true);
  const { components, dependencies, metadata } = document as ReturnType<typeof cycloneDxOf>;
  const ids = [...components, ...(metadata.component ? [metadata.component] : [])].map(
    (component) => component['bom-ref'],
  );
  expect(new Set(ids).size).toBe(ids.length);
  for (const { ref, dependsOn } of dependencies)
    for (const id of [ref, ...dependsOn]) expect(ids).toContain(id);
}

test('an SBOM in CycloneDX meets the official schema, and is the same bytes each time', () => {
  const document = cycloneDxOf(spdxOf(EXAMPLE));
  check(document);
  expect(digestOf(canonicalJson(cycloneDxOf(spdxOf(EXAMPLE))))).toBe(
    digestOf(canonicalJson(document)),
  );
  expect(document.serialNumber).toMatch(
    /^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
  );
  expect(document.metadata).toMatchObject({
    timestamp: '2017-04-18T16:30:00Z',
    component: { type: 'container', name: 'lkt/app' },
  });
});

test('describes a package as the SPDX document does', () => {
  const { components, dependencies, metadata } = cycloneDxOf(spdxOf(EXAMPLE));
  const named = (name: string) => components.find((component) => component.name === name);
  expect(named('libstdc++6')).toEqual({
    type: 'library',
    'bom-ref': expect.stringMatching(/^SPDXRef-deb-/),
    supplier: { name: 'Debian' },
    name: 'libstdc++6',
    version: '1:14.2.0-19',
    hashes: [{ alg: 'SHA-256', content: digestOf('deb').slice(7) }],
    licenses: [{ expression: 'GPL-3.0-or-later AND LicenseRef-copyright-0123456789abcdef' }],
    cpe: 'cpe:2.3:a:*:gcc-14:14.2.0:*:*:*:*:*:*:*',
    purl: 'pkg:deb/debian/libstdc%2B%2B6@1%3A14.2.0-19?arch=amd64&distro=trixie&upstream=gcc-14',
  });
  expect(named('linux')).toMatchObject({
    type: 'operating-system',
    licenses: [{ expression: 'GPL-2.0-only WITH Linux-syscall-note' }],
  });
  const [program, module] = [named('example.org/program'), named('example.org/module')];
  const ids = ['libstdc++6', 'linux'].map((name) => named(name)?.['bom-ref']);
  expect(dependencies).toEqual(
    expect.arrayContaining([
      {
        ref: metadata.component?.['bom-ref'],
        dependsOn: [...ids, program?.['bom-ref']].map(String).toSorted(),
      },
      { ref: program?.['bom-ref'], dependsOn: [module?.['bom-ref']] },
      // Linked into it, and incorporated by its build.
      {
        ref: named('libstdc++6')?.['bom-ref'],
        dependsOn: ['glibc', 'gmp'].map((name) => named(name)?.['bom-ref']),
      },
    ]),
  );
});

test('what is not in the image is excluded, with its relationship', () => {
  const { components } = cycloneDxOf(spdxOf(EXAMPLE));
  const excluded = components.filter(({ scope }) => scope === 'excluded');
  expect(
    excluded.map(({ name, properties }) => `${name} ${properties?.[0]?.value}`).toSorted(),
  ).toEqual(['lkt/app GENERATED_FROM', 'lkt/base DESCENDANT_OF', 'lkt/tool BUILD_TOOL_OF']);
});

test.each(['CONTAINS', 'VARIANT_OF'] as const)('a whole of %s images depends on them', (type) => {
  const whole = { kind: 'image', name: 'system' } as const;
  const document = cycloneDxOf(mergeSpdx(whole, [spdxOf(EXAMPLE)], type));
  check(document);
  const app = document.components.find(
    ({ type: kind, name }) => kind === 'container' && name === 'lkt/app',
  );
  expect(document.dependencies).toContainEqual({
    ref: document.metadata.component?.['bom-ref'],
    dependsOn: [app?.['bom-ref']],
  });
  expect(document.components.find(({ name }) => name === 'libstdc++6')).not.toHaveProperty('scope');
});

test('a document of another tool meets the schema too', () => {
  const document = spdxOf(EXAMPLE);
  const packages = [
    { SPDXID: 'SPDXRef-a', name: 'a', downloadLocation: 'NOASSERTION', filesAnalyzed: false },
    {
      SPDXID: 'SPDXRef-b',
      name: 'b',
      downloadLocation: 'NONE',
      filesAnalyzed: false,
      licenseDeclared: 'any; text of the "packager"',
      checksums: [{ algorithm: 'SHA1', checksumValue: 'a'.repeat(40) }],
      supplier: 'Person: B',
    },
  ] as unknown as SpdxDocument['packages'];
  const converted = cycloneDxOf({ ...document, packages, relationships: [] });
  check(converted);
  expect(converted.components[1]).toMatchObject({
    licenses: [{ license: { name: 'any; text of the "packager"' } }],
  });
});
