import { createHash } from 'node:crypto';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { isErrno, LktError } from '@lkt/core';
import { createHttpClient, type HttpClient, type HttpOptions, redactUrl } from '@lkt/http';
import type { Updater } from 'tuf-js';
import { checkedAddress } from './service.ts';
import { SignerKeys } from './tuf-signatures.ts';
import { parseTrustedRoot } from './trusted-root.ts';

/** The TUF repository of Sigstore's public instance. */
export const PUBLIC_TUF = 'https://tuf-repo-cdn.sigstore.dev';

const TARGET = 'trusted_root.json';
const SIGNING_CONFIG = 'signing_config.v0.2.json';

/** Options of {@link fetchTrustedRoot}. */
export interface TufOptions {
  /** The initial root metadata: the text of a `root.json` that the user trusts. */
  readonly root: Buffer;
  /** Its file, for messages. */
  readonly rootName: string;
  /** URL of the repository's metadata; its targets are below `targets/`. */
  readonly url: string;
  /**
   * Directory for metadata, which an older version cannot replace. Everything in it is verified
   * when it is read.
   */
  readonly directory: string;
  readonly http?: HttpOptions;
  readonly signal?: AbortSignal | undefined;
}

/** A trusted root of a TUF repository. */
export interface FetchedRoot {
  /** The text of `trusted_root.json`. */
  readonly text: string;
  /** The text of the signing config; undefined if the repository has none. */
  readonly signingConfig: string | undefined;
  /** Version of the newest root metadata. */
  readonly rootVersion: number;
  /** Version of the metadata that lists the trusted root. */
  readonly targetsVersion: number;
  /** When this metadata expires. An expired trusted root still verifies. */
  readonly expires: string;
}

/**
 * Fetches the trusted root of a Sigstore instance from its TUF repository, and its signing config
 * if there is one, verified from the initial root on (The Update Framework 1.0, 5).
 * @throws NETWORK_FAILED; NOT_FOUND without a trusted root; CONFIG_INVALID for an invalid initial
 * root, URL or trusted root; SIGNATURE_INVALID for metadata that is expired, older than before, or
 * not signed as required
 */
export async function fetchTrustedRoot(options: TufOptions): Promise<FetchedRoot> {
  const { root, rootName, directory, signal } = options;
  const url = checkedAddress(options.url, 'the TUF repository').replace(/\/+$/, '');
  const key = createHash('sha256').update(root).update(url).digest('hex');
  const metadataDir = join(directory, key);
  await mkdir(metadataDir, { recursive: true });
  await using http = createHttpClient({ userAgent: 'lkt', ...options.http });
  const { Updater: Client } = await import('tuf-js');
  const fetcher = new MetadataFetcher(http, metadataDir, signal);
  let updater: Updater;
  try {
    // Not the newest root of an earlier run: only the user's file is trusted as such.
    await writeFile(join(metadataDir, 'root.json'), fetcher.keys.root(root));
    updater = new Client({
      metadataDir,
      metadataBaseUrl: url,
      targetBaseUrl: `${url}/targets`,
      fetcher,
    });
  } catch (cause) {
    throw new LktError('CONFIG_INVALID', `${rootName} is not the root metadata of TUF`, { cause });
  }
  const download = async (name: string): Promise<string | undefined> => {
    const target = await updater.getTargetInfo(name);
    if (target === undefined) return undefined;
    if (!('sha256' in target.hashes || 'sha512' in target.hashes))
      throw new Error(`${name} has no digest by SHA-256 or SHA-512`);
    const path = join(metadataDir, name);
    await updater.downloadTarget(target, path);
    return readFile(path, 'utf8');
  };
  let text: string | undefined;
  let signingConfig: string | undefined;
  try {
    text = await download(TARGET);
    signingConfig = await download(SIGNING_CONFIG);
  } catch (error) {
    signal?.throwIfAborted();
    throw fetcher.failure ?? problemOf(url, rootName, error);
  }
  if (text === undefined)
    throw new LktError('NOT_FOUND', `${redactUrl(url)} has no ${TARGET}`, {
      fix: 'give the --url of a Sigstore instance',
    });
  await parseTrustedRoot(text, `${redactUrl(url)}: ${TARGET}`);
  await fetcher.keepRoots();
  return { text, signingConfig, ...(await versionsIn(metadataDir)) };
}

