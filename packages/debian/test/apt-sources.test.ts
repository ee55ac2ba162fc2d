import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { parseDeb822Sources, parseOneLineSources } from '../src/archive/apt-sources.ts';
import { findMirror } from '../src/archive/mirror.ts';

describe('parseDeb822Sources', () => {
  it('reads enabled binary sources', () => {
    const text = `Types: deb deb-src
URIs: https://a.example/debian
Suites: trixie trixie-updates
Components: main contrib

Types: deb
URIs: https://off.example/debian
Suites: trixie
Components: main
Enabled: no

Types: deb-src
URIs: https://src.example/debian
Suites: trixie
Components: main

Types: deb
URIs: file:/local
Suites: ./
Trusted: yes
`;
    expect(
      parseDeb822Sources(text, 'x').map(({ uri, suite, signed }) => [uri, suite, signed]),
    ).toEqual([
      ['https://a.example/debian', 'trixie', true],
      ['https://a.example/debian', 'trixie-updates', true],
      ['file:/local', './', false],
    ]);
  });
});

describe('parseOneLineSources', () => {
  it('reads options and comments', () => {
    const text = `# deb https://off.example/debian trixie main
deb https://a.example/debian trixie main contrib # the first
deb [arch=amd64 signed-by=/k.gpg] https://b.example/debian-security trixie-security main
deb [ trusted=yes ] https://c.example/ ./
deb-src https://d.example/debian trixie main
`;
    expect(parseOneLineSources(text)).toEqual([
      {
        uri: 'https://a.example/debian',
        suite: 'trixie',
        components: ['main', 'contrib'],
        signed: true,
      },
      {
        uri: 'https://b.example/debian-security',
        suite: 'trixie-security',
        components: ['main'],
        signed: true,
      },
      { uri: 'https://c.example/', suite: './', components: [], signed: false },
    ]);
  });
});

describe('findMirror', () => {
  it('uses apt’s sources that are signed, Debian’s and served by HTTP', async () => {
    const dir = await aptDir({
      'sources.list': 'deb http://one.example/debian/ bookworm main\n',
      'sources.list.d/debian.sources':
        'Types: deb\nURIs: http://two.example/debian\nSuites: trixie trixie-updates\nComponents: main\n\n' +
        'Types: deb\nURIs: http://two.example/sec\nSuites: trixie-security\nComponents: main\n',
      'sources.list.d/local.sources': 'Types: deb\nURIs: file:/x\nSuites: ./\nTrusted: yes\n',
      'sources.list.d/other.list': 'deb https://vendor.example/apt stable stable\n',
      'sources.list.d/unsigned.list': 'deb [trusted=yes] http://evil.example/debian trixie main\n',
      'sources.list.d/old.list.save': 'deb http://old.example/debian trixie main\n',
    });
    expect(await findMirror({ env: {}, aptDir: dir })).toEqual({
      source: 'the apt configuration',
      env: {},
      archives: {
        debian: ['http://one.example/debian', 'http://two.example/debian'],
        'debian-security': ['http://two.example/sec'],
      },
    });
  });

  it('prefers LKT_DEBIAN_MIRROR', async () => {
    const aptDirectory = await aptDir({
      'sources.list': 'deb http://one.example/debian trixie main\n',
    });
    const find = async (value: string): Promise<unknown> =>
      (await findMirror({ env: { LKT_DEBIAN_MIRROR: value }, aptDir: aptDirectory })).archives;
    expect(await find('https://m.example/debian/')).toEqual({
      debian: ['https://m.example/debian'],
      'debian-security': ['https://m.example/debian-security'],
    });
    expect(await find('https://m.example/d https://s.example/sec')).toEqual({
      debian: ['https://m.example/d'],
      'debian-security': ['https://s.example/sec'],
    });
    await expect(find('mirror.example')).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    await expect(find('file:///x')).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });

  it('names the variable to set if there is no mirror', async () => {
    await expect(
      findMirror({ env: {}, aptDir: join(tmpdir(), 'lkt-no-such') }),
    ).rejects.toMatchObject({
      code: 'HOST_UNSUPPORTED',
      fix: expect.stringContaining('LKT_DEBIAN_MIRROR') as string,
    });
  });
});

async function aptDir(files: Readonly<Record<string, string>>): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'lkt-apt-'));
  onTestFinished(async () => rm(dir, { recursive: true }));
  await mkdir(join(dir, 'sources.list.d'));
  for (const [name, text] of Object.entries(files)) await writeFile(join(dir, name), text);
  return dir;
}
