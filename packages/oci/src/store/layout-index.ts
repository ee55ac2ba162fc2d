import { statSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { ioError, isErrno, readJson } from '@lkt/core';
import { type Descriptor, descriptorFrom, listFrom, objectFrom } from '../image/descriptor.ts';
import { type FileState, fileState, isSettled } from '../io/file-state.ts';
import { MediaType } from '../image/media-type.ts';
import { syncDir, writeAtomically } from '../io/temp.ts';

/** Annotation with the name of an image in a layout's index (OCI image-spec, annotations.md). */
export const REF_NAME = 'org.opencontainers.image.ref.name';

/**
 * Annotation with the subject of a referrer's entry, so that finding referrers need not read every
 * manifest.
 */
export const SUBJECT = 'dev.lkt.subject';

const MAX_INDEX = 64 * 2 ** 20;

/** An entry of a layout's index with its name. */
export interface Tag {
  readonly reference: string;
  readonly descriptor: Descriptor;
}

/** `index.json` of an OCI layout. Entries and fields of other programs are preserved. */
export interface LayoutIndex {
  readonly document: Readonly<Record<string, unknown>>;
  readonly entries: readonly IndexEntry[];
  /** The first entry of each name. */
  readonly names: ReadonlyMap<string, IndexEntry>;
}

/** An entry of `index.json`, parsed and as JSON. */
export interface IndexEntry {
  /** Undefined for an entry without a name. */
  readonly reference: string | undefined;
  readonly descriptor: Descriptor;
  readonly json: unknown;
}

/**
 * The last index read per layout: a command queries it often, and that of a used store has a
 * thousand lines.
 */
const known = new Map<string, { readonly state: FileState; readonly index: LayoutIndex }>();

/**
 * Reads the index of a layout; a missing file counts as an empty index.
 * @throws IMAGE_INVALID
 */
export async function readLayoutIndex(layout: string): Promise<LayoutIndex> {
  const path = join(layout, 'index.json');
  let bytes: Buffer;
  let state: FileState | undefined;
  try {
    // Synchronous: a build of many packages asks several times for each, and nothing changed.
    const current = statSync(path, { bigint: true, throwIfNoEntry: false });
    const last = known.get(path);
    if (current !== undefined && last?.state === fileState(current)) return last.index;
    await using file = await open(path);
    const stats = await file.stat({ bigint: true });
    if (isSettled(stats)) state = fileState(stats);
    bytes = await file.readFile();
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return { document: {}, entries: [], names: new Map() };
    throw ioError(`cannot read ${path}`, error);
  }
  const index = parseLayoutIndex(path, bytes);
  if (state !== undefined) known.set(path, { state, index });
  return index;
}

/** Returns the tagged images of a layout, sorted by reference. */
export async function readTags(layout: string): Promise<readonly Tag[]> {
  const { entries } = await readLayoutIndex(layout);
  return entries
    .flatMap(({ reference, descriptor }) =>
      reference === undefined ? [] : [{ reference, descriptor: withoutName(descriptor) }],
    )
    .toSorted((a, b) => (a.reference < b.reference ? -1 : 1));
}

function parseLayoutIndex(path: string, bytes: Buffer): LayoutIndex {
  const read = (value: unknown): LayoutIndex => {
    if (bytes.length > MAX_INDEX) throw new Error(`it is longer than ${MAX_INDEX} bytes`);
    const document = objectFrom(value, 'the document');
    if (document['schemaVersion'] !== 2) throw new Error('schemaVersion is not 2');
    const entries = listFrom(document['manifests'] ?? [], 'manifests').map((json, index) => {
      const descriptor = descriptorFrom(json, `manifests[${index}]`);
      return { reference: descriptor.annotations?.[REF_NAME], descriptor, json };
    });
    const named = entries.flatMap((entry) =>
      entry.reference === undefined ? [] : [[entry.reference, entry] as const],
    );
    return { document, entries, names: new Map(named.toReversed()) };
  };
  return readJson(bytes, read, {
    code: 'IMAGE_INVALID',
    what: `${path} is not a valid index of an OCI layout`,
    fix: `if lkt made this store, delete the file, and lkt builds or pulls the images again: rm ${path}`,
    isStrict: true,
  });
}

/** Replaces `index.json` atomically. The caller holds the lock `index`. */
export async function writeLayoutIndex(
  layout: string,
  document: LayoutIndex['document'],
  entries: readonly Pick<IndexEntry, 'json'>[],
): Promise<void> {
  const path = join(layout, 'index.json');
  const manifests = entries.map(({ json }) => json);
  const content = { ...document, schemaVersion: 2, mediaType: MediaType.ociIndex, manifests };
  try {
    await writeAtomically(join(layout, 'tmp'), async (file) => {
      await file.writeFile(`${JSON.stringify(content, null, 2)}\n`);
      return path;
    });
    await syncDir(layout);
  } catch (error) {
    throw ioError(`cannot write ${path}`, error);
  }
}

/** Returns an index entry that names `descriptor` `reference`. */
export function tagEntry(reference: string, descriptor: Descriptor): Descriptor {
  return { ...descriptor, annotations: { ...descriptor.annotations, [REF_NAME]: reference } };
}

/** Returns the descriptor without the annotation of its name. */
export function withoutName(descriptor: Descriptor): Descriptor {
  const { annotations, ...rest } = descriptor;
  const { [REF_NAME]: _name, ...others } = annotations ?? {};
  return Object.keys(others).length === 0 ? rest : { ...rest, annotations: others };
}
