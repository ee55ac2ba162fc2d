import { type FileHandle, open } from 'node:fs/promises';
import { parseSpdx, type SpdxDocument } from '@lkt/attest';
import { type Digest, ioError, isDigest, isErrno, LktError, withPrefix } from '@lkt/core';

/** SBOMs of large images have some MB. */
const MAX_DOCUMENT = 256 * 2 ** 20;

/** A name and what it stood for, by sha256. */
export interface NamedDigest {
  readonly name: string;
  readonly digest: Digest;
}

/** What the provenance of an image says, as far as it is shown. */
export interface ImageStatement {
  /** The files that were written. */
  readonly subjects: readonly NamedDigest[];
  readonly parameters: Readonly<Record<string, unknown>>;
  /** Configs, images and files of the machine that it was made from. */
  readonly inputs: readonly (NamedDigest & { readonly because?: string })[];
}

/** The provenance in a file; undefined if there is none. @throws LktError IMAGE_INVALID */
export async function readStatement(path: string): Promise<ImageStatement | undefined> {
  const bytes = await readDocument(path);
  if (bytes === undefined) return undefined;
  try {
    const statement = object(JSON.parse(bytes.toString()), 'it');
    const definition = object(
      object(statement['predicate'], 'predicate')['buildDefinition'],
      'buildDefinition',
    );
    return {
      subjects: list(statement['subject'], 'subject').map((item) => named(item, 'subject')),
      parameters: object(definition['externalParameters'], 'externalParameters'),
      inputs: list(definition['resolvedDependencies'], 'resolvedDependencies').map(inputOf),
    };
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new LktError('IMAGE_INVALID', `${path} is no provenance of an image: ${why}`, { cause });
  }
}

/** The SBOM in a file; undefined if there is none. @throws LktError IMAGE_INVALID */
export async function readSbom(path: string): Promise<SpdxDocument | undefined> {
  const bytes = await readDocument(path);
  if (bytes === undefined) return undefined;
  try {
    return parseSpdx(bytes);
  } catch (cause) {
    throw withPrefix(cause, `${path} is `);
  }
}

/** A file that is read as a whole; undefined if it is not there. @throws LktError IMAGE_INVALID, IO_FAILED */
export async function readDocument(
  path: string,
  limit: number = MAX_DOCUMENT,
): Promise<Buffer | undefined> {
  let file: FileHandle;
  try {
    file = await open(path, 'r');
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return undefined;
    throw ioError(`cannot read ${path}`, error);
  }
  try {
    const stats = await file.stat();
    if (!stats.isFile()) throw new LktError('IMAGE_INVALID', `${path} is no file`);
    if (stats.size > limit)
      throw new LktError('IMAGE_INVALID', `${path} has ${stats.size} bytes, more than ${limit}`);
    return await file.readFile();
  } catch (error) {
    throw ioError(`cannot read ${path}`, error);
  } finally {
    await file.close();
  }
}

function inputOf(item: unknown): NamedDigest & { readonly because?: string } {
  const { annotations } = object(item, 'an input');
  const { because } = annotations === undefined ? {} : object(annotations, 'annotations');
  return {
    ...named(item, 'resolvedDependencies'),
    ...(typeof because === 'string' ? { because } : {}),
  };
}

function named(item: unknown, where: string): NamedDigest {
  const { name, digest } = object(item, `something in ${where}`);
  const sum = `sha256:${String(object(digest, `a digest in ${where}`)['sha256'])}`;
  if (typeof name !== 'string' || !isDigest(sum))
    throw new Error(`something in ${where} has no name or no digest`);
  return { name, digest: sum };
}

function object(value: unknown, what: string): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Error(`${what} is not as it should be`);
  return value as Readonly<Record<string, unknown>>;
}

function list(value: unknown, what: string): readonly unknown[] {
  if (!Array.isArray(value)) throw new Error(`${what} is not a list`);
  return value as unknown[];
}
