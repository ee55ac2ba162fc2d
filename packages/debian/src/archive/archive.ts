import { join } from 'node:path';
import { digestHex, LktError, type Reporter, reportStep } from '@lkt/core';
import type { HttpClient } from '@lkt/http';
import type { Store } from '@lkt/oci';
import { download, mirrorClient } from './download.ts';
import { checkIndexDate, type ReadIndex } from './index-dates.ts';
import type { ArchiveName, Mirror } from './mirror.ts';
import { type IndexedPackage, PackagesIndex } from './packages-index.ts';
import { readInRelease, type Release } from './release.ts';
import type { PackageSource } from '../lock/resolve.ts';
import { type IndexedSource, parseSource } from './source-package.ts';
import { newestFirst } from '../lock/version.ts';
import { unpack } from '../deb/unpack.ts';
import { findXzDecoder } from '../deb/xz.ts';

/** Options to open an archive. */
export interface ArchiveOptions {
  readonly store: Store;
  readonly reporter: Reporter;
  readonly signal?: AbortSignal | undefined;
  /** OpenPGP keyrings, one of which must have signed; default: Debian's archive keyring. */
  readonly keyrings?: readonly string[] | undefined;
  /** Time at which an index should be valid; without it, the times of indexes do not count. */
  readonly now?: Date | undefined;
  /**
   * Reject an index that has expired, or is older than one read from the same address before,
   * instead of a warning.
   */
  readonly rejectsStale?: boolean;
}

/** The part of an archive to load. */
export interface Suite {
  readonly suite: string;
  readonly components?: readonly string[];
  readonly architecture: string;
  /** Whether to load the index of source packages, which is as long as that of binary packages. */
  readonly withSources?: boolean;
}

/** Bytes. An InRelease of the archive has 150 kB. */
const MAX_RELEASE_BYTES = 4 << 20;
const MAX_INDEX_BYTES = 1 << 30;

/**
 * The packages of a suite with its updates and security updates, from the archive's signed indexes.
 *
 * Chain of trust: the keyring signs InRelease, which has the SHA-256 of the Packages files, which
 * have the SHA-256 of each .deb.
 */
export class Archive implements PackageSource, AsyncDisposable {
  readonly #indexes: PackagesIndex[] = [];
  readonly #sources: PackagesIndex[] = [];
  readonly #resources = new AsyncDisposableStack();

  /**
   * Downloads and verifies the indexes of a suite.
   * @throws SIGNATURE_INVALID, DIGEST_MISMATCH, NETWORK_FAILED, NOT_FOUND, TOOL_MISSING,
   * ARCHIVE_INVALID
   */
  static async open(suite: Suite, mirror: Mirror, options: ArchiveOptions): Promise<Archive> {
    const archive = new Archive();
    try {
      await archive.#load(suite, mirror, options);
      return archive;
    } catch (error) {
      await archive[Symbol.asyncDispose]();
      throw error;
    }
  }

