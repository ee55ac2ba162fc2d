import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** Compiles a guest program into a directory, under its package's name. */
export async function buildProgram(name: string, dir: string): Promise<void> {
  const env = {
    ...process.env,
    CGO_ENABLED: '0',
    GOFLAGS: '',
    GOPROXY: 'off',
    GOTOOLCHAIN: 'local',
  };
  const cwd = join(import.meta.dirname, '../../../pkg', name);
  const build = ['build', '-o', join(dir, name), '.'];
  await promisify(execFile)('/usr/lib/go-1.24/bin/go', build, { cwd, env });
}

/** Returns setpriv's arguments for a program with only its package's capabilities. */
export function confinedTo(...capabilities: readonly string[]): string[] {
  const set = ['-all', ...capabilities.map((name) => `+${name}`)].join(',');
  return ['--no-new-privs', `--bounding-set=${set}`];
}
