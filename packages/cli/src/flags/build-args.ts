import { dirname, resolve } from 'node:path';
import { LktError, sourceError } from '@lkt/core';
import type { BuildArg } from '@lkt/pkg';
import { readGiven } from '../session/paths.ts';

/**
 * Returns the build arguments of a command line: those of the files in order, then the others. The
 * last value of a name wins. A file has one `NAME=VALUE` per line; as in LinuxKit, it may have
 * blank lines and lines that start with `#`.
 * @throws LktError USAGE_INVALID, NOT_FOUND; CONFIG_INVALID with the line of a file
 */
export async function givenArgs(
  flags: readonly string[],
  files: readonly string[],
  cwd: string,
): Promise<readonly BuildArg[]> {
  const args: BuildArg[] = [];
  for (const file of files) args.push(...(await argsOfFile(file, cwd)));
  for (const text of flags) {
    const at: BuildArg['at'] = {
      error: (message, options) =>
        new LktError('USAGE_INVALID', `--build-arg ${text}: ${message}`, options),
    };
    args.push(parseArg(text, cwd, at));
  }
  return args;
}

async function argsOfFile(path: string, cwd: string): Promise<readonly BuildArg[]> {
  const absolute = resolve(cwd, path);
  const text = await readGiven(cwd, path, `${path}, given by --build-arg-file`);
  return text.split('\n').flatMap((line, index) => {
    if (/^\s*(#|$)/.test(line)) return [];
    const at: BuildArg['at'] = {
      error: (message, options = {}) =>
        sourceError('CONFIG_INVALID', { path, text }, { line: index + 1, column: 1 }, message, {
          ...options,
          length: line.length,
        }),
    };
    return [parseArg(line.replace(/\r$/, ''), dirname(absolute), at)];
  });
}

function parseArg(text: string, dir: string, at: BuildArg['at']): BuildArg {
  const equals = text.indexOf('=');
  if (equals <= 0)
    throw at.error(`"${text}" is not a build argument`, { fix: 'write it as NAME=VALUE' });
  return { name: text.slice(0, equals), value: text.slice(equals + 1), dir, at };
}
