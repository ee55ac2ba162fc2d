import type { DigestAlgorithm } from '@lkt/core';

/** A hash state outside the JavaScript heap; call `free` when done. */
export interface NativeHash {
  /**
   * Hashes bytes on another thread. One call at a time; the bytes must not change until it
   * resolves.
   */
  update(bytes: Uint8Array): Promise<void>;
  /** Returns the hash. The state is final afterwards. */
  digest(): Buffer;
  /** Frees the state. No other call may follow. */
  free(): void;
}

/**
 * Returns a constructor of hash states of the OpenSSL bundled with Node (EVP_DigestInit(3)) that
 * run on the thread pool. Node's own API hashes on the calling thread, and starting a worker takes
 * as long as hashing 20 MB.
 * @returns undefined if this Node does not export OpenSSL's symbols
 */
export async function nativeHashes(): Promise<CreateHash | undefined> {
  loading ??= load();
  return loading;
}

type CreateHash = (algorithm: DigestAlgorithm) => NativeHash;

let loading: Promise<CreateHash | undefined> | undefined;

/** Bytes of a hash. */
const SIZES: Readonly<Record<DigestAlgorithm, number>> = { sha256: 32, sha512: 64 };

async function load(): Promise<CreateHash | undefined> {
  try {
    // Loaded on demand: most processes need no hashing.
    const { default: koffi } = await import('koffi');
    const node = koffi.load(null);
    const algorithms = {
      sha256: node.func('EVP_sha256', 'void *', []),
      sha512: node.func('EVP_sha512', 'void *', []),
    };
    const create = node.func('EVP_MD_CTX_new', 'void *', []);
    const begin = node.func('EVP_DigestInit_ex', 'int', ['void *', 'void *', 'void *']);
    const update = node.func('EVP_DigestUpdate', 'int', ['void *', 'const void *', 'size_t']);
    const end = node.func('EVP_DigestFinal_ex', 'int', ['void *', 'void *', 'void *']);
    const free = node.func('EVP_MD_CTX_free', 'void', ['void *']);
    return (algorithm) => {
      const context: unknown = create();
      check(context !== null && begin(context, algorithms[algorithm](), null) === 1);
      /** Keeps the bytes alive while a thread reads them. */
      let held: Uint8Array | undefined;
      return {
        update: async (bytes) => {
          held = bytes;
          await new Promise<void>((resolve, reject) => {
            update.async(context, held, bytes.length, (error: unknown, result: number) => {
              held = undefined;
              if (error === null && result === 1) resolve();
              else reject(new Error('OpenSSL cannot hash', { cause: error }));
            });
          });
        },
        digest: () => {
          const hash = Buffer.alloc(SIZES[algorithm]);
          check(end(context, hash, null) === 1);
          return hash;
        },
        free: () => void free(context),
      };
    };
  } catch {
    return undefined;
  }
}

function check(isDone: boolean): void {
  if (!isDone) throw new Error('OpenSSL cannot hash');
}
