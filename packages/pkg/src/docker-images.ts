import { readFile } from 'node:fs/promises';
import { join, posix } from 'node:path';
import {
  type Digest,
  isErrno,
  LktError,
  type LktErrorCode,
  type Position,
  type SourceFile,
  sourceError,
  type YamlValue,
} from '@lkt/core';
import { parseReference, type RawPath, type Reference, toRaw } from '@lkt/oci';

/** `depends.docker-images` of build.yml: images that are put into the build context as archives. */
export interface DockerImages {
  /** One archive of all images, or a directory with one of each. Without leading slash. */
  readonly target: { readonly kind: 'file' | 'directory'; readonly path: RawPath };
  /** Of the package: a file with a reference on each line. */
  readonly fromFile: { readonly path: string; readonly at: YamlValue } | undefined;
  readonly list: readonly DockerImage[];
}

/** An image that is asked for, and where. */
export interface DockerImage {
  readonly reference: Reference & { readonly digest: Digest };
  /** An error at the reference. */
  readonly error: (code: LktErrorCode, message: string, fix?: string) => LktError;
}

/** @throws LktError CONFIG_INVALID, by LinuxKit's rules */
export function parseDepends(value: YamlValue): DockerImages | undefined {
  const images = value.fields(['docker-images'])['docker-images'];
  const fields = images?.fields(['target-dir', 'target', 'from-file', 'list']);
  if (images === undefined || fields === undefined) return undefined;
  const { target, 'target-dir': directory, 'from-file': fromFile, list } = fields;
  for (const [name, one, other] of [
    ['"target" and "target-dir"', target, directory],
    ['"from-file" and "list"', fromFile, list],
  ] as const)
    if (one !== undefined && other !== undefined) throw one.error(`${name} exclude each other`);
  const place = target ?? directory;
  if (place === undefined) {
    throw images.error('it is not said where the images go', {
      fix: 'add: target-dir: DIRECTORY, or: target: FILE.tar',
    });
  }
  const path = toRaw(relativePath(place).replace(/\/$/, ''));
  return {
    target: { kind: target === undefined ? 'directory' : 'file', path },
    fromFile: fromFile === undefined ? undefined : { path: relativePath(fromFile), at: fromFile },
    list: (list?.list() ?? []).map((item) => {
      const { file, position } = item;
      return dockerImage(item.string(), file, position, item.path);
    }),
  };
}

/**
 * The images of a package, those of `from-file` too: there empty lines and those that start with `#` do not count.
 * @throws LktError NOT_FOUND, and CONFIG_INVALID at the line
 */
export async function readDockerImages(
  dir: string,
  { fromFile, list }: DockerImages,
  displayPath: (path: string) => string,
): Promise<readonly DockerImage[]> {
  if (fromFile === undefined) return list;
  const path = join(dir, fromFile.path);
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    if (!isErrno(cause, 'ENOENT', 'ENOTDIR', 'EISDIR')) throw cause;
    throw fromFile.at.error('there is no such file in the package', { cause });
  });
  const file = { path: displayPath(path), text };
  return text.split('\n').flatMap((line, index) => {
    const reference = line.replace(/\r$/, '');
    if (reference === '' || reference.startsWith('#')) return [];
    return [dockerImage(reference, file, { line: index + 1, column: 1 }, '')];
  });
}

/** Where the archive of one image is below `target-dir`, as LinuxKit names it: `redis@sha256:….tar`. */
export function archiveName({ path, digest }: DockerImage['reference']): RawPath {
  return `${posix.basename(path)}@${digest}.tar`;
}

function dockerImage(
  text: string,
  file: SourceFile,
  position: Position,
  what: string,
): DockerImage {
  const error: DockerImage['error'] = (code, message, fix) =>
    sourceError(code, file, position, what === '' ? message : `${what}: ${message}`, {
      length: text.length,
      ...(fix === undefined ? {} : { fix }),
    });
  let reference: Reference;
  try {
    reference = parseReference(text);
  } catch (cause) {
    if (!(cause instanceof LktError)) throw cause;
    throw error('CONFIG_INVALID', cause.message, cause.fix);
  }
  const { digest } = reference;
  if (digest === undefined)
    throw error('CONFIG_INVALID', `"${text}" has no digest`, 'add @sha256:…');
  return { reference: { ...reference, digest }, error };
}

/** A path inside the package's directory. */
export function relativePath(value: YamlValue): string {
  const text = value.string();
  const path = posix.normalize(text);
  if (text !== '' && path !== '.' && !posix.isAbsolute(path) && !/^\.\.(\/|$)/.test(path))
    return path;
  throw value.error(`"${text}" is not a path inside the package`, {
    fix: 'name a file in the directory of build.yml',
  });
}
