import { type RawPath, SOURCE_DATE_EPOCH } from '@lkt/oci';
import { DIRECTORY_MODE, type TreeFile } from './tree.ts';

/**
 * Debian's root has links into /usr, which base-files brings and no package depends on. They are made for every image,
 * since without `/lib64` no program starts.
 */
export function* usrLinks(architecture: string): Generator<TreeFile> {
  const mtime = SOURCE_DATE_EPOCH;
  yield { path: 'usr', type: 'directory', mode: DIRECTORY_MODE, mtime };
  for (const name of ['bin', 'sbin', 'lib', ...(architecture === 'amd64' ? ['lib64'] : [])]) {
    yield { path: `usr/${name}`, type: 'directory', mode: DIRECTORY_MODE, mtime };
    yield { path: name, type: 'symlink', mode: 0o777, mtime, link: `usr/${name}` };
  }
}

const MERGED = /^(?:bin|sbin|lib|lib32|lib64|libx32)(?=\/|$)/;

/** Where a path is once those links are there: `lib/x` is `usr/lib/x`. The links themselves stay where they are. */
export function mergeUsr(path: RawPath, type?: 'directory'): RawPath {
  return MERGED.test(path) && (path.includes('/') || type === 'directory') ? `usr/${path}` : path;
}

/** Whether a package (base-files) brings one of the links that are made anyway. */
export function isUsrLink(path: RawPath, target: RawPath): boolean {
  return MERGED.test(path) && target === `usr/${path}`;
}
