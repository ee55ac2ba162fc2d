import { execFileSync } from 'node:child_process';
import { mkdir, mkdtempDisposable, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { GoFileTableScanner } from '../src/go-file-table.ts';
import { goPackages } from '../src/go-packages.ts';
import { type GoBuildInfo, GoBuildInfoScanner } from '../src/index.ts';

function scan(bytes: Buffer, piece = bytes.length): GoBuildInfo | undefined {
  const scanner = new GoBuildInfoScanner();
  for (let at = 0; at < bytes.length; at += piece) scanner.push(bytes.subarray(at, at + piece));
  return scanner.result();
}

/** Encodes a string with its length as a varint. */
function text(value: string): Buffer {
  const length = Buffer.byteLength(value);
  const varint = [];
  let rest = length;
  for (; rest >= 0x80; rest >>>= 7) varint.push((rest & 0x7f) | 0x80);
  return Buffer.concat([Buffer.from([...varint, rest]), Buffer.from(value)]);
}

/** Encodes a blob as the linker writes it. */
function blob(version: string, info: string): Buffer {
  const header = Buffer.alloc(32);
  header.write('\xff Go buildinf:', 'latin1');
  header[14] = 8;
  header[15] = 2;
  const mark = 'm'.repeat(16);
  return Buffer.concat([header, text(version), text(info === '' ? '' : `${mark}${info}${mark}`)]);
}

const INFO = [
  'path\texample.org/Tool/cmd',
  'mod\texample.org/Tool\tv1.2.3\th1:main=',
  'dep\tgolang.org/x/sys\tv0.1.0\th1:sys=',
  'dep\texample.org/old\tv0.0.1',
  '=>\texample.org/new\tv0.0.2\th1:new=',
  'build\t-trimpath=true',
  'build\tCGO_ENABLED=0',
  '',
].join('\n');

const EXPECTED: GoBuildInfo = {
  goVersion: 'go1.24.4',
  path: 'example.org/Tool/cmd',
  main: { path: 'example.org/Tool', version: 'v1.2.3', sum: 'h1:main=' },
  modules: [
    { path: 'golang.org/x/sys', version: 'v0.1.0', sum: 'h1:sys=' },
    { path: 'example.org/new', version: 'v0.0.2', sum: 'h1:new=' },
  ],
  settings: ['-trimpath=true', 'CGO_ENABLED=0'],
};

test.each([1, 7, 16, 100_000])('finds build info in chunks of %d bytes, at any offset', (piece) => {
  const program = Buffer.concat([
    Buffer.alloc(1003, 'x'),
    // The magic alone, as in programs that read build info.
    Buffer.from('\xff Go buildinf: not one of these', 'latin1'),
    Buffer.alloc(64),
    blob('go1.24.4', INFO),
    Buffer.alloc(500, 'y'),
  ]);
  expect(scan(program, piece)).toEqual(EXPECTED);
});

test.each([
  ['that is truncated', blob('go1.24.4', INFO).subarray(0, -20)],
  ['with an invalid version', blob('rust1', INFO)],
  [
    'with an overlong varint',
    Buffer.concat([blob('', '').subarray(0, 32), Buffer.alloc(64, 0xff)]),
  ],
  ['of a Go before 1.18', Buffer.concat([blob('', '').fill(0, 15, 16), Buffer.alloc(64)])],
  ['without its magic', Buffer.alloc(100)],
])('ignores build info %s', (_what, bytes) => {
  expect(scan(bytes)).toBeUndefined();
});

test('finds the modules of a program and of those that it embeds', () => {
  const embedded = blob('go1.20', 'path\ta\nmod\ta\tv1.0.0\ndep\tx\tv1.0.0\n');
  const own = blob('go1.24.4', 'path\tb\nmod\tb\tv2.0.0\ndep\tx\tv1.0.0\ndep\ty\tv3.0.0\n');
  // Claims 2 MB that the file does not have.
  const truncated = Buffer.concat([
    blob('go1.19', '').subarray(0, -1),
    Buffer.from([0x80, 0x80, 0x80, 1]),
  ]);
  const file = Buffer.concat([Buffer.alloc(99), embedded, Buffer.alloc(99), truncated, own]);
  for (const piece of [7, 100, file.length]) {
    const found = scan(file, piece);
    expect(found).toMatchObject({ goVersion: 'go1.24.4', main: { path: 'b' } });
    expect(found?.modules.map(({ path, version }) => `${path} ${version}`)).toEqual([
      'x v1.0.0',
      'y v3.0.0',
      'stdlib 1.20',
      'a v1.0.0',
    ]);
  }
});

test('reads the same build info as `go version -m` from a real program', async () => {
  await using temp = await mkdtempDisposable(join(tmpdir(), 'lkt-go-'));
  await writeFile(
    join(temp.path, 'go.mod'),
    'module example.org/hello\n\ngo 1.24\n\nrequire example.org/lib v1.0.0\nreplace example.org/lib => ./lib\n',
  );
  await writeFile(
    join(temp.path, 'main.go'),
    'package main\n\nimport "example.org/lib"\n\nfunc main() { println(lib.Text) }\n',
  );
  const go = (...args: string[]): string =>
    execFileSync('/usr/lib/go-1.24/bin/go', args, {
      cwd: temp.path,
      encoding: 'utf8',
      env: { PATH: process.env['PATH'], HOME: temp.path, GOFLAGS: '-mod=mod', GOPROXY: 'off' },
    });
  execFileSync('mkdir', [join(temp.path, 'lib')]);
  await writeFile(join(temp.path, 'lib/go.mod'), 'module example.org/lib\n');
  await writeFile(join(temp.path, 'lib/lib.go'), 'package lib\n\nconst Text = "text"\n');
  go('build', '-trimpath', '-o', 'hello', '.');
  const info = scan(await readFile(join(temp.path, 'hello')), 65_536);
  const lines = go('version', '-m', 'hello').split('\n');
  expect(lines[0]).toBe(`hello: ${info?.goVersion}`);
  const fields = (key: string): string[][] =>
    lines.map((line) => line.split('\t').slice(1)).filter(([first]) => first === key);
  expect(fields('path')).toEqual([['path', info?.path]]);
  expect(fields('mod').map(([, path, version]) => [path, version])).toEqual([
    [info?.main?.path, info?.main?.version],
  ]);
  // The program was compiled from the replacement.
  expect(fields('=>').map(([, path]) => path)).toEqual(
    info?.modules.map(({ directory }) => directory),
  );
  expect(fields('dep').map(([, path]) => path)).toEqual(info?.modules.map(({ path }) => path));
  expect(fields('build').map(([, setting]) => setting)).toEqual(info?.settings);
  expect(info?.settings).toContain('-trimpath=true');
});

test.each([
  ['with trimmed paths, stripped', ['-trimpath', '-ldflags=-s -w']],
  ['with the paths of this machine', []],
  ['as a position-independent program', ['-trimpath', '-buildmode=pie']],
])('reads the packages of `go list -deps` from a real program, %s', async (_what, flags) => {
  await using temp = await mkdtempDisposable(join(tmpdir(), 'lkt-go-'));
  const source = join(temp.path, 'src/example.org/hello');
  await mkdir(join(source, 'vendor/example.net/lib'), { recursive: true });
  const main = 'package main\n\nimport (\n\t"fmt"\n\t"example.net/lib"\n)\n\n';
  await writeFile(join(source, 'main.go'), `${main}func main() { fmt.Println(lib.Text()) }\n`);
  const lib = 'package lib\n\n//go:noinline\nfunc Text() string { return "text" }\n';
  await writeFile(join(source, 'vendor/example.net/lib/lib.go'), lib);
  const go = (...args: string[]): string =>
    execFileSync('/usr/lib/go-1.24/bin/go', args, {
      cwd: source,
      encoding: 'utf8',
      env: {
        PATH: process.env['PATH'],
        HOME: temp.path,
        GO111MODULE: 'off',
        GOPATH: temp.path,
        CGO_ENABLED: '0',
      },
    });
  go('build', ...flags, '-o', 'hello', '.');
  const scanner = new GoFileTableScanner('little');
  const bytes = await readFile(join(source, 'hello'));
  for (let at = 0; at < bytes.length; at += 65_536) scanner.push(bytes.subarray(at, at + 65_536));
  const linked = goPackages(scanner.directories).map(({ importPath }) => importPath);
  const compiled = go('list', '-deps', '.').trim().split('\n');
  const own = ['example.net/lib', 'example.org/hello', 'fmt', 'internal/fmtsort', 'runtime'];
  expect(linked).toEqual(expect.arrayContaining(own));
  // Packages without a function that is used are not in the table.
  const expected = compiled.map((path) => path.replace('example.org/hello/vendor/', ''));
  expect(expected).toEqual(expect.arrayContaining(linked));
});
