import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { lkt, root } from './lkt.ts';
import { proven } from './proof.ts';

const EXAMPLES = ['minimal', 'sshd', 'getty'];
/** A user that no machine has; nothing is mapped for it in /etc/subuid. */
const STRANGER = '23456';

const dir = mkdtempSync(join(tmpdir(), 'lkt-reproducible-'));
chmodSync(dir, 0o755);
afterAll(() => rmSync(dir, { recursive: true, force: true }));

test(
  'everything built anew, elsewhere, by someone else, is the same',
  { timeout: 2_400_000 },
  async () => {
    const here = await describeBuild(join(dir, 'here'), {});
    const there = await proven('reproducible', async () => {
      const home = join(dir, 'the home of a stranger');
      mkdirSync(home);
      const checkout = join(home, 'lkt');
      const bundle = join(dir, 'lkt.bundle');
      cloneWorkTree(bundle, checkout);
      execFileSync('chown', ['-R', `${STRANGER}:${STRANGER}`, home]);
      return describeBuild(join(home, 'out'), {
        checkout,
        cwd: '/',
        // Another host name, no group, nothing of this process's environment, and files that only their owner may read.
        under: [
          'unshare',
          '--uts',
          'setpriv',
          '--reuid',
          STRANGER,
          '--regid',
          STRANGER,
          '--clear-groups',
          'sh',
          '-c',
          'umask 077; exec "$@"',
          'sh',
        ],
        env: {
          HOME: home,
          XDG_CACHE_HOME: join(home, '.cache'),
          LKT_CACHE: join(home, 'cache'),
          TZ: 'Asia/Kathmandu',
          LANG: 'tr_TR.UTF-8',
        },
      });
    });
    expect(there.split('\n')).toEqual(here.split('\n'));
    expect(here.split('\n').filter((line) => line.includes('lkt/')).length).toBeGreaterThan(10);
  },
);

/** The digests of the three files of each example, and of every image in the store that made them. */
async function describeBuild(
  out: string,
  options: NonNullable<Parameters<typeof lkt>[1]>,
): Promise<string> {
  const env = { HOME: join(dir, 'no home'), XDG_CACHE_HOME: cacheHome(), ...options.env };
  const lines: string[] = [];
  for (const name of EXAMPLES) {
    const built = await lkt(
      ['build', '--dir', out, join(options.checkout ?? root, `examples/${name}.yml`)],
      { ...options, env },
    );
    expect(built.status, built.stderr).toBe(0);
    for (const part of ['kernel', 'initrd.img', 'cmdline']) {
      const hash = createHash('sha256')
        .update(readFileSync(join(out, `${name}-${part}`)))
        .digest('hex');
      lines.push(`${hash} ${name}-${part}`);
    }
  }
  return lines.join('\n');
}

function cacheHome(): string {
  const { XDG_CACHE_HOME, HOME = '/' } = process.env;
  return XDG_CACHE_HOME ?? join(HOME, '.cache');
}

/** A clone that has the files as they are now, committed or not, in a commit of its own. */
function cloneWorkTree(bundle: string, checkout: string): void {
  git(root, 'bundle', 'create', '--quiet', bundle, 'HEAD');
  git(
    root,
    '-c',
    'advice.detachedHead=false',
    '-c',
    'init.defaultBranch=main',
    'clone',
    '--quiet',
    bundle,
    checkout,
  );
  const names = git(root, 'ls-files', '-z', '--cached', '--others', '--exclude-standard');
  execFileSync(
    'tar',
    ['-cf', `${bundle}.tar`, '--null', '--ignore-failed-read', '--verbatim-files-from', '-T', '-'],
    { cwd: root, input: names, stdio: ['pipe', 'pipe', 'ignore'] },
  );
  execFileSync('tar', ['-xf', `${bundle}.tar`, '-C', checkout]);
  git(checkout, 'add', '--all');
  git(checkout, 'commit', '--quiet', '--allow-empty', '-m', 'as it is');
}

function git(cwd: string, ...args: string[]): string {
  return execFileSync('git', ['-c', 'user.name=test', '-c', 'user.email=test@localhost', ...args], {
    cwd,
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
  });
}
