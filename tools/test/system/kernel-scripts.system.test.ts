import { spawnSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { buildGoProgram } from '../go-program.ts';
import { root } from './helpers/lkt.ts';

/** Tests the scripts of kernel/ with small sources; `npm run test:kernel` runs them with Linux. */

const SCRIPTS = [
  'kernel/build/compare',
  'kernel/build/compile',
  'kernel/build/configure',
  'kernel/build/unpack',
  'kernel/flavours/dev/incremental',
];

const dir = mkdtempSync(join(tmpdir(), 'lkt-kernel-scripts-'));
const programs = mkdtempSync(join(tmpdir(), 'lkt-object-cache-'));
const program = join(programs, 'object-cache');
afterAll(() => {
  for (const path of [dir, programs]) rmSync(path, { recursive: true, force: true });
});
beforeEach(() => {
  rmSync(dir, { recursive: true, force: true });
  mkdirSync(join(dir, 'build'), { recursive: true });
  // In one directory, as in the images.
  for (const script of SCRIPTS)
    symlinkSync(join(root, script), join(dir, 'build', basename(script)));
});

/**
 * A tree with its Kconfig files where Linux has them. Its make sets every requested symbol except
 * STUBBORN.
 */
const TREE = {
  'linux-1/Kconfig': 'config SHARED\n\tbool "x"\n\nmenuconfig STUBBORN\n\tbool\n\tdepends on NET\n',
  'linux-1/arch/Kconfig': 'config OF_ALL\n\tbool "x"\n',
  'linux-1/arch/x86/Kconfig': 'config ONLY_X86\n\tbool "x"\n',
  'linux-1/arch/arm64/Kconfig': 'config ONLY_ARM\n\tbool "x"\n',
  'linux-1/Makefile':
    'allnoconfig:\n\tgrep -v STUBBORN=y "$(KCONFIG_ALLCONFIG)" > "$(O)/.config" || true\n',
  'linux-1/main.c': 'a\nb\nc\n',
};

const OPTIONS = 'objects/include/generated/autoconf.h';
const SET = '#define CONFIG_A 1\n#define CONFIG_B 1\n';
const HEADERS = 'objects/arch/x86/include/generated/asm';

/** A tree whose kernel is the names of the compilers, and whose main.c is compiled as by Kbuild. */
const COMPILED = {
  'linux-1/Makefile': `MAKEFLAGS += --no-print-directory
prepare:
\t:
bzImage:
\techo "$(notdir $(CC)), $(HOSTCC), $(HOSTCXX)" > "$(O)/arch/x86/boot/bzImage"
\tcd "$(O)" && $(CC) -Wp,-MMD,main.d -Iinclude -include include/generated/autoconf.h -c -o main.o $(CURDIR)/main.c
`,
  'linux-1/main.c': '#ifdef CONFIG_A\nint a = CONFIG_B;\n#endif\n',
  'linux-1/arch/x86/boot/head.S': '\t.incbin\t"kernel"\n\t.incbin NAME\n',
  'linux-1/arch/s390/kernel/insn.h': 'asm(".include \\"insn.h\\"\\n");\n',
  'linux-1/configs.c': 'asm("\t.incbin \\"config.gz\\"\\n");\n// .include <a.h>\n',
  'objects/.config': 'CONFIG_A=y\n',
  'objects/System.map': '',
  [OPTIONS]: SET,
  [`${HEADERS}/a.h`]: '',
  'objects/arch/x86/boot/bzImage': '',
};

function write(files: Readonly<Record<string, string>>): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(dir, path)), { recursive: true });
    writeFileSync(join(dir, path), text);
  }
}

function read(path: string): string {
  return readFileSync(join(dir, path), 'utf8');
}

/** Exit status, standard output and standard error of a script. */
interface Done {
  readonly status: number | null;
  readonly printed: string;
  readonly said: string;
}

