import { join, posix } from 'node:path';
import {
  type Digest,
  isErrno,
  list,
  LktError,
  type LktErrorCode,
  optional,
  type Position,
  readSource,
  record,
  type SourceFile,
  sourceError,
  text,
  type YamlType,
  type YamlValue,
} from '@lkt/core';
import { parseReference, type RawPath, type Reference, toRaw } from '@lkt/oci';

/** `depends.docker-images` of build.yml: images that are put into the build context as archives. */
export interface DockerImages {
  /**
   * One archive of all images, or a directory with one archive per image. Without leading slash.
   */
  readonly target: { readonly kind: 'file' | 'directory'; readonly path: RawPath };
  /** A file of the package with one reference per line. */
  readonly fromFile: { readonly path: string; readonly at: YamlValue } | undefined;
  readonly list: readonly DockerImage[];
}

/** An image of `depends`, with the position of its reference. */
export interface DockerImage {
  readonly reference: Reference & { readonly digest: Digest };
  /** `FILE:LINE`. */
  readonly place: string;
  /** Creates an error at the reference. */
  readonly error: (code: LktErrorCode, message: string, fix?: string) => LktError;
}

const IMAGES: YamlType<DockerImages> = record({
  'target-dir': optional(text().transform(archivePath), 'directory for one archive per image'),
  target: optional(text().transform(archivePath), 'path of one archive of all images'),
  'from-file': optional(
    text().transform((_path, at) => ({ path: relativePath(at), at })),
    'file of the package with one reference per line, instead of list',
  ),
  list: optional(
    list(
      text().transform((reference, { file, position, path }) =>
        dockerImage(reference, file, position, path),
      ),
    ).transform((images, at) => ({ images, at })),
    'references with digests',
  ),
}).transform(({ target, 'target-dir': directory, 'from-file': fromFile, list: listed }, at) => {
  for (const [name, one, other] of [
    ['"target" and "target-dir"', target, directory],
    ['"from-file" and "list"', fromFile, listed],
  ] as const)
    if (one !== undefined && other !== undefined) throw one.at.error(`${name} exclude each other`);
  const place = target ?? directory;
  if (place === undefined) {
    throw at.error('"target" or "target-dir" is missing', {
      fix: 'add: target-dir: DIRECTORY, or: target: FILE.tar',
    });
  }
  return {
    target: { kind: target === undefined ? 'directory' : 'file', path: place.path },
    fromFile,
    list: listed?.images ?? [],
  };
});

/** Parses `depends` of build.yml, by LinuxKit's rules. */
export const DEPENDS: YamlType<DockerImages | undefined> = record({
  'docker-images': optional(
    IMAGES,
    'images to put into the build context in the format of docker save',
  ),
}).transform((depends) => depends['docker-images']);

function archivePath(
  _path: string,
  at: YamlValue,
): { readonly path: RawPath; readonly at: YamlValue } {
  return { path: toRaw(relativePath(at).replace(/\/$/, '')), at };
}

/**
 * Returns the images of a package, including those of `from-file`. Empty lines and lines that start
 * with `#` are skipped there.
 * @throws CONFIG_INVALID at the key if the file is missing, or at the line of a bad
 * reference
 */
export function readDockerImages(
  dir: string,
  { fromFile, list: listed }: DockerImages,
  displayPath: (path: string) => string,
  read: typeof readSource = readSource,
): readonly DockerImage[] {
  if (fromFile === undefined) return listed;
  const path = join(dir, fromFile.path);
  let file: SourceFile;
  try {
    file = read(path, displayPath(path));
  } catch (cause) {
    if (!isErrno(cause, 'ENOENT', 'ENOTDIR', 'EISDIR')) throw cause;
    throw fromFile.at.error('no such file in the package', { cause });
  }
  return file.text.split('\n').flatMap((line, index) => {
    const reference = line.replace(/\r$/, '');
    if (reference === '' || reference.startsWith('#')) return [];
    return [dockerImage(reference, file, { line: index + 1, column: 1 }, '')];
  });
}

/** Returns the name of an image's archive in `target-dir`, as in LinuxKit: `redis@sha256:….tar`. */
export function archiveName({ path, digest }: DockerImage['reference']): RawPath {
  return `${posix.basename(path)}@${digest}.tar`;
}

function dockerImage(
  given: string,
  file: SourceFile,
  position: Position,
  what: string,
): DockerImage {
  const error: DockerImage['error'] = (code, message, fix) =>
    sourceError(code, file, position, what === '' ? message : `${what}: ${message}`, {
      length: given.length,
      fix,
    });
  let reference: Reference;
  try {
    reference = parseReference(given);
  } catch (cause) {
    if (!(cause instanceof LktError)) throw cause;
    throw error('CONFIG_INVALID', cause.message, cause.fix);
  }
  const { digest } = reference;
  if (digest === undefined)
    throw error('CONFIG_INVALID', `"${given}" has no digest`, 'add @sha256:…');
  return { reference: { ...reference, digest }, place: `${file.path}:${position.line}`, error };
}

/**
 * Returns the normalized path of a file in the directory of the package.
 * @throws CONFIG_INVALID if the path is absolute or leads outside
 */
export function relativePath(value: YamlValue): string {
  const given = value.string();
  const path = posix.normalize(given);
  if (given !== '' && path !== '.' && !posix.isAbsolute(path) && !/^\.\.(\/|$)/.test(path))
    return path;
  throw value.error(`"${given}" is not a path inside the package`, {
    fix: 'name a file in the directory of build.yml',
  });
}
