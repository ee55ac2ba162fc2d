import { execFile, execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

const SOURCES = ['golang-github-sigstore-sigstore-go-dev', 'golang-1.24-go'];

/**
 * Returns the path of a program made from sigstore-go, of which Debian packages only the source.
 * Compiles it once per installed version, which takes a few minutes.
 */
export async function sigstoreGo(): Promise<string> {
  const { XDG_CACHE_HOME = join(homedir(), '.cache') } = process.env;
  const main = join(import.meta.dirname, 'sigstore-go/main.go');
  const format = ['-f', '${Package} ${Version}\n'];
  const versions = execFileSync('/usr/bin/dpkg-query', ['-W', ...format, ...SOURCES], {
    encoding: 'utf8',
  });
  const key = createHash('sha256').update(versions).update(readFileSync(main)).digest('hex');
  const program = join(XDG_CACHE_HOME, 'lkt-proofs', `sigstore-go-${key.slice(0, 16)}`);
  if (existsSync(program)) return program;
  mkdirSync(dirname(program), { recursive: true });
  const made = mkdtempSync(`${program}-`);
  try {
    await promisify(execFile)(
      '/usr/lib/go-1.24/bin/go',
      // Optimising would take longer than it saves.
      ['build', '-gcflags=all=-N -l', '-o', join(made, 'program'), main],
      {
        cwd: '/',
        env: {
          PATH: '/usr/bin:/bin',
          GO111MODULE: 'off',
          GOPATH: '/usr/share/gocode',
          // Shares compiled dependencies with other programs.
          GOCACHE: join(XDG_CACHE_HOME, 'go-build'),
          GOFLAGS: '-trimpath',
          GOGC: '400',
          CGO_ENABLED: '0',
        },
      },
    );
    renameSync(join(made, 'program'), program);
  } finally {
    rmSync(made, { recursive: true, force: true });
  }
  return program;
}
