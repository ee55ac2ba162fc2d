import { type Digest, type LktErrorCode, isSha256, type SourceFile, sourceError } from '@lkt/core';
import type { CopySource, CopyStep } from '../evaluate/steps.ts';

/** A file that ADD downloads. Its digest pins it. */
export interface RemoteFile {
  readonly source: CopySource;
  readonly digest: Digest;
  /** The last segment of the URL's path: the file name if the target is a directory. */
  readonly name: string;
}

/**
 * Returns the file that an ADD of a URL downloads; undefined for any other step, or without a valid
 * checksum.
 */
export function remoteFile({ sources, checksum }: CopyStep): RemoteFile | undefined {
  const [source] = sources;
  if (source?.kind !== 'http' || checksum === undefined || !isSha256(checksum)) return undefined;
  const name = decodedName(new URL(source.text).pathname.split('/').at(-1) ?? '');
  return { source, digest: checksum, name };
}

/** As in BuildKit, `__unnamed__` replaces a segment that is not a file name. */
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
 * Checks that an ADD of a URL is valid and pinned by a checksum: lkt downloads only known content.
 * Does nothing for other steps.
 * @throws PIN_MISSING if the step has no checksum
 * @throws DOCKERFILE_INVALID for an invalid URL, a password in it, or other sources in the same ADD
 */
export function checkRemoteFile(step: CopyStep, file: SourceFile): void {
  const source = step.sources.find(({ kind }) => kind === 'http');
  if (source === undefined) return;
  const { position, length, text } = source;
  const fail = (
    message: string,
    fix?: string,
    code: LktErrorCode = 'DOCKERFILE_INVALID',
  ): never => {
    throw sourceError(code, file, position, message, { length, fix });
  };
  if (!URL.canParse(text)) fail(`${text} is not a URL`);
  const { password, hostname } = new URL(text);
  if (password !== '')
    fail(
      'the URL contains a password, which would be public',
      `remove it, and pass the secret HTTP_AUTH_HEADER_${hostname}`,
    );
  if (step.sources.length + step.files.length > 1)
    fail('ADD of a URL takes no other sources: --checksum covers one file', 'use an ADD for each');
  if (step.checksum === undefined)
    fail(
      `no checksum is given for ${text}`,
      `write ADD --checksum=sha256:…; compute it with: curl -fsSL '${text}' | sha256sum`,
      'PIN_MISSING',
    );
}
