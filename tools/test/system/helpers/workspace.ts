import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/** A git repository of packages with its own store, in a temporary directory. */
export interface TestWorkspace extends Disposable {
  readonly dir: string;
  readonly cache: string;
  /** The environment in which lkt uses that store. */
  readonly env: Readonly<Record<string, string>>;
  write(path: string, text: string): void;
  commit(): void;
}

export function makeWorkspace(): TestWorkspace {
  const top = mkdtempSync(join(tmpdir(), 'lkt-workspace-'));
  const dir = join(top, 'repository');
  const cache = join(top, 'cache');
  mkdirSync(dir);
  const git = (...args: string[]): void => {
    execFileSync('git', ['-c', 'user.name=test', '-c', 'user.email=test@localhost', ...args], {
      cwd: dir,
      stdio: 'pipe',
    });
  };
  git('init', '--quiet');
  return {
    dir,
    cache,
    env: { LKT_CACHE: cache },
    write: (path, text) => {
      mkdirSync(dirname(join(dir, path)), { recursive: true });
      writeFileSync(join(dir, path), text);
    },
    commit: () => {
      git('add', '--all');
      git('commit', '--quiet', '--allow-empty', '-m', 'a state');
    },
    [Symbol.dispose]: () => rmSync(top, { recursive: true, force: true }),
  };
}

/**
 * Writes a package FROM scratch whose shell is this machine's static busybox: it builds without
 * downloads.
 */
export function writeBusyboxPackage(
  workspace: TestWorkspace,
  name: string,
  steps: readonly string[],
): void {
  workspace.write(`pkg/${name}/build.yml`, `org: test\nimage: ${name}\narches: [amd64]\n`);
  workspace.write(
    `pkg/${name}/Dockerfile`,
    `FROM scratch\nCOPY busybox /bin/sh\n${steps.join('\n')}\n`,
  );
  copyFileSync('/bin/busybox', join(workspace.dir, `pkg/${name}/busybox`));
}

/** Returns the blobs of a store, largest first. */
export function blobsOf(cache: string): string[] {
  const dir = join(cache, 'blobs/sha256');
  return readdirSync(dir)
    .map((name) => join(dir, name))
    .toSorted((a, b) => statSync(b).size - statSync(a).size);
}

/** Changes one byte in the middle of a file. */
export function tamper(path: string): void {
  const data = readFileSync(path);
  const middle = Math.floor(data.length / 2);
  data[middle] = (data[middle] ?? 0) ^ 0xff;
  rmSync(path);
  writeFileSync(path, data);
}
