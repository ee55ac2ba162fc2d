import type { YamlValue } from '@lkt/core';
import { type RawPath, toRaw } from '@lkt/oci';
import { parseMode } from './devices.ts';
import { boolean, oneOf, optional, present, required, string } from './fields.ts';
import { type Id, parseId } from './settings.ts';

/** One entry of `files`. */
export interface FileEntry {
  readonly path: RawPath;
  readonly content: FileContent;
  readonly optional: boolean;
  readonly mode?: number;
  readonly uid: Id;
  readonly gid: Id;
  readonly at: YamlValue;
}

type FileContent =
  | { readonly kind: 'contents'; readonly text: string }
  | { readonly kind: 'source'; readonly source: string; readonly at: YamlValue }
  | { readonly kind: 'metadata'; readonly format: 'json' | 'yaml'; readonly at: YamlValue }
  | { readonly kind: 'symlink'; readonly target: string }
  | { readonly kind: 'directory' };

export function parseFiles(value: YamlValue): readonly FileEntry[] {
  return value.list().map(parseFile);
}

function parseFile(item: YamlValue): FileEntry {
  const fields = item.fields([
    'path',
    'directory',
    'symlink',
    'contents',
    'source',
    'metadata',
    'optional',
    'mode',
    'uid',
    'gid',
  ]);
  return {
    path: parsePath(required(item, fields.path, 'path')),
    content: parseContent(item, fields),
    optional: optional(fields.optional, boolean) ?? false,
    ...present({ mode: optional(fields.mode, parseMode) }),
    uid: optional(fields.uid, parseId) ?? 0,
    gid: optional(fields.gid, parseId) ?? 0,
    at: item,
  };
}

/** A path in the image, with or without a slash in front. */
function parsePath(value: YamlValue): RawPath {
  const text = value.string();
  const parts = text.replace(/^\/+/, '').replace(/\/+$/, '').split('/');
  if (parts.some((part) => part === '' || part === '.' || part === '..' || part.includes('\0'))) {
    throw value.error(`"${text}" is not a path in the image`, {
      fix: 'write it from the root on, without ".", ".." and empty parts',
    });
  }
  return toRaw(parts.join('/'));
}

function parseContent(
  item: YamlValue,
  fields: Partial<Record<'directory' | 'symlink' | 'contents' | 'source' | 'metadata', YamlValue>>,
): FileContent {
  const given: FileContent[] = [];
  const directory = optional(fields.directory, boolean) ?? false;
  if (directory) given.push({ kind: 'directory' });
  const target = optional(fields.symlink, string) ?? '';
  if (target !== '') given.push({ kind: 'symlink', target });
  const text = optional(fields.contents, string);
  if (text !== undefined) given.push({ kind: 'contents', text });
  if (fields.source !== undefined && !fields.source.isNull() && fields.source.string() !== '') {
    given.push({ kind: 'source', source: fields.source.string(), at: fields.source });
  }
  if (fields.metadata !== undefined && !fields.metadata.isNull()) {
    const format = oneOf('json', 'yaml', '')(fields.metadata);
    if (format !== '') given.push({ kind: 'metadata', format, at: fields.metadata });
  }
  const [content, second] = given;
  if (content !== undefined && second === undefined) return content;
  throw item.error(
    content === undefined
      ? 'the file has no contents'
      : `a file cannot have "${content.kind}" and "${second?.kind}"`,
    { fix: 'give one of: contents, source, metadata, symlink, directory: true' },
  );
}
