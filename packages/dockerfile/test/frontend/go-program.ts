import { execFile, execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

interface GoSource {
  /** Path of the Go package, or of a directory with its source. */
  readonly path: string;
  /** Debian packages with its imports, or with its own source. */
  readonly packages: readonly string[];
  readonly tags?: readonly string[];
}

/**
 * Returns the directory of a program that is compiled from Debian's Go packages, once per version
 * of them and of its source.
 */
export async function goProgram(
  name: string,
  { path, packages, tags = [] }: GoSource,
): Promise<string> {
  const { XDG_CACHE_HOME = join(homedir(), '.cache') } = process.env;
  const format = ['-f', '${Package} ${Version}\n'];
  const all = [...packages, 'golang-1.24-go'];
  const hash = createHash('sha256');
  hash.update(execFileSync('/usr/bin/dpkg-query', ['-W', ...format, ...all]));
  const isOwn = path.startsWith('/');
  if (isOwn)
    for (const file of readdirSync(path).toSorted()) hash.update(readFileSync(join(path, file)));
  const key = hash.update(tags.join()).digest('hex').slice(0, 16);
  const directory = join(XDG_CACHE_HOME, 'lkt-proofs', `${name}-${key}`);
  if (existsSync(join(directory, name))) return directory;
  mkdirSync(dirname(directory), { recursive: true });
  const made = mkdtempSync(`${directory}-`);
  try {
    if (isOwn) cpSync(path, join(made, 'src', name), { recursive: true });
    // Unoptimized: it compiles faster, and runs only for seconds.
    const flags = ['-gcflags=all=-N -l', '-tags', tags.join(), '-o', join(made, name)];
    await promisify(execFile)('/usr/lib/go-1.24/bin/go', ['build', ...flags, isOwn ? name : path], {
      cwd: '/',
      env: {
        PATH: '/usr/bin:/bin',
        GO111MODULE: 'off',
        GOPATH: `${made}:/usr/share/gocode`,
        // Shares compiled packages with other programs.
        GOCACHE: join(XDG_CACHE_HOME, 'go-build'),
        GOFLAGS: '-trimpath',
        GOGC: '400',
        CGO_ENABLED: '0',
      },
    });
    renameSync(made, directory);
  } finally {
    rmSync(made, { recursive: true, force: true });
  }
  return directory;
}