/** Runs a script in the directory. */
function run(script: string, ...args: readonly string[]): Done {
  const { status, stdout, stderr } = spawnSync(join(dir, 'build', script), args, {
    cwd: dir,
    encoding: 'utf8',
    env: { ...process.env, SOURCE_DATE_EPOCH: '0', CCACHE_DIR: 'ccache', CCACHE_NAMESPACE: 'x' },
  });
  return { status, printed: stdout, said: stderr };
}

function configure(
  fragments: Readonly<Record<string, string>>,
  arch = 'x86_64',
): ReturnType<typeof run> {
  write({ ...TREE, ...fragments });
  return run('configure', 'linux-1', join(dir, 'out'), arch, ...Object.keys(fragments));
}

function incremental(): ReturnType<typeof run> {
  return run('incremental', 'linux.tar.xz', 'cache', 'wanted', 'patches');
}

/** Returns a patch of the second line of main.c. */
function patch(from: string, to: string): string {
  return `--- a/main.c\n+++ b/main.c\n@@ -1,3 +1,3 @@\n a\n-${from}\n+${to}\n c\n`;
}

function tarball(): void {
  write(TREE);
  expect(spawnSync('tar', ['-cJf', 'linux.tar.xz', 'linux-1'], { cwd: dir }).status).toBe(0);
}

describe('configure', () => {
  test('sets the requested symbols; a later fragment overrides an earlier one', () => {
    const a = '# A sentence.\nCONFIG_SHARED=y\nCONFIG_ONLY_X86=y\n';
    expect(configure({ 'a.config': a, 'b.config': '# CONFIG_SHARED is not set\n' })).toMatchObject({
      status: 0,
      said: '',
    });
    expect(read('out/.config')).toBe('CONFIG_ONLY_X86=y\n# CONFIG_SHARED is not set\n');
  });

  test.each([
    [
      'a symbol that Linux does not have',
      '\nCONFIG_SHARD=y\n',
      'a.config:2: CONFIG_SHARD: Linux has no such symbol for x86_64',
    ],
    [
      'a symbol of another architecture',
      'CONFIG_ONLY_ARM=y\n',
      'a.config:1: CONFIG_ONLY_ARM: Linux has no such symbol for x86_64',
    ],
    [
      'a symbol that cannot be set',
      '# x\n\nCONFIG_STUBBORN=y\n',
      'a.config:3: CONFIG_STUBBORN: requested y, got n\n    depends on NET',
    ],
    [
      'a symbol that is set twice',
      'CONFIG_SHARED=y\nCONFIG_SHARED=y\n',
      'a.config:2: CONFIG_SHARED is set twice',
    ],
    [
      'a line that is neither a symbol nor a comment',
      'CONFIG_SHARED=y\nSHARED=y\n',
      'a.config:2: neither a symbol nor a comment: SHARED=y',
    ],
    [
      'a symbol without a value',
      'CONFIG_SHARED=\n',
      'a.config:1: neither a symbol nor a comment: CONFIG_SHARED=',
    ],
    [
      'a comment that looks like a setting',
      '#CONFIG_SHARED=y\n',
      'a.config:1: neither a symbol nor a comment: #CONFIG_SHARED=y',
    ],
  ])('reports %s', (_, fragment, message) => {
    const { status, said } = configure({ 'a.config': fragment });
    expect(said).toContain(message);
    expect(status).not.toBe(0);
  });

  test('accepts symbols of arm64 only for arm64', () => {
    expect(configure({ 'a.config': 'CONFIG_ONLY_ARM=y\nCONFIG_OF_ALL=y\n' }, 'arm64').said).toBe(
      '',
    );
    expect(configure({ 'a.config': 'CONFIG_ONLY_X86=y\n' }, 'arm64').said).toContain(
      'a.config:1: CONFIG_ONLY_X86: Linux has no such symbol for arm64',
    );
  });

  test('reports a missing fragment', () => {
    write(TREE);
    const { status, said } = run('configure', 'linux-1', join(dir, 'out'), 'x86_64', 'none.config');
    expect(said).toContain('none.config');
    expect(status).not.toBe(0);
  });
});

