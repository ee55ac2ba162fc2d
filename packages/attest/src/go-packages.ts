/** A Go module, at the version that a path names. */
interface GoModuleVersion {
  readonly path: string;
  readonly version?: string;
}

/** A package linked into a Go program. */
export interface GoPackage {
  readonly importPath: string;
  /** The module, if the directory is one of the module cache or of a trimmed module path. */
  readonly module?: GoModuleVersion;
}

/**
 * Returns the Go packages of the directories in a program's file table.
 *
 * A directory is an import path if the program was built with `-trimpath`. Otherwise it is in the
 * Go tree, in the module cache, or below `src` of a GOPATH. A package in a `vendor` directory has
 * its own path. Directories of none of these kinds are skipped.
 * @see https://go.dev/ref/mod#module-cache
 */
export function goPackages(directories: readonly string[]): readonly GoPackage[] {
  // Every program contains the package runtime.
  const runtime = directories.find((path) => path.startsWith('/') && path.endsWith('/src/runtime'));
  const goTree = runtime?.slice(0, -'runtime'.length);
  const found = directories.flatMap((path) => goPackage(path, goTree) ?? []);
  return [...new Map(found.map((item) => [JSON.stringify(item), item])).values()];
}

function goPackage(directory: string, goTree: string | undefined): GoPackage | undefined {
  if (goTree !== undefined && directory.startsWith(goTree))
    return { importPath: directory.slice(goTree.length) };
  const cached = /^.*\/pkg\/mod\/(.+)$/.exec(directory)?.[1] ?? directory;
  const path = /^.+\/vendor\/(.+)$/.exec(cached)?.[1] ?? cached;
  const [, modulePath, version, rest = ''] = /^([^@]+)@(v[^/]+)(\/.*)?$/.exec(path) ?? [];
  if (modulePath !== undefined) {
    const module = { path: unescape(modulePath), version: unescape(version ?? '') };
    return { importPath: `${module.path}${rest}`, module };
  }
  if (!path.startsWith('/')) return { importPath: path };
  const importPath = /\/src\/([^/]+\.[^/]+\/.*)$/.exec(path)?.[1];
  return importPath === undefined ? undefined : { importPath };
}

/** Undoes the escaping of upper case in the module cache: `!a` is `A`. */
function unescape(path: string): string {
  return path.replaceAll(/!([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

/** Hosts on which the first elements of an import path are a repository, by their number. */
const REPOSITORY_ELEMENTS: Readonly<Record<string, number>> = {
  'bitbucket.org': 3,
  'github.com': 3,
  'gitlab.com': 3,
  'golang.org': 3,
};

/**
 * Returns the path of the repository with a package, if the import path alone determines it.
 * @see https://pkg.go.dev/cmd/go#hdr-Remote_import_paths
 */
export function repositoryOf(importPath: string): string | undefined {
  const elements = importPath.split('/');
  const count = REPOSITORY_ELEMENTS[elements[0] ?? ''];
  if (count !== undefined)
    return elements.length < count ? undefined : elements.slice(0, count).join('/');
  return /^gopkg\.in\/(?:[^/]+\/)?[^/]+\.v\d+(?=\/|$)/.exec(importPath)?.[0];
}

/** Reports whether a path may be that of a module: those of the Go tree have no dot. */
export function isModulePath(path: string): boolean {
  return path.split('/')[0]?.includes('.') === true;
}

/** Reports whether a package is in the module or repository with a path. */
export function isWithin(importPath: string, path: string): boolean {
  return importPath === path || importPath.startsWith(`${path}/`);
}