  async #load(suite: Suite, mirror: Mirror, options: ArchiveOptions): Promise<void> {
    const { path: directory } = this.#resources.use(await options.store.tempDir());
    await using http = mirrorClient(mirror);
    for (const part of partsOf(suite.suite)) {
      const release = await fetchRelease(part, http, mirror, directory, options);
      for (const component of suite.components ?? ['main']) {
        const load = async (kind: string, index: string): Promise<PackagesIndex> => {
          const name = `${part.suite}-${component}-${kind}`.replaceAll('/', '-');
          const location = { ...part, component, kind, index };
          const text = await fetchIndex(location, release, http, mirror, options);
          const loaded = await PackagesIndex.load(text, join(directory, name), part.archive);
          return this.#resources.use(loaded);
        };
        this.#indexes.push(await load(`binary-${suite.architecture}`, 'Packages'));
        if (suite.withSources === true) this.#sources.push(await load('source', 'Sources'));
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync();
  }

  /** Of equal versions, the main archive's comes first. */
  versions(name: string): readonly IndexedPackage[] {
    return newestFirst(this.#indexes.flatMap((index) => index.versions(name)));
  }

  /**
   * Returns every version of a source package; none unless the archive was opened with
   * `withSources`.
   */
  sources(name: string): readonly IndexedSource[] {
    return this.#sources.flatMap((index) =>
      index.paragraphs(name).map((paragraph) => parseSource(paragraph, index.archive)),
    );
  }

  providers(name: string): readonly IndexedPackage[] {
    return this.#indexes.flatMap((index) => index.providers(name));
  }
}

interface Part {
  readonly archive: ArchiveName;
  readonly suite: string;
}

function partsOf(suite: string): Part[] {
  const main: Part = { archive: 'debian', suite };
  if (/^(?:sid|unstable|experimental|.*-backports)$/.test(suite)) return [main];
  return [
    main,
    { archive: 'debian', suite: `${suite}-updates` },
    { archive: 'debian-security', suite: `${suite}-security` },
  ];
}

async function fetchRelease(
  { archive, suite }: Part,
  http: HttpClient,
  mirror: Mirror,
  directory: string,
  options: ArchiveOptions,
): Promise<Release> {
  const what = `the InRelease of ${suite}`;
  return download(
    http,
    mirror,
    archive,
    `dists/${suite}/InRelease`,
    async (content, address) => {
      const whole = unpack('', { content, size: 0, what, limit: MAX_RELEASE_BYTES });
      const bytes = Buffer.concat(await Array.fromAsync(whole));
      const release = await readInRelease(bytes, directory, what, options.keyrings);
      if (release.codename !== suite && release.suite !== suite)
        throw new LktError('SIGNATURE_INVALID', `${what} is for ${release.codename}`, {
          fix: 'use a complete mirror of Debian',
        });
      const { date } = release;
      const problem = await checkTimes(release, { what, address, suite, date }, options);
      if (problem !== undefined) {
        // Another address may have a newer one.
        if (options.rejectsStale === true) throw problem;
        options.reporter.emit({ kind: 'warning', text: warningOf(problem) });
      }
      return release;
    },
    { signal: options.signal },
  );
}

/** Returns an error for an index that has expired, or whose date is not as `now` and others are. */
async function checkTimes(
  { validUntil }: Release,
  index: ReadIndex,
  { store, now }: ArchiveOptions,
): Promise<LktError | undefined> {
  if (now === undefined) return undefined;
  const problem = await checkIndexDate(store, index, now);
  if (validUntil === undefined || now <= validUntil) return problem;
  const day = validUntil.toISOString().slice(0, 10);
  const text = `${index.what} expired on ${day}: the mirror may withhold updates`;
  return new LktError('SIGNATURE_INVALID', text, {
    fix: 'set LKT_DEBIAN_MIRROR to another mirror, or set the clock of this machine',
  });
}

function warningOf({ message, cause, code, fix }: LktError): string {
  if (code !== 'OUTDATED') return message;
  return [message, ...(cause instanceof Error ? [cause.message] : []), fix].join('; ');
}

interface IndexLocation extends Part {
  readonly component: string;
  /** `binary-amd64` or `source`. */
  readonly kind: string;
  /** `Packages` or `Sources`. */
  readonly index: string;
}

async function fetchIndex(
  { archive, suite, component, kind, index }: IndexLocation,
  release: Release,
  http: HttpClient,
  mirror: Mirror,
  options: ArchiveOptions,
): Promise<AsyncIterable<Uint8Array>> {
  const { store } = options;
  const decoder = await findXzDecoder();
  const base = `${component}/${kind}/${index}`;
  const forms = decoder === 'wasm' ? ['.gz', '.xz', ''] : ['.xz', '.gz', ''];
  const form = forms.find((end) => release.files.has(base + end));
  const file = release.files.get(base + (form ?? ''));
  if (form === undefined || file === undefined) {
    const what =
      kind === 'source'
        ? `source packages of ${component}`
        : `packages of ${component} for ${kind.replace('binary-', '')}`;
    throw new LktError('NOT_FOUND', `${suite} has no ${what}`);
  }
  const what = `the index ${component}${kind === 'source' ? ' of sources' : ''} of ${suite}`;
  if (!(await store.has(file.digest))) {
    const folder = `dists/${suite}/${component}/${kind}`;
    const byHash = `${folder}/by-hash/SHA256/${digestHex(file.digest)}`;
    const byName = `${folder}/${index}${form}`;
    const id = `index ${suite} ${component} ${kind}`;
    let current = 0;
    const onBytes = (count: number): void => {
      current += count;
      options.reporter.emit({ kind: 'progress', id, current, total: file.size, unit: 'bytes' });
    };
    const get = async (path: string): Promise<void> => {
      await download(http, mirror, archive, path, (content) => store.write(content, file), {
        signal: options.signal,
        onBytes,
        canReuseBuffers: true,
      });
    };
    await reportStep(options.reporter, { id, title: what }, async () => {
      await get(release.byHash ? byHash : byName).catch(async (error: unknown) => {
        if (!release.byHash || !isCode(error, 'NOT_FOUND')) throw error;
        await get(byName);
      });
    }).catch((error: unknown) => {
      if (!isCode(error, 'DIGEST_MISMATCH')) throw error;
      throw new LktError('DIGEST_MISMATCH', `${what} does not match its signed digest`, {
        cause: error,
        fix: 'retry in a few minutes, or set LKT_DEBIAN_MIRROR to another mirror',
      });
    });
  }
  const limit = release.files.get(base)?.size ?? MAX_INDEX_BYTES;
  return unpack(form, { content: store.read(file), size: file.size, what, limit, decoder });
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof LktError && error.code === code;
}
