import { type Digest, isDigest, type SourceFile, sourceError } from '@lkt/core';
import type { CopySource, CopyStep } from '../evaluate/steps.ts';

/** A file that ADD takes from an address. Its digest names it for good. */
export interface RemoteFile {
  readonly source: CopySource;
  readonly digest: Digest;
  /** The last part of the address, by which it is called in a directory. */
  readonly name: string;
}

/** The file an ADD of an address adds; undefined for any other step. */
export function remoteFile({ sources, checksum }: CopyStep): RemoteFile | undefined {
  const [source] = sources;
  if (source?.kind !== 'http' || checksum === undefined || !isDigest(checksum)) return undefined;
  const name = decodedName(new URL(source.text).pathname.split('/').at(-1) ?? '');
  return { source, digest: checksum, name };
}

/** As in BuildKit, what has no name is called so. */
function decodedName(part: string): string {
  let name = part;
  try {
    name = decodeURIComponent(part);
  } catch (error) {
    if (!(error instanceof URIError)) throw error;
  }
  return name === '' || name === '.' || name === '..' || /[/\0]/.test(name) ? '__unnamed__' : name;
}

/**
 * Says what is wrong with an ADD of addresses: nothing is fetched that is not known beforehand.
 * @throws LktError PIN_MISSING without a checksum, DOCKERFILE_INVALID
 */
export function checkRemote(step: CopyStep, file: SourceFile): void {
  const source = step.sources.find(({ kind }) => kind === 'http');
  if (source === undefined) return;
  const { position, length, text } = source;
  if (!URL.canParse(text))
    throw sourceError('DOCKERFILE_INVALID', file, position, `${text} is not an address`, {
      length,
    });
  if (new URL(text).password !== '') {
    throw sourceError(
      'DOCKERFILE_INVALID',
      file,
      position,
      'the address holds a password, which everybody would see',
      {
        length,
        fix: `take it out, and give the secret HTTP_AUTH_HEADER_${new URL(text).hostname}`,
      },
    );
  }
  if (step.sources.length + step.files.length > 1) {
    throw sourceError(
      'DOCKERFILE_INVALID',
      file,
      position,
      'ADD of an address takes no other sources, since --checksum is of one file',
      { length, fix: 'use an ADD for each' },
    );
  }
  if (step.checksum === undefined) {
    throw sourceError('PIN_MISSING', file, position, `no checksum is given for ${text}`, {
      length,
      fix: `write ADD --checksum=sha256:…; sha256sum says it: curl -fsSL '${text}' | sha256sum`,
    });
  }
}
