import { describe, expect, test } from 'vitest';
import { parseDockerfile } from '../src/parse/parse.ts';
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