function problemOf(url: string, rootName: string, error: unknown): unknown {
  if (error instanceof LktError || !(error instanceof Error)) return error;
  return new LktError('SIGNATURE_INVALID', `${redactUrl(url)} has no valid trusted root`, {
    cause: error,
    fix: /expired/.test(error.message)
      ? 'check the clock of this machine; else the operator must sign new metadata'
      : `check that ${rootName} is of this repository`,
  });
}

async function versionsIn(directory: string): Promise<Omit<FetchedRoot, 'signingConfig' | 'text'>> {
  const read = async (name: string): Promise<{ version: number; expires: string }> =>
    (
      JSON.parse(await readFile(join(directory, name), 'utf8')) as {
        signed: { version: number; expires: string };
      }
    ).signed;
  const { version, expires } = await read('targets.json');
  return { rootVersion: (await read('root.json')).version, targetsVersion: version, expires };
}

const ROOT = /^\d+\.root\.json$/;

/** Directory of verified roots. The library has none: a delegated role can be named "2.root". */
const ROOTS = 'roots';

/** Fetches metadata with lkt's client. Root metadata comes from an earlier run if that had it. */
class MetadataFetcher {
  readonly #http: HttpClient;
  readonly #directory: string;
  readonly #signal: AbortSignal | undefined;
  readonly #roots = new Map<string, Buffer>();
  readonly keys = new SignerKeys();
  /** The first error of the network; the library wraps it in one without code. */
  failure: LktError | undefined;

  constructor(http: HttpClient, directory: string, signal: AbortSignal | undefined) {
    this.#http = http;
    this.#directory = directory;
    this.#signal = signal;
  }

  async downloadBytes(url: string, maxLength: number): Promise<Buffer> {
    const name = basename(new URL(url).pathname);
    const isRoot = ROOT.test(name);
    const known = isRoot ? await readIfExists(join(this.#directory, ROOTS, name)) : undefined;
    const bytes = known ?? (await this.#download(url, maxLength));
    if (!isRoot) {
      this.keys.require(bytes);
      return bytes;
    }
    this.#roots.set(name, bytes);
    return this.keys.root(bytes);
  }

  async downloadFile<T>(
    url: string,
    maxLength: number,
    handler: (file: string) => Promise<T>,
  ): Promise<T> {
    const path = join(this.#directory, `${TARGET}.new`);
    await writeFile(path, await this.#download(url, maxLength));
    try {
      return await handler(path);
    } finally {
      await rm(path, { force: true });
    }
  }

  /**
   * Keeps the verified root metadata, so that a repository cannot withhold it later, when the keys
   * of an older root are no longer safe.
   */
  async keepRoots(): Promise<void> {
    const directory = join(this.#directory, ROOTS);
    await mkdir(directory, { recursive: true });
    for (const [name, bytes] of this.#roots) await writeFile(join(directory, name), bytes);
  }

  async #download(url: string, maxLength: number): Promise<Buffer> {
    const { DownloadHTTPError } = await import('tuf-js/dist/error.js');
    try {
      const response = await this.#http.request(url, { signal: this.#signal });
      if (response.status === 200) return await response.bytes(maxLength);
      await response.discard();
      throw new DownloadHTTPError(
        `${redactUrl(url)}: HTTP status ${response.status}`,
        response.status,
      );
    } catch (error) {
      if (error instanceof LktError) this.failure ??= error;
      throw error;
    }
  }
}

async function readIfExists(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}
