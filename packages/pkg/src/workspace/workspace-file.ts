import { isAbsolute, join, normalize } from 'node:path';
import {
  isErrno,
  readSource,
  type Fields,
  type JsonSchema,
  list,
  LktError,
  mapping,
  optional,
  parseYaml,
  record,
  required,
  SchemaWriter,
  type SourceFile,
  type Values,
  text as anyText,
  type YamlType,
  type YamlValue,
} from '@lkt/core';
import { parseReference } from '@lkt/oci';
import { located } from '../build-yml/located.ts';
import { WORKSPACE_FILE } from './find-workspace.ts';

/** A workspace as its lkt.yml describes it. */
export interface WorkspaceSpec {
  readonly file: SourceFile;
  /** Default of `org` in build.yml. */
  readonly org: string | undefined;
  /** Patterns of package directories; undefined: those that git tracks. */
  readonly packages: readonly string[] | undefined;
  /** Patterns of image configs. */
  readonly images: readonly string[] | undefined;
  /** The packages of others, by the organization that names them here. */
  readonly collections: ReadonlyMap<string, CollectionSpec>;
  /** Own package directories that replace packages of collections, by their name. */
  readonly overrides: ReadonlyMap<string, Override>;
}

/** A collection of `lkt.yml`: where its packages and their images are. */
export interface CollectionSpec {
  readonly source: CollectionSource;
  /** Registry and repository prefix that serve the images: `registry.example.com/lkt`. */
  readonly registry: string | undefined;
  readonly at: YamlValue;
}

/** Where the sources of a collection are. */
export type CollectionSource =
  | { readonly kind: 'path'; readonly path: string }
  | { readonly kind: 'npm'; readonly name: string }
  | { readonly kind: 'git'; readonly url: string; readonly commit: string };

/** A package of `overrides`, which replaces one of a collection. */
export interface Override {
  /** Relative to the root of the workspace. */
  readonly dir: string;
  readonly at: YamlValue;
}

const PATTERN: YamlType<string> = anyText().transform((pattern, at) => {
  const path = normalize(pattern);
  if (isAbsolute(path) || path === '..' || path.startsWith('../'))
    throw at.error(`"${pattern}" points outside the workspace`, {
      fix: 'use a path below lkt.yml',
    });
  return pattern;
});

const ORG: YamlType<string> = anyText().transform((org, at) => {
  located(at, () => parseReference(`${org}/name`));
  return org;
});

const SOURCE: YamlType<CollectionSource> = anyText().transform((given, at) => {
  const [, kind, rest = ''] = /^(npm|path|git):(.+)$/.exec(given) ?? [];
  const git = /^(.+)@([0-9a-f]{40}|[0-9a-f]{64})$/.exec(rest);
  if (kind === 'path') return { kind, path: rest };
  if (kind === 'npm' && NPM_NAME.test(rest)) return { kind, name: rest };
  if (kind === 'git' && !REMOTE.test(rest))
    throw at.error(`lkt does not fetch from ${rest}`, {
      fix: 'write an address with https://, http://, ssh:// or git://, or path:DIR for a directory',
    });
  if (kind === 'git' && git !== null) return { kind, url: git[1] ?? '', commit: git[2] ?? '' };
  if (kind === 'git')
    throw at.error(`"${given}" has no commit`, {
      fix: 'write git:URL@COMMIT with the whole id of the commit',
    });
  throw at.error(`"${given}" is not a source of a collection`, {
    fix: 'write npm:PACKAGE, git:URL@COMMIT or path:DIR',
  });
});

/** Addresses from which git fetches for lkt; `HOST:PATH` is ssh. */
const REMOTE = /^(?:(?:https?|ssh|git):\/\/|[^/:]+:(?!\/\/))/;

/** Names of npm packages, without a version: package-lock.json has it. */
const NPM_NAME = /^(?:@[a-z0-9~-][a-z0-9._~-]*\/)?[a-z0-9~-][a-z0-9._~-]*$/;

