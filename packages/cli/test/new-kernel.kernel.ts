import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { guardedDirectory } from '@lkt/testing/guarded-directory';
import { expect, test } from 'vitest';
import { main } from './program.ts';

const root = join(import.meta.dirname, '../../..');

/** Runs a program in a repository. Returns its status and all output. */
function run(cwd: string, program: string, ...words: readonly string[]): [number, string] {
  const command = ['-c', '"$0" "$@" 2>&1', program, ...words];
  try {
    return [0, execFileSync('sh', command, { cwd, encoding: 'utf8' })];
  } catch (error) {
    const { status, stdout } = error as { status: number; stdout: string };
    return [status, stdout];
  }
}

// Sources and compiler come from the user's store, or are downloaded. Configures once per fragment,
// and three times more.
test('another repository configures a kernel of its own', { timeout: 3_600_000 }, async () => {
  await using dir = guardedDirectory('lkt-new-kernel-');
  const at = (path: string): string => join(dir.path, path);
  const lkt = (...words: readonly string[]): [number, string] =>
    run(dir.path, process.execPath, main, ...words);
  run(dir.path, 'git', 'init', '--quiet');
  const source = `path:${relative(realpathSync(dir.path), root)}`;
  writeFileSync(at('lkt.yml'), JSON.stringify({ org: 'acme', collections: { lkt: { source } } }));
  expect(lkt('new', 'kernel', 'linux')).toEqual([0, expect.stringContaining('next: ')]);
  run(dir.path, 'git', 'add', '--all');
  const recipe = readFileSync(at('pkg/linux-config/build.yml'), 'utf8');
  const take = (...fragments: readonly string[]): void =>
    writeFileSync(
      at('pkg/linux-config/build.yml'),
      recipe.replace(/FRAGMENTS=.*/, `FRAGMENTS=${fragments.join(' ')}`),
    );

  take('nfs.config', 'absent.config');
  expect(lkt('pin', 'pkg/linux-config')).toEqual([
    1,
    expect.stringMatching(/there is no fragment absent\.config, but: aio\.config .* own\.config/),
  ]);
  take('nfs.config', 'own.config');
  const options = at('pkg/linux-config/own.config');
  const text = readFileSync(options, 'utf8');
  const line = text.split('\n').length;
  writeFileSync(options, `${text}CONFIG_NO_SUCH=y\n`);
  expect(lkt('pin', 'pkg/linux-config')).toEqual([
    1,
    expect.stringContaining(`own.config:${line}: CONFIG_NO_SUCH: Linux has no such symbol`),
  ]);
  writeFileSync(options, `${text}# CONFIG_WIREGUARD is not set\nCONFIG_NR_CPUS=8\n`);
  expect(lkt('pin', 'pkg/linux-config')).toEqual([0, expect.any(String)]);
  // The image has the configuration alone.
  writeFileSync(at('config.yml'), 'init: ["@pkg:pkg/linux-config"]\n');
  expect(lkt('build', '--format', 'tar', 'config.yml')).toEqual([0, expect.any(String)]);
  const [, config] = run(
    dir.path,
    'tar',
    '--extract',
    '--to-stdout',
    '--file=config.tar',
    '--wildcards',
    '*kernel-config',
  );
  for (const wanted of ['CONFIG_NFS_V4=y', '# CONFIG_WIREGUARD is not set', 'CONFIG_NR_CPUS=8'])
    expect(config).toContain(`\n${wanted}\n`);
  expect(config).toContain('\nCONFIG_LOCALVERSION="-lkt"\n');

  // Each fragment of the collection needs no other, and all go together.
  writeFileSync(options, text);
  const fragments = readdirSync(join(root, 'kernel/optional'));
  expect(fragments.length).toBeGreaterThan(10);
  for (const names of [...fragments.map((name) => [name]), fragments]) {
    take(...names);
    expect(lkt('pin', 'pkg/linux-config'), names.join(' ')).toEqual([0, expect.any(String)]);
  }
  const [, findings] = lkt('audit', 'kernel', 'pkg/linux-config');
  expect(findings).toMatch(/ x86_64 6\.12\.\d+ /);
  expect(findings).toContain('CONFIG_IO_URING');
});
