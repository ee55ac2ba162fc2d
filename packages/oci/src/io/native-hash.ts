/** A SHA-256 state outside the JavaScript heap; call `free` when done. */
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
 * Returns a constructor of SHA-256 states of the OpenSSL bundled with Node (EVP_DigestInit(3)) that
 * run on the thread pool. Node's own API hashes on the calling thread, and starting a worker takes
 * as long as hashing 20 MB.
 * @returns undefined if this Node does not export OpenSSL's symbols
 */
export async function nativeHashes(): Promise<(() => NativeHash) | undefined> {
  loading ??= load();
  return loading;
}

let loading: Promise<(() => NativeHash) | undefined> | undefined;

const SIZE = 32;

async function load(): Promise<(() => NativeHash) | undefined> {
  try {
    // Loaded on demand: most processes need no hashing.
    const { default: koffi } = await import('koffi');
    const node = koffi.load(null);
    const sha256 = node.func('EVP_sha256', 'void *', []);
    const create = node.func('EVP_MD_CTX_new', 'void *', []);
    const begin = node.func('EVP_DigestInit_ex', 'int', ['void *', 'void *', 'void *']);
    const update = node.func('EVP_DigestUpdate', 'int', ['void *', 'const void *', 'size_t']);
    const end = node.func('EVP_DigestFinal_ex', 'int', ['void *', 'void *', 'void *']);
    const free = node.func('EVP_MD_CTX_free', 'void', ['void *']);
    return () => {
      const context: unknown = create();
      check(context !== null && begin(context, sha256(), null) === 1);
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
          const hash = Buffer.alloc(SIZE);
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
