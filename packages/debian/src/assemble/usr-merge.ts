import { type RawPath, SOURCE_DATE_EPOCH } from '@lkt/oci';
import { DIRECTORY_MODE, type TreeFile } from './image-tree.ts';

/**
 * Returns the links of merged /usr (`/bin` → `usr/bin`). base-files has them, but no package
 * depends on it, and without `/lib64` no program starts.
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

/**
 * Returns the path below merged /usr: `usr/lib/x` for `lib/x`. The links themselves keep their
 * paths.
 */
export function mergeUsr(path: RawPath, type?: 'directory'): RawPath {
  return MERGED.test(path) && (path.includes('/') || type === 'directory') ? `usr/${path}` : path;
}

/** Reports whether a package's entry (base-files) is one of the links that every image has. */
export function isUsrLink(path: RawPath, target: RawPath): boolean {
  return MERGED.test(path) && target === `usr/${path}`;
}
