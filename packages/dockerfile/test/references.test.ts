import { describe, expect, test } from 'vitest';
import { parseDockerfile } from '../src/parse/parse.ts';
import { evaluate } from '../src/evaluate/evaluate.ts';
import { imageReferences } from '../src/evaluate/references.ts';

const TEXT = `ARG tag=1
FROM --platform=$BUILDPLATFORM lkt/go:$tag AS build
COPY --chown=0 --from=lkt/other:abc a /
RUN --mount=type=bind,from=lkt/mount@sha256:${'0'.repeat(64)},target=/x --mount=from=build2,target=/y z
FROM scratch AS build2
FROM build
COPY --from=build2 /a /
COPY --from=0 /a /
FROM \\
  lkt/base:2
COPY --from=build /a /
`;

const references = (
  options: { target?: string } = {},
  args: Readonly<Record<string, string>> = {},
) =>
  imageReferences(
    parseDockerfile({ path: 'Dockerfile', text: TEXT }),
    new Map(Object.entries(args)),
    { os: 'linux', architecture: 'arm64' },
    { buildPlatform: { os: 'linux', architecture: 'amd64' }, ...options },
  );

describe('imageReferences', () => {
  test('lists external images with their positions', () => {
    expect(references()).toMatchObject([
      {
        text: 'lkt/go:1',
        written: 'lkt/go:$tag',
        position: { line: 2, column: 32 },
        length: 11,
        platform: 'linux/amd64',
        isBase: true,
      },
      {
        text: 'lkt/other:abc',
        written: 'lkt/other:abc',
        position: { line: 3, column: 23 },
        platform: 'linux/arm64',
        isBase: false,
      },
      {
        text: `lkt/mount@sha256:${'0'.repeat(64)}`,
        position: { line: 4, column: 28 },
        isBase: false,
      },
      { text: 'lkt/base:2', position: { line: 10, column: 3 }, isBase: true },
    ]);
  });

  test('can be replaced at their offsets', () => {
    let text = TEXT;
    for (const { offset, length } of references().toReversed()) {
      text = `${text.slice(0, offset)}PIN${text.slice(offset + length)}`;
    }
    expect(text).toContain('FROM --platform=$BUILDPLATFORM PIN AS build\n');
    expect(text).toContain('COPY --chown=0 --from=PIN a /\n');
    expect(text).toContain('--mount=type=bind,from=PIN,target=/x');
    expect(text).toContain('FROM \\\n  PIN\n');
  });

  test('limits the list to one target', () => {
    expect(references({ target: 'build2' })).toEqual([]);
    const all = references({ target: 'build' }).map(({ text }) => text);
    expect(all).not.toContain('lkt/base:2');
    expect(all).toContain('lkt/go:1');
  });

  test('marks the images of stages that nothing needs', () => {
    const text = 'FROM unpinned AS tool\nCOPY --from=also-unpinned /f /\nFROM x';
    const dockerfile = parseDockerfile({ path: 'Dockerfile', text });
    const found = imageReferences(dockerfile, new Map(), { os: 'linux', architecture: 'amd64' });
    const needed = found.filter(({ isNeeded }) => isNeeded);
    expect(needed.map((reference) => reference.text)).toEqual(['x']);
    expect(found).toHaveLength(3);
  });

  test('lists images in written order, not build order', () => {
    const text = 'FROM x AS a\nCOPY --from=b /f /\nFROM y AS b';
    const dockerfile = parseDockerfile({ path: 'Dockerfile', text });
    const platform = { os: 'linux', architecture: 'amd64' };
    const found = imageReferences(dockerfile, new Map(), platform, { target: 'a' });
    expect(found.map((reference) => reference.text)).toEqual(['x', 'y']);
  });

  test('expands build arguments', () => {
    expect(references({}, { tag: '9' })[0]?.text).toBe('lkt/go:9');
  });
});

const PIN = `@sha256:${'0'.repeat(64)}`;

/** Returns the images that the plan of a Dockerfile uses. */
function planned(text: string): readonly string[] {
  const plan = evaluate(parseDockerfile({ path: 'Dockerfile', text }), {
    buildArgs: new Map(),
    platform: { os: 'linux', architecture: 'amd64' },
    imageConfig: () => undefined,
  });
  const found = new Set<string>();
  const visit = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return;
    const { kind, text: name } = value as { kind?: unknown; text?: unknown };
    if (kind === 'image') found.add(String(name));
    for (const inner of Object.values(value)) visit(inner);
  };
  for (const { base, steps } of plan.stages) visit([base, steps]);
  return [...found].toSorted();
}

