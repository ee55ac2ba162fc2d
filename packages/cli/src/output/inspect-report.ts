import type {
  FileMap,
  ImageDocument,
  ImageView,
  ListedPackage,
  SignatureSummary,
  UsedImage,
} from '@lkt/inspect';
import { showSize } from '../flags/sizes.ts';
import { columns, oneLine, section, valueText } from './lines.ts';
import { printable } from './printable.ts';

/** A part of an image, with its data in the store. */
export interface InspectedImage extends UsedImage {
  /** Compressed bytes of its layers; undefined if it is not in the store. */
  readonly size?: number;
  /** The signers named by signatures beside it, not verified. */
  readonly signatures: readonly SignatureSummary[];
}

export interface Inspected extends Omit<ImageView, 'files' | 'sbom' | 'images' | 'config'> {
  readonly images: readonly InspectedImage[];
  /** The packages in the SBOM; undefined without one. */
  readonly packages?: readonly ListedPackage[];
  readonly contents?: Contents;
}

/** The files of an image. */
export interface Contents {
  readonly count: number;
  /** Bytes of all files together. */
  readonly bytes: number;
  readonly files: readonly {
    readonly path: string;
    readonly type: string;
    readonly mode: string;
    readonly owner: string;
    readonly size: number;
    readonly sha256?: string;
    readonly target?: string;
    readonly source?: string;
  }[];
}

/** Returns the entries, sorted by path. */
export function contentsOf(files: FileMap | undefined): Contents | undefined {
  if (files === undefined) return undefined;
  const list = [...files]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([path, { type, mode, uid, gid, size, hash, link, source }]) => ({
      path: `/${fromRaw(path)}`,
      type,
      mode: mode.toString(8).padStart(4, '0'),
      owner: `${uid}:${gid}`,
      size,
      sha256: hash,
      target: link === undefined ? undefined : fromRaw(link),
      source: source === undefined ? undefined : fromRaw(source),
    }));
  return { count: list.length, bytes: list.reduce((sum, { size }) => sum + size, 0), files: list };
}

/** Duplicates a function of @lkt/oci, so that reports need not load that package. */
function fromRaw(raw: string): string {
  return Buffer.from(raw, 'latin1').toString();
}

/** Returns the report as lines. */
export function inspectLines(image: Inspected): readonly string[] {
  const { name, kind, outputs, images, inputs, packages, contents, cmdline } = image;
  const readable = image.documents?.filter(({ problem }) => problem === undefined) ?? [];
  const sboms = readable.filter((one) => one.kind === 'SBOM').length;
  const provenances = readable.length - sboms;
  const by = provenances > 1 ? `, by the first of ${provenances} provenances` : '';
  return [
    `${name}  ${KINDS[kind]}`,
    ...section('files', columns(outputs.map(outputRow))),
    ...section(`asked for${by}`, Object.entries(image.parameters).flatMap(parameterLine)),
    ...section('kernel command line', cmdline === undefined || cmdline === '' ? [] : [cmdline]),
    ...section('images', imageLines(images)),
    ...section(`made from${by}`, columns(inputs.map((input) => [input.name, input.digest]))),
    ...otherDocuments(image),
    ...section(
      `${sboms > 1 ? `${sboms} SBOMs list` : 'SBOM lists'} ${packages?.length ?? 0}`,
      columns((packages ?? []).map((item) => [item.name, item.version, item.license ?? ''])),
    ),
    ...section(
      `contents: ${contents?.count ?? 0} entries, ${showSize(contents?.bytes ?? 0)}`,
      columns(
        (contents?.files ?? []).map(({ path, type, mode, owner, size, target }) => [
          type,
          mode,
          owner,
          String(size),
          oneLine(target === undefined ? path : `${path} -> ${target}`),
        ]),
      ),
    ),
  ].map((line) => printable(oneLine(line)));
}

const KINDS: Readonly<Record<ImageView['kind'], string>> = {
  build: '(built)',
  config: '(a config)',
  image: '(in the store)',
};

/** Lists all provenances but the first, which is shown before, and unreadable documents. */
function otherDocuments({ documents = [] }: Inspected): readonly string[] {
  return [
    ...otherProvenances(documents).flatMap(({ digest, parameters = {}, inputs = [] }) => [
      ...section(
        `another provenance, ${digest}, asked for`,
        Object.entries(parameters).flatMap(parameterLine),
      ),
      ...section(
        `another provenance, ${digest}, made from`,
        columns(inputs.map((input) => [input.name, input.digest])),
      ),
    ]),
    ...section(
      'unreadable documents',
      documents.flatMap(({ kind, digest, problem }) =>
        problem === undefined ? [] : [`${kind} ${digest}: ${problem}`],
      ),
    ),
  ];
}

/** Returns the provenances except the first, whose inputs are those of the image. */
export function otherProvenances(documents: Inspected['documents'] = []): readonly ImageDocument[] {
  return documents.filter(({ inputs }) => inputs !== undefined).slice(1);
}

function outputRow({ name, state, size, digest }: Inspected['outputs'][number]): string[] {
  return [
    name,
    size === undefined ? '' : showSize(size),
    state === 'there' ? '' : state,
    digest ?? '',
  ];
}

function parameterLine([key, value]: readonly [string, unknown]): readonly string[] {
  const text = valueText(value);
  return text === '{}' || text === '[]' ? [] : [`${key}: ${text}`];
}

function imageLines(images: readonly InspectedImage[]): readonly string[] {
  const rows = columns(
    images.map(({ name, digest, size, because, places }) => [
      name,
      digest ?? 'not built',
      size === undefined ? 'not in the store' : showSize(size),
      places?.join(', ') ?? because ?? '',
    ]),
  );
  return images.flatMap(({ signatures }, index) => [
    rows[index] ?? '',
    ...signatures.map(({ of, by }) => `    ${of} by ${by}`),
  ]);
}
