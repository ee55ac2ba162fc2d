import { createHash, randomUUID } from 'node:crypto';
import { ApiError } from './responses.ts';

/** A manifest and its media type. */
export interface StoredManifest {
  readonly mediaType: string;
  readonly bytes: Buffer;
}

/** An upload in progress. */
export interface Upload {
  readonly id: string;
  /** Changes with every chunk; upload URLs without it are invalid. */
  state: string;
  readonly content: Buffer[];
  size: number;
  /** Whether a chunk was too short to be followed by another. */
  isEnded: boolean;
}

/** The contents of a repository. */
export class Repository {
  readonly blobs: Map<string, Buffer> = new Map();
  readonly manifests: Map<string, StoredManifest> = new Map();
  readonly tags: Map<string, string> = new Map();
  readonly uploads: Map<string, Upload> = new Map();

  /** Returns a manifest by tag or digest. */
  manifest(reference: string): { digest: string; manifest: StoredManifest } | undefined {
    const digest = reference.includes(':') ? reference : this.tags.get(reference);
    const manifest = digest === undefined ? undefined : this.manifests.get(digest);
    return digest === undefined || manifest === undefined ? undefined : { digest, manifest };
  }

  startUpload(): Upload {
    const upload: Upload = {
      id: randomUUID(),
      state: randomUUID(),
      content: [],
      size: 0,
      isEnded: false,
    };
    this.uploads.set(upload.id, upload);
    return upload;
  }
}

/** The contents of the registry, in memory. */
export class Storage {
  readonly repositories: Map<string, Repository> = new Map();

  /**
   * Returns a repository.
   * @throws ApiError if it does not exist and `make` is false
   */
  repository(name: string, make = false): Repository {
    const found = this.repositories.get(name);
    if (found !== undefined) return found;
    if (!make) throw new ApiError(404, 'NAME_UNKNOWN');
    const made = new Repository();
    this.repositories.set(name, made);
    return made;
  }
}

/** @throws ApiError unless it is the digest of `bytes` */
export function checkDigest(digest: string, bytes: Buffer): void {
  const { algorithm } = parsedDigest(digest);
  if (`${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}` !== digest)
    throw new ApiError(400, 'DIGEST_INVALID');
}

/** @throws ApiError for a malformed digest */
export function parsedDigest(digest: string): { algorithm: 'sha256' | 'sha512' } {
  if (/^sha256:[0-9a-f]{64}$/.test(digest)) return { algorithm: 'sha256' };
  if (/^sha512:[0-9a-f]{128}$/.test(digest)) return { algorithm: 'sha512' };
  throw new ApiError(400, 'DIGEST_INVALID');
}

/** Returns the digest `sha256:…`. */
export function sha256(bytes: Buffer): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}
