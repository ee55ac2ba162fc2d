import {
  boolean,
  choice,
  list,
  optional,
  withDefault,
  record,
  required,
  text,
  omitEmpty,
  type YamlType,
  type YamlValue,
} from '@lkt/core';
import { type RawPath, toRaw } from '@lkt/oci';
import { ID_OR_NAME, type IdOrName, FILE_MODE } from '@lkt/pkg';

/** An entry of `files`. */
export interface FileEntry {
  readonly path: RawPath;
  readonly content: FileContent;
  readonly optional: boolean;
  readonly mode?: number;
  readonly uid: IdOrName;
  readonly gid: IdOrName;
  readonly at: YamlValue;
}

type FileContent =
  | { readonly kind: 'contents'; readonly text: string }
  | { readonly kind: 'source'; readonly source: string; readonly at: YamlValue }
  | { readonly kind: 'metadata'; readonly format: 'json' | 'yaml' }
  | { readonly kind: 'symlink'; readonly target: string }
  | { readonly kind: 'directory' };

/** A path in the image; a leading slash is optional. */
const PATH: YamlType<RawPath> = text().transform((path, value) => {
  const parts = path.replace(/^\/+/, '').replace(/\/+$/, '').split('/');
  if (parts.some((part) => part === '' || part === '.' || part === '..' || part.includes('\0'))) {
    throw value.error(`"${path}" is not a path in the image`, {
      fix: 'write it from the root, without ".", ".." and empty parts',
    });
  }
  return toRaw(parts.join('/'));
});

const FIELDS = record({
  path: required(PATH, 'path in the image; a leading / is optional'),
  directory: withDefault(boolean, false, 'create a directory'),
  symlink: omitEmpty(text(), 'target of a symbolic link'),
  contents: optional(text(), 'text of the file'),
  source: omitEmpty(
    text().transform((source, at) => (source === '' ? '' : { source, at })),
    'file, directory or pattern on the host; relative to the config, ~/ is the home directory',
  ),
  metadata: omitEmpty(choice('json', 'yaml', ''), 'the merged config, as JSON or YAML'),
  optional: withDefault(boolean, false, 'skip it if the source does not exist'),
  mode: optional(FILE_MODE, 'octal, quoted'),
  uid: optional(ID_OR_NAME, 'a number, or the name of a container', { isNullable: false }),
  gid: optional(ID_OR_NAME, 'a number, or the name of a container', { isNullable: false }),
});

const FILE: YamlType<FileEntry> = FIELDS.transform(
  ({ path, optional: isOptional, mode, uid, gid, ...contents }, at) => ({
    path,
    content: oneContent(contents, at),
    optional: isOptional,
    mode,
    uid: uid ?? 0,
    gid: gid ?? 0,
    at,
  }),
);

interface Contents {
  readonly directory?: boolean;
  readonly symlink?: string;
  readonly contents?: string;
  readonly source?: '' | { readonly source: string; readonly at: YamlValue };
  readonly metadata?: 'json' | 'yaml' | '';
}

function oneContent(
  { directory, symlink, contents, source, metadata }: Contents,
  item: YamlValue,
): FileContent {
  const given: FileContent[] = [];
  if (directory === true) given.push({ kind: 'directory' });
  if (symlink !== undefined) given.push({ kind: 'symlink', target: symlink });
  if (contents !== undefined) given.push({ kind: 'contents', text: contents });
  if (source !== undefined && source !== '') given.push({ kind: 'source', ...source });
  if (metadata !== undefined && metadata !== '') given.push({ kind: 'metadata', format: metadata });
  const [content, second] = given;
  if (content !== undefined && second === undefined) return content;
  throw item.error(
    content === undefined
      ? 'the file has no contents'
      : `a file cannot have "${content.kind}" and "${second?.kind}"`,
    { fix: 'give one of: contents, source, metadata, symlink, directory: true' },
  );
}

/** Returns an entry as plain data in the order of LinuxKit's structs. */
export function plainFile(item: YamlValue): unknown {
  return FIELDS.plain(item);
}

export const FILES: YamlType<readonly FileEntry[]> = list(FILE);
