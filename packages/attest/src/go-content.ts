import type { Component, Content, Part } from './component.ts';
import type { GoBuildInfo, GoModule } from './go-build-info.ts';
import { type GoPackage, goPackages, isModulePath, isWithin, repositoryOf } from './go-packages.ts';
import { packageUrl } from './purl.ts';
import { sortedUnique } from './sorted-unique.ts';

/** A Go program in an image. */
export interface GoProgram extends GoBuildInfo {
  /** Directories of the source files linked in, sorted; absent if their table was not found. */
  readonly directories?: readonly string[];
}

/** Debian packages with Go sources, by import path. Each has the module as its part. */
export type GoSuppliers = ReadonlyMap<string, readonly Part[]>;

/** Returns the suppliers of several images. */
export function mergeSuppliers(all: readonly GoSuppliers[]): GoSuppliers {
  const merged = new Map<string, readonly Part[]>();
  for (const suppliers of all)
    for (const [importPath, parts] of suppliers)
      merged.set(importPath, sortedUnique([...(merged.get(importPath) ?? []), ...parts]));
  return merged;
}

/** The module that the Go tools name `std`, as vulnerability databases name it. */
export const STANDARD_LIBRARY = 'stdlib';

/** The package of the standard library that is in every program. */
const RUNTIME = 'runtime';

/**
 * Returns the content for a Go program in an image, with the modules linked into it.
 *
 * The versions come from the build info or, for a program built without modules, from the packages
 * in `suppliers` with the sources. Other modules have no version.
 */
export function goContent(program: GoProgram, path: string, suppliers: GoSuppliers): Content {
  const library = goComponent({
    path: STANDARD_LIBRARY,
    version: program.goVersion.replace(/^go| .*/g, ''),
  });
  const sources = compiledWith(library, suppliers);
  const packages = goPackages(program.directories ?? []).filter(
    ({ importPath }) => !inVersionedModule(importPath, program),
  );
  const supplied = packages.flatMap(({ importPath }) => suppliersOf(importPath, sources));
  const standard = sources.get(RUNTIME) ?? [{ component: library }];
  const modules = [
    ...listedModules(program, supplied),
    ...unlistedModules(
      program,
      packages.filter(({ importPath }) => suppliersOf(importPath, sources).length === 0),
    ),
  ];
  return {
    component: programComponent(program, sources),
    paths: [path],
    parts: sortedUnique([...standard, ...supplied, ...modules.map((component) => ({ component }))]),
  };
}

/** Reports whether the build info has the version of a package's module. */
function inVersionedModule(importPath: string, { main, modules }: GoProgram): boolean {
  return [main, ...modules].some(
    (module) => module?.directory === undefined && isWithin(importPath, module?.path ?? ''),
  );
}

/** Returns the modules of the build info, without those compiled from supplied sources. */
function listedModules({ modules }: GoProgram, supplied: readonly Part[]): readonly Component[] {
  const names = new Set(
    supplied.flatMap(({ parts = [] }) => parts.map(({ component }) => component.name)),
  );
  return modules
    .filter(({ path, directory }) => directory === undefined || !names.has(path))
    .map((module) => goComponent(module, originOf(module)));
}

/** Returns the modules that only the file table names, as far as import paths reveal them. */
function unlistedModules(
  { main, modules }: GoProgram,
  packages: readonly GoPackage[],
): readonly Component[] {
  const listed = [...(main === undefined ? [] : [main]), ...modules];
  const inPaths = packages
    .flatMap(({ module }) => module ?? [])
    .filter(({ path }) => !listed.some((other) => other.path === path));
  const repositories = repositoriesOf(
    packages.map(({ importPath }) => importPath),
    [...inPaths, ...listed],
  );
  return [
    ...inPaths.map((module) => goComponent(module)),
    ...repositories.map((path) => goComponent({ path }, 'named by the file table of the program')),
  ];
}

/**
 * Returns the suppliers without other versions of the standard library; none if they have not the
 * version in the program, which then was compiled elsewhere.
 */
function compiledWith(library: Component, suppliers: GoSuppliers): GoSuppliers {
  const isOther = ({ parts = [] }: Part): boolean =>
    parts.some(({ component: { name, purl } }) => name === library.name && purl !== library.purl);
  const found = [...suppliers].map(
    ([importPath, parts]) => [importPath, parts.filter((part) => !isOther(part))] as const,
  );
  const sources = new Map(found);
  return (sources.get(RUNTIME) ?? []).length === 0 ? new Map() : sources;
}

/**
 * Returns the component of the program itself. A program without a module has the version of the
 * package that supplied its sources, and that package's URLs are those of its parts.
 */
function programComponent({ main, path, settings }: GoProgram, suppliers: GoSuppliers): Component {
  const comment = settings.join(' ') || undefined;
  if (main !== undefined) return goComponent(main, comment);
  const name = path ?? 'command-line-arguments';
  const [supplier] = suppliersOf(name, suppliers);
  if (supplier === undefined) return goComponent({ path: name }, comment);
  const version = supplier.parts?.[0]?.component.version;
  return { kind: 'go', name, version, comment };
}

/**
 * Returns the suppliers of a package. Outside of modules, the element `v2` of an import path is not
 * always a directory ("minimal module compatibility" of Go 1.11).
 */
function suppliersOf(importPath: string, suppliers: GoSuppliers): readonly Part[] {
  return suppliers.get(importPath) ?? suppliers.get(importPath.replace(/\/v\d+(?=\/|$)/, '')) ?? [];
}

/**
 * Returns the repositories of packages. A package on a host without a rule is in the repository of
 * the shortest linked package above it.
 */
function repositoriesOf(
  importPaths: readonly string[],
  known: readonly { readonly path: string }[],
): readonly string[] {
  const found: string[] = [];
  for (const importPath of importPaths.toSorted()) {
    const isKnown = known.some(({ path }) => isWithin(importPath, path));
    if (!isModulePath(importPath) || isKnown) continue;
    const repository = repositoryOf(importPath) ?? importPath;
    if (!found.some((other) => isWithin(repository, other))) found.push(repository);
  }
  return found;
}

function originOf({ directory, sum }: GoModule): string | undefined {
  if (directory !== undefined) return `compiled from ${directory}`;
  return sum === undefined ? undefined : `go.sum ${sum}`;
}

/** Returns the component of a Go module. */
export function goComponent(
  { path, version = '' }: { readonly path: string; readonly version?: string },
  comment?: string,
): Component {
  const known = version === '' || version === '(devel)' ? undefined : version;
  const slash = path.lastIndexOf('/');
  return {
    kind: 'go',
    name: path,
    version: known,
    // Programs outside of modules have paths such as `_/src`. purl-spec, golang: "must be
    // lowercased".
    purl:
      path === STANDARD_LIBRARY || isModulePath(path)
        ? packageUrl({
            type: 'golang',
            namespace: slash === -1 ? undefined : path.slice(0, slash).toLowerCase(),
            name: path.slice(slash + 1).toLowerCase(),
            version: known,
          })
        : undefined,
    comment,
  };
}
