import type { Reporter } from '@lkt/core';
import type { HttpOptions } from '@lkt/http';

/** A mirror of a registry. */
export interface MirrorOptions {
  /** `https://mirror.example`, optionally with a path. */
  readonly url: string;
  /** Trust the mirror for tags; default false: only requests by digest go to it. */
  readonly resolvesTags?: boolean;
}

/** Options of a registry client. */
export interface RegistryOptions extends HttpOptions {
  /**
   * Registries (`registry.example:5000`) that may use http if they do not support https. Passwords
   * are never sent over http.
   */
  readonly insecure?: readonly string[];
  /** Mirrors by registry (`docker.io`), or `*` for all others, in order of preference. */
  readonly mirrors?: Readonly<Record<string, readonly MirrorOptions[]>>;
  /** Maximum concurrent blob transfers; default 6. */
  readonly concurrency?: number;
  /**
   * Bytes per request of a blob push. By default a blob is one request, if the registry accepts it.
   */
  readonly chunkSize?: number;
  readonly reporter?: Reporter;
}
