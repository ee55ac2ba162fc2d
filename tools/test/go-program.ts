import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

const top = join(import.meta.dirname, '../..');

/** Compiles the program of a Go package for this machine, without the other files of its image. */
export async function buildGoProgram(directory: string, program: string): Promise<void> {
  const env = {
    ...process.env,
    CGO_ENABLED: '0',
    GOFLAGS: '',
    GOPROXY: 'off',
    GOTOOLCHAIN: 'local',
  };
  const build = ['build', '-o', program, '.'];
  const cwd = join(top, directory);
  await promisify(execFile)('/usr/lib/go-1.24/bin/go', build, { cwd, env });
}