describe('unpack', () => {
  const FIX = '--- a/main.c\n+++ b/main.c\n@@ -1,3 +1,3 @@\n a\n-b\n+B\n c\n';

  test('reports a truncated tarball', () => {
    tarball();
    const whole = readFileSync(join(dir, 'linux.tar.xz'));
    writeFileSync(join(dir, 'linux.tar.xz'), whole.subarray(0, whole.length - 40));
    const { status, said } = run('unpack', 'linux.tar.xz', 'linux');
    expect(said).toMatch(/^unpack: linux.tar.xz is truncated or corrupt$/m);
    expect(status).not.toBe(0);
  });

  test('applies only patches that name their upstream commit', () => {
    tarball();
    write({ 'no.patch': FIX, 'yes.patch': `commit ${'0'.repeat(40)} upstream.\n\n${FIX}` });
    expect(run('unpack', 'linux.tar.xz', 'one', 'no.patch').said).toContain(
      'unpack: no.patch does not name an upstream commit',
    );
    expect(run('unpack', 'linux.tar.xz', 'two', 'yes.patch').status).toBe(0);
    expect(read('two/main.c')).toBe('a\nB\nc\n');
    expect(run('compare', 'linux.tar.xz', 'two', 'yes.patch')).toMatchObject({
      status: 0,
      said: '',
    });
    expect(read('two/main.c')).toBe('a\nb\nc\n');
  });
});

/** Compiles a tree in which some files have another content. */
function compile(files: Readonly<Record<string, string>>): ReturnType<typeof run> {
  write({ ...COMPILED, ...files });
  rmSync(join(dir, 'objects/ccache.log'), { force: true });
  const done = run('compile', 'linux-1', join(dir, 'objects'), 'x86_64', 'out');
  expect(done.status, done.said).toBe(0);
  return done;
}

describe('compile', () => {
  beforeAll(() => buildGoProgram('kernel/linux-object-cache', program));
  beforeEach(() => symlinkSync(program, join(dir, 'build/object-cache')));

  test.each([
    ['nothing', {}, 'object_cache_hit'],
    ['an option of another file', { [OPTIONS]: `${SET}#define CONFIG_C 1\n` }, 'object_cache_hit'],
    ['an option of the file', { [OPTIONS]: SET.replace('B 1', 'B 2') }, 'cache_miss'],
    ['another file', { 'linux-1/other.c': '' }, 'preprocessed_cache_hit'],
    ['the names of generated headers', { [`${HEADERS}/b.h`]: '' }, 'preprocessed_cache_hit'],
  ])('compiles only what has changed: %s', (_, changes, event) => {
    expect(compile({}).printed).toBe('compile: 0 of 1 objects came from the cache\n');
    expect(read('out/kernel')).toBe('object-cache ccache gcc, ccache gcc, ccache g++\n');
    const count = event === 'cache_miss' ? 0 : 1;
    expect(compile(changes).printed).toBe(`compile: ${count} of 1 objects came from the cache\n`);
    expect(read('objects/ccache.log').split('\n')).toContain(event);
    const object = readFileSync(join(dir, 'objects/main.o'));
    rmSync(join(dir, 'ccache'), { recursive: true });
    compile(changes);
    expect(object.equals(readFileSync(join(dir, 'objects/main.o')))).toBe(true);
  });

  test.each([
    ['a.S', '\t.include "a.inc"\n'],
    ['a.c', 'asm(".include \\"a.inc\\"");\n'],
    ['a.c', 'asm(".incbin\\t\\"a\\"");\n'],
    ['a.h', 'asm(".incbin  \\"a\\"");\n'],
    ['a.h', 'asm(".incbin\\"a\\"");\n'],
    ['arch/x86/a.S', '.macro include file\n.incbin \\file\n.endm\n'],
  ])('compiles everything if ccache misses what %s reads: %j', (name, text) => {
    expect(compile({ [`linux-1/${name}`]: text }).said).toBe(
      `compile: without ccache, since the assembler reads other files in:\nlinux-1/${name}\n`,
    );
    expect(read('out/kernel')).not.toContain('ccache');
  });
});

