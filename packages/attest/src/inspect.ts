import { Digester, digestHex } from '@lkt/core';
import {
  type FileTree,
  type Image,
  type RawPath,
  readFiles,
  type Store,
  type TreeNode,
} from '@lkt/oci';
import type { Component } from './component.ts';
import { type GoBuildInfo, GoBuildInfoScanner } from './go-build-info.ts';
import {
  type Distribution,
  parseApkInstalled,
  parseDpkgStatus,
  parseOsRelease,
} from './package-databases.ts';

/** A file of an image, read once. */
export interface InspectedFile {
  readonly path: RawPath;
  readonly size: number;
  /** 64 hex digits of sha256. */
  readonly hash: string;
  readonly go?: GoBuildInfo;
}

export interface Inspection {
  readonly files: readonly InspectedFile[];
  /** Packages that the databases of apk and dpkg say are installed. */
  readonly installed: readonly Component[];
}

const ELF = Buffer.from('\x7fELF', 'latin1');
const APK = new Set(['lib/apk/db/installed', 'usr/lib/apk/db/installed']);
const OS_RELEASE = ['etc/os-release', 'usr/lib/os-release'];
/** Debian's own status file of a full desktop has some 10 MB. */
const MAX_DATABASE = 64 * 2 ** 20;

/** Reads the files of an image that are wanted, in one pass over each layer; memory holds none but databases. */
export async function inspectImage(
  store: Store,
  { manifest }: Image,
  tree: FileTree,
  want: (node: TreeNode) => boolean,
): Promise<Inspection> {
  const files: InspectedFile[] = [];
  const databases = new Map<RawPath, string>();
  const wanted = (node: TreeNode): boolean => node.size > 0 && want(node);
  for await (const file of readFiles(store, manifest.layers, tree, wanted)) {
    const digester = new Digester();
    const keep: Buffer[] | undefined =
      isDatabase(file.path) && file.size <= MAX_DATABASE ? [] : undefined;
    const scanner = new GoBuildInfoScanner();
    let head = Buffer.alloc(0);
    let isProgram = true;
    for await (const chunk of file.content ?? []) {
      digester.update(chunk);
      keep?.push(Buffer.from(chunk));
      if (!isProgram) continue;
      head = head.length < ELF.length ? Buffer.concat([head, chunk]) : Buffer.from(chunk);
      if (digester.size < ELF.length) continue;
      if (head.length === digester.size) isProgram = head.subarray(0, ELF.length).equals(ELF);
      if (isProgram) scanner.push(head);
    }
    if (keep !== undefined) databases.set(file.path, Buffer.concat(keep).toString('utf8'));
    const go = scanner.result;
    files.push({
      path: file.path,
      size: file.size,
      hash: digestHex(digester.digest()),
      ...(go === undefined ? {} : { go }),
    });
  }
  return { files, installed: installed(databases) };
}

function isDatabase(path: RawPath): boolean {
  return (
    APK.has(path) ||
    OS_RELEASE.includes(path) ||
    path === 'var/lib/dpkg/status' ||
    (path.startsWith('var/lib/dpkg/status.d/') && !path.endsWith('.md5sums'))
  );
}

function installed(databases: ReadonlyMap<RawPath, string>): readonly Component[] {
  const release = OS_RELEASE.map((path) => databases.get(path)).find((text) => text !== undefined);
  const distribution = release === undefined ? undefined : parseOsRelease(release);
  const of = (fallback: string): Distribution => distribution ?? { id: fallback };
  return [...databases].flatMap(([path, text]) => {
    if (APK.has(path)) return parseApkInstalled(text, of('alpine'));
    return OS_RELEASE.includes(path) ? [] : parseDpkgStatus(text, of('debian'));
  });
}
