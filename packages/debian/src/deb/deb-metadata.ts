import { LktError } from '@lkt/core';
import { parentPath, type RawPath, readTar, type Store, toRaw } from '@lkt/oci';
import { parseCopyright } from '../copyright/copyright-file.ts';
import type { PackageLicense } from '../copyright/license.ts';
import { upstreamLicense } from '../copyright/upstream-license.ts';
import { type DebianLock, type LockedPackage, SOURCE_ARCHITECTURE } from '../lock/lock.ts';
import { parseRelations } from '../lock/relation.ts';
import { isVersion, withoutRebuild } from '../lock/version.ts';
import { debTar } from './deb.ts';
import type { Paragraph } from './deb822.ts';
import { findXzDecoder } from './xz.ts';

/** Statements of a locked package about itself: its licence, its source, and those it contains. */
export interface DebMetadata {
  /** As in the lock. */
  readonly name: string;
  readonly license?: PackageLicense;
  /** Version of its source package, if the version of the package does not say it. */
  readonly sourceVersion?: string;
  /** Sources of other packages that were incorporated by its build. */
  readonly builtUsing?: readonly IncorporatedSource[];
}

/** A source package that is named by Built-Using or Static-Built-Using (Debian policy, 7.8). */
export interface IncorporatedSource {
  readonly name: string;
  readonly version: string;
  readonly isStatic: boolean;
}

/** Bytes; the longest copyright file of the archive has about 3 MB. */
const MAX_COPYRIGHT_BYTES = 16 * 1024 ** 2;
const MAX_LINKS = 8;
const DOCUMENTS = 'usr/share/doc/';

/** A copyright file, or a link to one or to a directory with one. */
export interface DocumentFile {
  readonly path: RawPath;
  readonly size: number;
  /** Target of a symlink. */
  readonly link?: RawPath | undefined;
}

/** Reports whether `MetadataCollector` reads a file of a .deb. */
export function isCopyright({ path, link, size }: DocumentFile): boolean {
  if (!path.startsWith(DOCUMENTS)) return false;
  const [, name, ...rest] = path.slice(DOCUMENTS.length - 1).split('/');
  const isFile = rest.length === 1 && rest[0] === 'copyright';
  if (name === undefined || name === '') return false;
  if (link !== undefined) return isFile || rest.length === 0;
  return isFile && size <= MAX_COPYRIGHT_BYTES;
}

/** Collects the metadata of the packages of a lock while their files are read. */
export class MetadataCollector {
  readonly #builtUsing = new Map<string, readonly IncorporatedSource[]>();
  readonly #sourceVersions = new Map<string, string>();
  /** Of tarballs. */
  readonly #licenses = new Map<string, PackageLicense>();
  /** Texts, and targets of links. */
  readonly #documents = new Map<RawPath, { readonly link: RawPath } | { readonly text: string }>();

  addControl({ name, version }: LockedPackage, control: Paragraph): void {
    // Source: lvm2 (2.03.31-2)
    const [, source = ''] = /^\S+\s+\((\S+)\)$/.exec(control.get('source') ?? '') ?? [];
    if (isVersion(source) && source !== withoutRebuild(version))
      this.#sourceVersions.set(name, source);
    const found = [
      ...incorporated(control.get('built-using'), false),
      ...incorporated(control.get('static-built-using'), true),
    ];
    if (found.length > 0) this.#builtUsing.set(name, found);
  }

  addLicense({ name }: LockedPackage, license: PackageLicense): void {
    this.#licenses.set(name, license);
  }

  addLink(path: RawPath, link: RawPath): void {
    this.#documents.set(path, { link });
  }

  addText(path: RawPath, text: string): void {
    this.#documents.set(path, { text });
  }