test.each([
  ['a file that differs', { 'linux-1/main.c': 'b\n' }, /main.c: (?:Contents|Size) differ/],
  ['an additional file', { 'linux-1/more.c': 'c\n' }, /more.c: not in the tarball/],
])('compare reports %s', (_, files, message) => {
  tarball();
  expect(run('compare', 'linux.tar.xz', 'linux-1').status).toBe(0);
  write(files);
  expect(run('compare', 'linux.tar.xz', 'linux-1').said).toMatch(message);
});

test('compare reports a missing file', () => {
  tarball();
  rmSync(join(dir, 'linux-1/main.c'));
  expect(run('compare', 'linux.tar.xz', 'linux-1').said).toMatch(/main.c: .*No such file/);
});

describe('incremental', () => {
  beforeEach(() => {
    tarball();
    write({ wanted: 'CONFIG_A=y\n', 'patches/README.md': '' });
    mkdirSync(join(dir, 'cache'));
    expect(incremental().status).toBe(0);
    write({ 'cache/objects/main.o': 'compiled' });
  });

  test('applies and reverts patches, and changes no other file', () => {
    const before = statSync(join(dir, 'cache/linux/Makefile'));
    write({ 'patches/1.patch': patch('b', 'B'), 'patches/2.patch': patch('B', '2') });
    expect(incremental().status).toBe(0);
    expect(read('cache/linux/main.c')).toBe('a\n2\nc\n');
    write({ 'patches/1.patch': patch('b', 'x'), 'patches/2.patch': patch('x', '3') });
    expect(incremental().status).toBe(0);
    expect(read('cache/linux/main.c')).toBe('a\n3\nc\n');
    rmSync(join(dir, 'patches/1.patch'));
    rmSync(join(dir, 'patches/2.patch'));
    expect(incremental().status).toBe(0);
    expect(run('compare', 'linux.tar.xz', 'cache/linux')).toMatchObject({ status: 0, said: '' });
    expect(read('cache/objects/main.o')).toBe('compiled');
    const { ino, mtimeMs } = statSync(join(dir, 'cache/linux/Makefile'));
    expect({ ino, mtimeMs }).toEqual({ ino: before.ino, mtimeMs: before.mtimeMs });
  });

  test('reports a patch that does not apply, and continues from there in the next run', () => {
    write({ 'patches/1.patch': patch('b', 'B'), 'patches/2.patch': patch('b', '2') });
    const { status, said } = incremental();
    expect(said).toContain('incremental: 2.patch does not apply');
    expect(status).not.toBe(0);
    write({ 'patches/2.patch': patch('B', '2') });
    expect(incremental().status).toBe(0);
    expect(read('cache/linux/main.c')).toBe('a\n2\nc\n');
    expect(read('cache/objects/main.o')).toBe('compiled');
  });

  test('writes the config only if the requested one changes', () => {
    const config = join(dir, 'cache/objects/.config');
    writeFileSync(config, 'CONFIG_A=y\nCONFIG_FOLLOWS=y\n');
    expect(incremental().status).toBe(0);
    expect(readFileSync(config, 'utf8')).toContain('FOLLOWS');
    write({ wanted: '# CONFIG_A is not set\n' });
    expect(incremental().status).toBe(0);
    expect(readFileSync(config, 'utf8')).toBe('# CONFIG_A is not set\n');
  });

  test('starts over with another tarball, and after an interrupted run', () => {
    rmSync(join(dir, 'cache/state'));
    expect(incremental().status).toBe(0);
    expect(() => read('cache/objects/main.o')).toThrow('ENOENT');
    write({ 'cache/objects/main.o': 'compiled', 'linux-1/main.c': 'another\n' });
    expect(spawnSync('tar', ['-cJf', 'linux.tar.xz', 'linux-1'], { cwd: dir }).status).toBe(0);
    expect(incremental().status).toBe(0);
    expect(read('cache/linux/main.c')).toBe('another\n');
    expect(() => read('cache/objects/main.o')).toThrow('ENOENT');
  });
});
