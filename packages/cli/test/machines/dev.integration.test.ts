import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test, vi } from 'vitest';
import { tinyImage } from '../../../machine/test/tiny-kernel.ts';
import { main } from '../program.ts';
import { projectDirectory } from '../project-directory.ts';

const config = (cmdline: string): string => `kernel:
  image: acme/kernel
  cmdline: ${JSON.stringify(cmdline)}
  tar: none
services:
  - name: web
    image: acme/web
`;

test('lkt dev boots each new image, and keeps the machine when a build fails', async () => {
  await using dir = await projectDirectory();
  const { at, write } = dir;
  const env = { ...dir.env, XDG_RUNTIME_DIR: at('.runtime') };
  await using tiny = await tinyImage('');
  for (const name of ['kernel', 'web'])
    write(`pkg/${name}/build.yml`, `org: acme\nimage: ${name}\narches: [amd64]\n`);
  write('pkg/kernel/Dockerfile', 'FROM scratch\nCOPY kernel /kernel\n');
  cpSync(`${tiny.prefix}-kernel`, at('pkg/kernel/kernel'));
  write(
    'pkg/web/Dockerfile',
    'FROM scratch\nCOPY --chmod=755 page /page\nCMD ["/page"]\nEXPOSE 8080\n',
  );
  write('pkg/web/page', 'first');
  write('.gitignore', '.bin/\n.store\n.runtime\n');
  const calls = at('.bin/calls');
  write('.bin/git', `#!/bin/sh\necho "$@" >> ${calls}\nexec /usr/bin/git "$@"\n`);
  chmodSync(at('.bin/git'), 0o755);
  write('images/os.yml', config('boot one .'));
  const git = (...words: readonly string[]): unknown =>
    execFileSync('/usr/bin/git', ['-c', 'user.name=A', '-c', 'user.email=a@b.c', ...words], {
      cwd: dir.path,
      env,
    });
  git('init', '--quiet');
  // Pins of own packages do not stop a change of their sources.
  execFileSync(process.execPath, [main, 'pin', 'images/os.yml'], { cwd: dir.path, env });
  expect(readFileSync(at('images/os.yml'), 'utf8')).toContain('acme/web:');
  const pinned = readFileSync(at('images/os.yml'), 'utf8');

  const child = spawn(process.execPath, [main, 'dev', '--accel', 'tcg', 'images/os.yml'], {
    cwd: dir.path,
    env,
  });
  let [console, said] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => (console += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
  const shows = async (text: () => string, wanted: string, times = 1): Promise<void> =>
    vi.waitFor(() => expect(text().split(wanted), console + said).toHaveLength(times + 1), {
      timeout: 60_000,
      interval: 100,
    });

  await shows(() => console, 'boot one .');
  const [port] = /127\.0\.0\.1:\d+(?= forwards to port 8080 \(tcp\))/.exec(said) ?? [];
  expect(port, said).toBeDefined();
  const machines = machinesOf(child);
  expect(machines).toHaveLength(1);
  // While the machine runs, a process waits for the next build.
  await vi.waitFor(() => expect(workersOf(child)).toHaveLength(1), 60_000);
  const [waiting] = workersOf(child);

  writeFileSync(at('images/os.yml'), `${pinned}nothing: {\n`);
  await shows(() => said, 'the machine still runs the image before');
  expect(said).toContain('error: images/os.yml:');
  expect(machinesOf(child)).toEqual(machines);

  writeFileSync(at('images/os.yml'), pinned);
  await shows(() => said, 'the image is unchanged');
  expect(machinesOf(child)).toEqual(machines);
  expect(workersOf(child)).toEqual([waiting]);

  git('add', '--all');
  writeFileSync(at('images/os.yml'), pinned.replace('boot one', 'boot two'));
  await shows(() => console, 'boot two .');
  expect(machinesOf(child)).not.toEqual(machines);
  expect(commandOf(machinesOf(child)[0])).toContain(`hostfwd=tcp:${port}-:8080`);

  write('pkg/web/page', 'second');
  await shows(() => console, 'boot two .', 2);
  expect(workersOf(child)).not.toContain(waiting);
  write('pkg/web/new/page', 'a new directory');
  write(
    'pkg/web/Dockerfile',
    'FROM scratch\nCOPY --chmod=755 page /page\nCMD ["/page"]\nCOPY new /new\nEXPOSE 8080\n',
  );
  await shows(() => console, 'boot two .', 3);
  git('commit', '--quiet', '--message', 'one');
  write('pkg/web/new/page', 'of which changes are seen');
  await shows(() => console, 'boot two .', 4);
  // No build waited for git: with neither a commit nor an index, with staged and with new files.
  expect(existsSync(calls)).toBe(false);

  // A directory that comes back, as at a checkout of another branch, is watched as before.
  const moveAway = (path: string): (() => void) => {
    cpSync(at(path), at('.runtime/copy'), { recursive: true });
    rmSync(at(path), { recursive: true });
    return () => renameSync(at('.runtime/copy'), at(path));
  };
  const failures = said.split('the machine still runs the image before').length;
  const bringBack = moveAway('images');
  await shows(() => said, 'the machine still runs the image before', failures);
  expect(said).toContain('error: there is no file images/os.yml');
  bringBack();
  await vi.waitFor(() => expect(said).toMatch(/the image is unchanged\n$/), 60_000);
  writeFileSync(at('images/os.yml'), pinned.replace('boot one', 'boot three'));
  await shows(() => console, 'boot three .');
  // The store has the pinned image of the package.
  const restore = moveAway('pkg/web');
  await shows(() => console, 'boot three .', 2);
  expect(said).toMatch(
    /warning: images\/os\.yml:\d+:\d+: \S+ this workspace has no package acme\/web; the image of its pin is used\n/,
  );
  restore();
  await shows(() => console, 'boot three .', 3);
  write('pkg/web/new/page', 'a change in a directory that is new again');
  await shows(() => console, 'boot three .', 4);

  // Changes beside the repository are not seen.
  const unchanged = said.split('the image is unchanged').length;
  await using beside = await mkdtempDisposable(join(tmpdir(), 'lkt-beside-'));
  expect(beside.path).toBeTruthy();
  await sleep(1000);
  expect(said.split('the image is unchanged')).toHaveLength(unchanged);

  const records = (): readonly string[] => readdirSync(at('.runtime/lkt/machines'));
  expect(records()).toHaveLength(1);
  await vi.waitFor(() => expect(workersOf(child)).toHaveLength(1), 60_000);
  const last = [...machinesOf(child), ...workersOf(child)];
  child.kill('SIGINT');
  expect(await once(child, 'close')).toEqual([130, null]);
  expect(said).toContain('error: stopped by SIGINT');
  expect(records()).toEqual([]);
  for (const pid of last) expect(() => process.kill(pid, 0)).toThrow('ESRCH');
});

/** Returns the processes of QEMU that a process has started. */
function machinesOf(parent: ChildProcess): readonly number[] {
  return childrenOf(parent).filter((child) => commandOf(child).includes('qemu-system'));
}

/** Returns the processes for builds that a process has started. */
function workersOf(parent: ChildProcess): readonly number[] {
  return childrenOf(parent).filter((child) => /\/worker\.(?:cjs|ts)\0/.test(commandOf(child)));
}

function childrenOf({ pid }: ChildProcess): readonly number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').map(Number);
}

function commandOf(pid: number | undefined): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}