  /** Returns the metadata of all packages with any. */
  all({ packages }: DebianLock): readonly DebMetadata[] {
    const texts = new Map(packages.map((item) => [item, this.#textOf(item.name)]));
    const bySource = new Map(
      packages.flatMap((item) => {
        const text = texts.get(item);
        return text === undefined ? [] : [[sourceKey(item), text] as const];
      }),
    );
    return packages.flatMap((item) => {
      // The packages of a source have the same copyright file.
      const text = texts.get(item) ?? bySource.get(sourceKey(item));
      const license = text === undefined ? this.#licenses.get(item.name) : parseCopyright(text);
      const builtUsing = this.#builtUsing.get(item.name);
      const sourceVersion = this.#sourceVersions.get(item.name);
      if ([license, builtUsing, sourceVersion].every((one) => one === undefined)) return [];
      return [
        {
          name: item.name,
          ...(license !== undefined && { license }),
          ...(sourceVersion !== undefined && { sourceVersion }),
          ...(builtUsing !== undefined && { builtUsing }),
        },
      ];
    });
  }

  /** Follows links, of the file or of its directory (Debian policy, 12.3). */
  #textOf(name: string): string | undefined {
    let path = toRaw(`${DOCUMENTS}${name}/copyright`);
    for (let links = 0; links <= MAX_LINKS; links += 1) {
      const found = this.#documents.get(path);
      if (found !== undefined && 'text' in found) return found.text;
      const directory = parentPath(path);
      const above = this.#documents.get(directory);
      if (found !== undefined) path = target(directory, found.link);
      else if (above !== undefined && 'link' in above)
        path = toRaw(`${target(parentPath(directory), above.link)}/copyright`);
      else return undefined;
    }
    return undefined;
  }
}

function target(directory: RawPath, link: RawPath): RawPath {
  const parts = link.startsWith('/') ? [] : directory.split('/');
  for (const part of link.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return parts.join('/');
}

function sourceKey({ path, version }: LockedPackage): string {
  return `${path.split('/').at(-2)} ${withoutRebuild(version)}`;
}

/** Ignores relations that policy does not allow: each must have an exact version. */
function incorporated(field: string | undefined, isStatic: boolean): readonly IncorporatedSource[] {
  try {
    return parseRelations(field ?? '').flatMap(([one]) =>
      one?.relation === '=' && one.version !== undefined
        ? [{ name: one.name, version: one.version, isStatic }]
        : [],
    );
  } catch (error) {
    if (error instanceof LktError && error.code === 'ARCHIVE_INVALID') return [];
    throw error;
  }
}

/**
 * Returns the metadata of locked packages. Unpacks the .debs, which the store must have.
 * @throws NOT_FOUND, ARCHIVE_INVALID, DIGEST_MISMATCH
 */
export async function debMetadata(
  lock: DebianLock,
  store: Store,
  signal?: AbortSignal,
): Promise<readonly DebMetadata[]> {
  const decoder = await findXzDecoder();
  const collector = new MetadataCollector();
  for (const item of lock.packages) {
    signal?.throwIfAborted();
    if (item.architecture === SOURCE_ARCHITECTURE) {
      // Verified first, since the search stops before the end.
      for await (const chunk of store.read(item)) void chunk;
      const { path, size } = item;
      const content = store.read(item);
      const license = await upstreamLicense({ content, size, what: path, decoder });
      if (license !== undefined) collector.addLicense(item, license);
      continue;
    }
    const what = `${item.name} ${item.version}`;
    const onControl = (control: Paragraph): void => collector.addControl(item, control);
    for await (const entry of readTar(debTar(store.read(item), { what, decoder }, onControl))) {
      const { path, size, content } = entry;
      const link = entry.type === 'symlink' ? entry.link : undefined;
      if (!isCopyright({ path, size, link })) continue;
      if (link !== undefined) collector.addLink(path, link);
      else if (content !== undefined)
        collector.addText(path, Buffer.concat(await Array.fromAsync(content)).toString());
    }
  }
  return collector.all(lock);
}
