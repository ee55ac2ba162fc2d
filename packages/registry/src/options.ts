import type { Reporter } from '@lkt/core';
import type { HttpOptions } from '@lkt/http';

/** Another place to read what a registry has. */
export interface MirrorOptions {
  /** `https://mirror.example`, perhaps with a path. */
  readonly url: string;
  /** Whether to believe what it says of tags; default false: it is asked by digest only. */
  readonly resolvesTags?: boolean;
}

export interface RegistryOptions extends HttpOptions {
  /**
   * Registries (`registry.example:5000`) that may be spoken to in http if they do not speak https. No password is sent
   * to them in http.
   */
  readonly insecure?: readonly string[];
  /** By registry (`docker.io`), or `*` for all others, in the order they are asked. */
  readonly mirrors?: Readonly<Record<string, readonly MirrorOptions[]>>;
  /** Blobs on their way at a time; default 6. */
  readonly concurrency?: number;
  /** Bytes of one request when a blob is pushed in parts; by default it is pushed in one, if the registry lets it. */
  readonly chunkSize?: number;
  readonly reporter?: Reporter;
}
