/** A SHA-256 in memory that has to be given back. */
export interface NativeHash {
  /** On another thread. One at a time, of bytes that stay as they are until it is done. */
  update(bytes: Uint8Array): Promise<void>;
  /** Ends it. */
  digest(): Buffer;
  /** Gives its memory back; nothing may be asked of it afterwards. */
  free(): void;
}

/**
 * SHA-256 by the OpenSSL that is part of Node (EVP_DigestInit(3)), on the threads that read and write files. By itself Node
 * hashes on the thread that asks, and to start another for it takes as long as to hash 20 MB.
 * @returns undefined for a Node that has OpenSSL for itself alone
 */
export async function nativeHashes(): Promise<(() => NativeHash) | undefined> {
  loading ??= load();
  return loading;
}

let loading: Promise<(() => NativeHash) | undefined> | undefined;

const SIZE = 32;

async function load(): Promise<(() => NativeHash) | undefined> {
  try {
    // Most processes need none.
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
      /** What a thread reads is not collected meanwhile. */
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
