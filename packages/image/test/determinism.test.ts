import { execFile } from 'node:child_process';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { openStore } from '@lkt/oci';
import { expect, it } from 'vitest';
import { sampleConfig, tempDir } from './support.ts';

/** Composes in a process of its own, so that it has a directory, an environment and a umask of its own. */
const SCRIPT = `
import { readFileSync } from 'node:fs';
import { composeImage } from '${new URL('../src/compose.ts', import.meta.url).href}';
import { openStore } from '${import.meta.resolve('@lkt/oci')}';
const [storeDir, config, outDir, umask] = process.argv.slice(1);
process.umask(parseInt(umask, 8));
const result = await composeImage({
  configs: [{ path: config, text: readFileSync(config, 'utf8') }],
  store: await openStore(storeDir),
  format: ['kernel+initrd', 'tar'],
  outDir,
  name: 'x',
  platform: { os: 'linux', architecture: 'amd64' },
  homeDir: '/nonexistent',
});
console.log(JSON.stringify(result.files.map(({ digest }) => digest)));
`;

it('gives the same bytes whatever directory, time zone, umask, locale, host, user and cache', async () => {
  const dir = tempDir();
  chmodSync(dir, 0o755);
  const digests = new Set<string>();
  for (const [index, { umask, env, deep, user }] of [
    { umask: '022', env: { TZ: 'UTC', LC_ALL: 'C' }, deep: 'a', user: 0 },
    { umask: '077', env: { TZ: 'Asia/Kathmandu', LC_ALL: 'tr_TR.UTF-8' }, deep: 'b/c/d', user: 0 },
    { umask: '000', env: { TZ: 'America/St_Johns', HOSTNAME: 'other' }, deep: 'e f', user: 12345 },
  ].entries()) {
    const here = join(dir, deep);
    mkdirSync(here, { recursive: true });
    const storeDir = join(dir, `store${index}`);
    const store = await openStore(storeDir);
    const config = join(here, 'system.yml');
    writeFileSync(config, `${await sampleConfig(store)}  - {path: etc/src, source: data}\n`);
    writeFileSync(join(here, 'data'), 'some data');
    const isRoot = process.getuid?.() === 0;
    if (isRoot && user !== 0)
      await promisify(execFile)('chown', ['-R', String(user), here, storeDir]);
    for (const run of ['cold', 'warm']) {
      const { stdout } = await promisify(execFile)(
        process.execPath,
        ['--input-type=module', '-e', SCRIPT, storeDir, config, join(here, run), umask],
        { cwd: here, env, ...(isRoot && user !== 0 ? { uid: user, gid: user } : {}) },
      );
      digests.add(stdout);
    }
  }
  expect([...digests]).toHaveLength(1);
}, 60_000);
