import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { LktError, parseYaml } from '@lkt/core';
import { buildYmlSchema, parseBuildYml } from '@lkt/pkg';
import { Ajv, type ValidateFunction } from 'ajv';
import { describe, expect, it } from 'vitest';
import { imageConfigSchema } from '../../src/config/config.ts';
import { parseConfig } from '../support.ts';

const root = join(import.meta.dirname, '../../../..');

interface Kind {
  readonly files: readonly string[];
  readonly docs: string;
  /** Examples of fields that the reference only names. */
  readonly more: readonly string[];
  readonly isValid: ValidateFunction;
  readonly parse: (text: string) => unknown;
}

const image: Kind = {
  files: globSync(['examples/*.yml', 'projects/*/*.yml', 'packages/*/test/**/*.yml'], {
    cwd: root,
    exclude: (path) => path.includes('node_modules') || path.endsWith('build.yml'),
  }),
  docs: 'docs/image-yml.md',
  more: [
    `layout: erofs
onboot:
  - { name: disk, image: b, onfailure: poweroff, timeout: 30 }
services:
  - name: web
    image: c
    resources: { unified: { memory.high: '268435456', cpu.weight: 200 } }
    runtimeClass: gvisor
    seccomp:
      defaultAction: SCMP_ACT_ERRNO
      architectures: [SCMP_ARCH_X86_64]
      syscalls: [{ names: [read, write], action: SCMP_ACT_ALLOW }]
`,
  ],
  isValid: new Ajv({ allErrors: true, allowUnionTypes: true }).compile(imageConfigSchema()),
  parse: (text) => parseConfig({ path: 'a.yml', text }),
};

const build: Kind = {
  files: globSync(['{pkg,kernel,tools,projects}/**/build.yml'], {
    cwd: root,
    exclude: (path) => path.includes('node_modules'),
  }),
  docs: 'docs/build-yml.md',
  more: [],
  isValid: new Ajv({ allErrors: true, allowUnionTypes: true }).compile(buildYmlSchema()),
  parse: (text) => parseBuildYml({ path: 'build.yml', text }, '/x'),
};

describe.each([
  ['image configs', image],
  ['build.yml', build],
])('the schema of %s', (_name, kind) => {
  it.each(kind.files)('accepts %s', (path) => {
    expectValid(kind, readFileSync(join(root, path), 'utf8'));
  });

  it('accepts the examples of the reference', () => {
    for (const text of examples(kind)) if (isAccepted(kind, text)) expectValid(kind, text);
  });

  let refused = 0;
  it.each(examples(kind).map((text) => [text]))(
    'refuses of the variants of an example only what the parser refuses: %j',
    (text) => {
      for (const changed of variants(plain(text))) {
        if (kind.isValid(changed)) continue;
        refused += 1;
        expect({ changed, isAccepted: isAccepted(kind, JSON.stringify(changed)) }).toEqual({
          changed,
          isAccepted: false,
        });
      }
    },
  );

  it('rejects many of them', () => expect(refused).toBeGreaterThan(300));
});

const fixture = readFileSync(new URL('../fixtures/linuxkit-cases.json', import.meta.url), 'utf8');

describe("LinuxKit's cases", () => {
  for (const { name, yaml } of JSON.parse(fixture) as { name: string; yaml: string }[]) {
    if (!isAccepted(image, yaml)) continue;
    it(name, () => expectValid(image, yaml));
  }
});

describe('rejects', () => {
  it.each([
    ['kernal: {}'],
    ['init: a'],
    ['services: [{name: a}]'],
    ['services: [{name: a, image: b, command: x}]'],
    ['services: [{name: a/b, image: b}]'],
    ['services: [{name: a, image: b, capabilities: [CHOWN]}]'],
    ['services: [{name: a, image: b, oomScoreAdj: 1001}]'],
    ['services: [{name: a, image: b, uid: -1}]'],
    ['services: [{name: a, image: b, binds: [/a]}]'],
    ['services: [{name: a, image: b, runtime: {bindNS: {network: x}}}]'],
    ['services: [{name: a, image: b, restart: sometimes}]'],
    ['services: [{name: a, image: b, seccomp: {syscalls: []}}]'],
    ['files: [{path: a, mode: "888"}]'],
    ['files: [{path: a, mode: 0644}]'],
    ['trust: {signers: []}'],
    ['trust: {signers: [{images: [a], threshold: 0}]}'],
    ['volumes: [{name: A}]'],
  ])('%s, as the parser does', (text) => {
    expect(image.isValid(plain(text))).toBe(false);
    expect(() => image.parse(text)).toThrow(LktError);
  });

  it.each([
    ['org: x'],
    ['image: x\nimages: y'],
    ['image: x\narches: [AMD]'],
    ['image: x\nnetwork: "yes"'],
    ['image: x\nbuildArgs: [A]'],
    ['image: x\ndebian: {packages: [a]}'],
    ['image: x\nconfig: {capabilities: all}'],
    ['image: x\ndepends: {docker-images: {targets: x}}'],
  ])('build.yml: %s, as the parser does', (text) => {
    expect(build.isValid(plain(text))).toBe(false);
    expect(() => build.parse(text)).toThrow(LktError);
  });
});

/** Returns the examples from the documentation, and the files themselves. */
function examples({ docs, files, more }: Kind): readonly string[] {
  const text = readFileSync(join(root, docs), 'utf8');
  const blocks = [...text.matchAll(/^```yaml\n(.*?)^```/gms)].map((match) => match[1] ?? '');
  return [
    ...blocks,
    ...more,
    ...files.slice(0, 2).map((path) => readFileSync(join(root, path), 'utf8')),
  ];
}

/**
 * Yields variants of the value: each part replaced by another type, and an extra key in each
 * mapping.
 */
function* variants(value: unknown): Generator {
  yield* [null, 'text', -1, true, [], { x: 'y' }];
  if (Array.isArray(value)) {
    for (const [index, item] of value.entries())
      for (const changed of variants(item)) yield value.with(index, changed);
  } else if (typeof value === 'object' && value !== null) {
    yield { ...value, unknown: 1 };
    for (const [key, item] of Object.entries(value))
      for (const changed of variants(item)) yield { ...value, [key]: changed };
  }
}

function isAccepted(kind: Kind, text: string): boolean {
  try {
    kind.parse(text);
    return true;
  } catch (error) {
    if (error instanceof LktError) return false;
    throw error;
  }
}

function expectValid({ isValid }: Kind, text: string): void {
  isValid(plain(text));
  expect({ text, errors: isValid.errors ?? [] }).toEqual({ text, errors: [] });
}

function plain(text: string): unknown {
  return parseYaml({ path: 'a.yml', text }).plain();
}
