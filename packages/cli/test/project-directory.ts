import { mkdirSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/** A directory for a project, which is also the home directory of a user without settings. */
export interface ProjectDirectory extends AsyncDisposable {
  readonly path: string;
  /** Returns the absolute path of a file. */
  readonly at: (path: string) => string;
  /** Writes a file, with the directories above it. */
  readonly write: (path: string, text: string) => void;
  /** The environment of commands: programs in `.bin` come first, and the store is `.store`. */
  readonly env: Readonly<Record<string, string>>;
}

/** Returns a new directory that is removed on disposal. */
export async function projectDirectory(): Promise<ProjectDirectory> {
  const dir = await mkdtempDisposable(join(tmpdir(), 'lkt-project-'));
  const at = (path: string): string => join(dir.path, path);
  return {
    path: dir.path,
    at,
    write: (path, text) => {
      mkdirSync(dirname(at(path)), { recursive: true });
      writeFileSync(at(path), text);
    },
    env: {
      PATH: `${at('.bin')}:${process.env['PATH'] ?? ''}`,
      HOME: dir.path,
      LKT_CACHE: at('.store'),
      GIT_CONFIG_GLOBAL: '/dev/null',
      NO_COLOR: '1',
    },
    [Symbol.asyncDispose]: async () => dir.remove(),
  };
}
