import { type FileHandle, open } from 'node:fs/promises';
import { parseSpdx, type SpdxDocument } from '@lkt/attest';
import {
  type Digest,
  digestFromSet,
  ioError,
  isErrno,
  LktError,
  readJson,
  withPrefix,
} from '@lkt/core';

/** SBOMs of large images have several MB. */
const MAX_DOCUMENT_BYTES = 256 * 2 ** 20;

/** A name with its SHA-256 digest. */
export interface NamedDigest {
  readonly name: string;
  readonly digest: Digest;
}

/**
 * The parts of an image's provenance that are shown: an in-toto statement with a SLSA predicate.
 */
export interface ImageProvenance {
  /** The output files. */
  readonly subjects: readonly NamedDigest[];
  readonly parameters: Readonly<Record<string, unknown>>;
  /** Configs, images and local files that the image was built from. */
  readonly inputs: readonly (NamedDigest & { readonly because?: string })[];
}

/**
 * Reads a provenance file; returns undefined if it does not exist.
 * @throws IMAGE_INVALID, IO_FAILED
 */
export async function readProvenance(path: string): Promise<ImageProvenance | undefined> {
  const bytes = await readDocument(path);
  if (bytes === undefined) return undefined;
  const what = `${path} is not the provenance of an image`;
  return readJson(bytes, provenanceFrom, { code: 'IMAGE_INVALID', what });
}

function provenanceFrom(value: unknown): ImageProvenance {
  const statement = object(value, 'the document');
  const definition = buildDefinition(statement);
  return {
    subjects: list(statement['subject'], 'subject').map((item) => named(item, 'subject')),
    parameters: object(definition['externalParameters'], 'externalParameters'),
    inputs: list(definition['resolvedDependencies'], 'resolvedDependencies').map(inputOf),
  };
}

/**
 * Returns `predicate.buildDefinition` of an in-toto statement with a SLSA predicate.
 * @throws Error if it is missing
 */
export function buildDefinition(statement: Fields): Fields {
  const predicate = object(statement['predicate'], 'predicate');
  return object(predicate['buildDefinition'], 'buildDefinition');
}

/**
 * Reads an SBOM file; returns undefined if it does not exist.
 * @throws IMAGE_INVALID, IO_FAILED
 */
export async function readSbom(path: string): Promise<SpdxDocument | undefined> {
  const bytes = await readDocument(path);
  if (bytes === undefined) return undefined;
  try {
    return parseSpdx(bytes);
  } catch (cause) {
    throw withPrefix(cause, `${path} is `);
  }
}

/**
 * Reads a whole file; returns undefined if it does not exist.
 * @param limit in bytes
 * @throws IMAGE_INVALID if the path is not a regular file or exceeds the limit; IO_FAILED
 */
export async function readDocument(
  path: string,
  limit: number = MAX_DOCUMENT_BYTES,
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
    if (!stats.isFile()) throw new LktError('IMAGE_INVALID', `${path} is not a regular file`);
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
  const { annotations } = object(item, 'an entry of resolvedDependencies');
  const { because } = annotations === undefined ? {} : object(annotations, 'annotations');
  return {
    ...named(item, 'resolvedDependencies'),
    ...(typeof because === 'string' ? { because } : {}),
  };
}

function named(item: unknown, where: string): NamedDigest {
  const { name, digest } = object(item, `an entry of ${where}`);
  const sum = digestFromSet(object(digest, `the digest of an entry of ${where}`));
  if (typeof name !== 'string' || sum === undefined)
    throw new Error(`an entry of ${where} has no name, or no sha256 or sha512 digest`);
  return { name, digest: sum };
}

type Fields = Readonly<Record<string, unknown>>;

export function object(value: unknown, what: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Error(`${what} is not an object`);
  return value as Fields;
}

export function list(value: unknown, what: string): readonly unknown[] {
  if (!Array.isArray(value)) throw new Error(`${what} is not a list`);
  return value as unknown[];
}