describe('a reference is either listed with its place or rejected', () => {
  test.each<[string, string, readonly string[] | RegExp]>([
    ['a variable in FROM', 'ARG a=evil:1\nFROM $a', ['evil:1']],
    ['a default in FROM', 'FROM ${a:-evil:1}', ['evil:1']],
    ['a variable of a stage in FROM', 'FROM x\nARG a=evil:1\nFROM $a', /empty|blank|no name|name/],
    ['a variable in COPY', 'ARG a=evil:1\nFROM x\nARG a\nCOPY --from=$a / /', /variables/],
    ['a variable in a mount', 'FROM x\nARG a=evil:1\nRUN --mount=from=$a,target=/a y', /variables/],
    [
      'a variable for the name of the option',
      'FROM x\nARG a=from\nRUN --mount=$a=evil:1,target=/a y',
      /no option/,
    ],
    ['a stage named like an image', 'FROM x AS alpine\nFROM alpine', ['x']],
    ['a stage named later', 'FROM alpine\nFROM x AS alpine', ['alpine', 'x']],
    ['a stage in other case', 'FROM x AS Alpine\nFROM ALPINE', ['x']],
    ['a tag of a stage', 'FROM x AS alpine\nFROM alpine:latest', ['alpine:latest', 'x']],
    ['a digest of a stage', `FROM x AS alpine\nFROM alpine${PIN}`, [`alpine${PIN}`, 'x']],
    ['a stage that is no name', 'FROM x AS docker.io/library/alpine\nFROM y', /name/],
    ['a number of a stage', 'FROM x\nFROM y\nCOPY --from=0 / /', ['x', 'y']],
    ['a number with zeros', 'FROM x\nFROM y\nCOPY --from=00 / /', ['x', 'y']],
    ['a number of no stage', 'FROM x\nCOPY --from=7 / /', /no stage 7/],
    ['scratch in capitals', 'FROM x\nCOPY --from=SCRATCH / /', ['x']],
    ['scratch with a tag', 'FROM scratch:1', ['scratch:1']],
    ['a stage named scratch', 'FROM x AS scratch\nFROM scratch', ['x']],
    ['two images of a mount', 'FROM x\nRUN --mount=from=a,from=b,target=/a y', ['b', 'x']],
    ['an image of a quoted mount', 'FROM x\nRUN --mount="from=a",target=/a y', ['a', 'x']],
    ['a mount in other case', 'FROM x\nRUN --mount=FROM=a,target=/a y', ['a', 'x']],
    [
      'an image that a source has too',
      'FROM x\nRUN --mount=type=bind,source=from=a:1,from=a:1,target=/a y',
      ['a:1', 'x'],
    ],
    [
      'an image that a quoted source has too',
      'FROM x\nRUN --mount=type=bind,"source=b,from=a:1",from=a:1,target=/a y',
      ['a:1', 'x'],
    ],
    ['a comment in a continued line', 'FROM \\\n# FROM good\nevil', ['evil']],
    ['another escape', '# escape=`\nFROM `\nevil', ['evil']],
    ['a heredoc with FROM', 'FROM x\nRUN <<E\nFROM evil\nE', ['x']],
    ['an image of ADD', 'FROM x\nADD --from=evil / /', /from/],
    ['an invalid platform', 'FROM --platform=evil/../x y', /platform/],
  ])('%s', (_what, text, expected) => {
    const list = (): readonly string[] =>
      imageReferences(parseDockerfile({ path: 'Dockerfile', text }), new Map(), {
        os: 'linux',
        architecture: 'amd64',
      }).map((reference) => {
        const { offset, length, written } = reference;
        expect(text.slice(offset, offset + length)).toBe(written);
        return reference.text;
      });
    if (expected instanceof RegExp) {
      expect(() => [list(), planned(text)]).toThrow(expected);
      return;
    }
    expect([...new Set(list())].toSorted()).toEqual(expected);
    for (const name of planned(text)) expect(expected).toContain(name);
  });

  test.each(['source=from=a:1', '"source=b,from=a:1"', 'target="/,from=a:1"'])(
    'whose place a mount with %s does not confuse',
    (other) => {
      const text = `FROM x\nRUN --mount=type=bind,${other},from=a:1,dst=/a y`;
      const platform = { os: 'linux', architecture: 'amd64' };
      const dockerfile = parseDockerfile({ path: 'Dockerfile', text });
      const found = imageReferences(dockerfile, new Map(), platform).at(-1);
      // The place of the option, or the whole flag, in which nothing is pinned.
      const place = text.lastIndexOf('from=a:1,') + 'from='.length;
      expect([place, text.indexOf('--mount')]).toContain(found?.offset);
    },
  );
});