const REGISTRY: YamlType<string> = anyText().transform((given, at) => {
  const { domain, tag, digest } = located(at, () => parseReference(`${given}/name`));
  if (tag === undefined && digest === undefined && domain !== undefined) return given;
  throw at.error(`"${given}" is not a registry`, {
    fix: 'write HOST or HOST/PREFIX, such as registry.example.com/lkt',
  });
});

const COLLECTION: YamlType<CollectionSpec> = record({
  source: required(
    SOURCE,
    'sources: npm:PACKAGE, git:URL@COMMIT or path:DIR',
    'add: source: npm:@lkt/packages',
  ),
  registry: optional(REGISTRY, 'registry that serves the images: HOST/PREFIX'),
}).transform(({ source, registry }, at) => ({ source, registry, at }));

const FIELDS = {
  org: optional(ORG, 'default of "org" in build.yml'),
  packages: optional(
    list(PATTERN),
    'patterns of package directories; default: those with a build.yml that git tracks',
  ),
  images: optional(
    list(PATTERN),
    'patterns of image configs; default: images/*.yml, examples/*.yml, and those beside a fleet.yml in a directory of both',
  ),
  collections: optional(
    mapping(COLLECTION),
    'packages of others, by the organization that names them here',
  ),
  overrides: optional(
    mapping(PATTERN.transform((dir, at) => ({ dir, at }))),
    'own package directories that replace packages of collections, by name: lkt/sshd: pkg/sshd',
  ),
} satisfies Fields;

const WORKSPACE = record(FIELDS);

/** Returns the JSON schema of lkt.yml. It accepts every valid file, and some invalid ones. */
export function workspaceSchema(): JsonSchema {
  const writer = new SchemaWriter();
  return writer.document('lkt.yml', 'A workspace of lkt', WORKSPACE.schema(writer));
}

/**
 * Parses an lkt.yml.
 * @throws CONFIG_INVALID with line and column
 */
export function parseWorkspaceFile(file: SourceFile): WorkspaceSpec {
  const value = parseYaml(file);
  // An empty file is a workspace without settings.
  const given: Values<typeof FIELDS> = value.isNull() ? {} : WORKSPACE.read(value);
  const { org, packages, images, collections = new Map(), overrides = new Map() } = given;
  for (const [key, { at }] of collections) {
    if (!KEY.test(key))
      throw at.error(`"${key}" is not the name of a collection`, {
        fix: 'use lower-case letters, digits and "-"',
      });
    if (key === org)
      throw at.error(`"${key}" is the organization of this workspace`, {
        fix: 'change "org", or the name of the collection',
      });
  }
  for (const [name, { at }] of overrides)
    if (!collections.has(name.split('/')[0] ?? ''))
      throw at.error(`${name} is not a package of a collection`, {
        fix: 'write COLLECTION/IMAGE: DIR',
      });
  return { file, org, packages, images, collections, overrides };
}

/** Names without a dot or colon, which would be the host of a registry. */
const KEY = /^[a-z0-9]+(?:-+[a-z0-9]+)*$/;

/** Reads lkt.yml in a directory; undefined without one. */
export function readWorkspaceFile(
  root: string,
  displayPath: (path: string) => string,
): WorkspaceSpec | undefined {
  const file = readOptional(join(root, WORKSPACE_FILE), displayPath);
  return file && parseWorkspaceFile(file);
}

/** Reads a file; undefined if it does not exist. */
export function readOptional(
  path: string,
  displayPath: (path: string) => string,
): SourceFile | undefined {
  try {
    return readSource(path, displayPath(path));
  } catch (cause) {
    if (isErrno(cause, 'ENOENT', 'ENOTDIR')) return undefined;
    if (cause instanceof LktError) throw cause;
    throw new LktError('IO_FAILED', `cannot read ${displayPath(path)}`, { cause });
  }
}
