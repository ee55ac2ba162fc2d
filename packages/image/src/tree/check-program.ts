import { posix } from 'node:path';
import type { LktError } from '@lkt/core';
import type { Settings } from '@lkt/pkg';
import type { Container } from '../config/config.ts';
import { withoutDigest } from '../config/reference.ts';
import { settingError } from '../runtime/check-settings.ts';
import type { Found, RootFiles } from './root-files.ts';

/** A command that runs in a container, with the field that has it. */
interface Command {
  readonly command: readonly string[];
  readonly field: readonly string[];
  /** Begins the messages. */
  readonly what: string;
}

/**
 * Returns why a container's program cannot start, if it cannot: the image lacks it, or has no
 * executable file there. Finds it as runc and crun do. Links stay inside of the root, a name
 * without slash is looked up in PATH, and a relative path starts at `cwd`.
 * @param files of the container, with its mounts
 */
export function programProblem(
  container: Container,
  { env = [], cwd = '/' }: Settings,
  files: RootFiles,
  { command, field, what }: Command,
): LktError | undefined {
  const [program = ''] = command;
  const image = withoutDigest(container.image);
  const fail = (message: string): LktError =>
    settingError(container, [field], `${what}${message}`, {
      fix: 'name a program of the image, or bind one into the container',
    });
  const directory = files.find(cwd);
  if (isBlocked(directory))
    return settingError(container, [['cwd']], `${cwd} is not a directory in ${image}`, {
      fix: 'name a directory; a missing one is created',
    });
  // A link in `cwd` decides what is above it.
  if (program.split('/').includes('..')) return undefined;
  if (program.includes('/')) {
    const found = files.find(posix.resolve(cwd, program));
    if (found.kind === 'nothing') return fail(`${image} has no program ${program}`);
    if (found.kind === 'unknown' || canRun(found)) return undefined;
    const kind = found.type === 'directory' ? 'a directory' : 'not executable';
    return fail(`${program} is ${kind} in ${image}`);
  }
  const path = env.findLast((variable) => variable.startsWith('PATH='))?.slice('PATH='.length);
  if (program !== '' && path !== undefined) {
    const places = path.split(':');
    // A relative one depends on the runtime.
    if (places.some((place) => !place.startsWith('/'))) return undefined;
    if (places.some((place) => canRun(files.find(`${place}/${program}`)))) return undefined;
  }
  const where = path === undefined ? 'the environment has no PATH' : `PATH is ${path}`;
  return fail(`${image} has no program ${JSON.stringify(program)}: ${where}`);
}

/** Reports whether a path cannot be a directory. */
function isBlocked(found: Found): boolean {
  if (found.kind === 'nothing') return found.below !== undefined;
  return found.kind === 'entry' && found.type !== 'directory';
}

/** Reports whether someone may execute a file, or it is not known. */
function canRun(found: Found): boolean {
  if (found.kind !== 'entry') return found.kind === 'unknown';
  if (found.type === 'directory') return false;
  return found.type !== 'file' || (found.mode & 0o111) !== 0;
}
