import { basename } from 'node:path';
import { type Digest, digestOf, isDigest, LktError, mapConcurrent, reportStep } from '@lkt/core';
import { joinChunks, parentPath, type RawPath } from '@lkt/oci';
import {
  compress,
  type Compression,
  type Compressor,
  COMPRESSORS,
  withMaxLevel,
  cpioPadding,
  KERNEL_HEADER_BYTES,
  kernelInitSize,
} from '@lkt/formats';
import type { CachedFile, ComposeCache } from '../cache.ts';
import type { SystemConfig } from '../config/config.ts';
import { type Format, INITRD_FORMATS } from '../output/formats.ts';
import type { Output } from '../output/write.ts';
import { MANIFEST_SEGMENT, type Plan, type PlanOptions } from '../plan.ts';
import { CONCURRENCY } from '../concurrency.ts';
import { memoryPart } from '../tree/containers.ts';
import { MemoryEntries } from '../tree/memory.ts';
import { warnOfCapabilities } from '../tree/capabilities.ts';
import type { RootEntry } from '../tree/merge.ts';
import { layOut } from './erofs-layout.ts';
import { infoArchive, type InitrdInfo, memoryFor } from './info.ts';
import { MANIFEST_PATH } from './manifest.ts';
import { type InitrdPiece, takePacked } from './packed-archives.ts';
import { type Segment, segmentArchive, segmentKey, segmentsOf, solid } from './segment.ts';

/** An initrd whose segments are in the cache, ready to be concatenated. */
export interface Initrd extends InitrdInfo, Pick<Output, 'expected' | 'note'> {
  readonly size: number;
  /** Digest of the inputs. */
  readonly id: Digest;
  bytes(): AsyncIterable<Uint8Array>;
}

/**
 * Builds the initrd of a planned image (Documentation/driver-api/early-userspace/buffer-format):
 * microcode, a compressed archive per segment from the cache, the manifest, and the uncompressed
 * info.
 */
export async function buildInitrd(planned: Plan, compression: Compression): Promise<Initrd> {
  requireUnpacking(planned, compression);
  const plan = await layOut(planned, compression);
  if (plan === planned) warnOfCapabilities(plan, 'an initramfs');
  const pieces: InitrdPiece[] = [];
  if (plan.kernel?.ucode !== undefined) pieces.push(...padded(plan.kernel.ucode));
  pieces.push(...(await buildSegments(plan, compression)));
  pieces.push(await joinChunks(compress(compression, segmentArchive(manifestSegment(plan)))));
  const size = pieces.reduce((sum, piece) => sum + sizeOf(piece), 0);
  const { cmdline = '', kernel } = plan.kernel ?? {};
  const kernelSize = kernel === undefined ? undefined : await initSizeOf(plan.cache, kernel);
  const info = memoryFor(plan.root, size, cmdline, kernelSize);
  const end = infoArchive(info);
  const { cache } = plan;
  const inputs = ['initrd 2', ...pieces.map(identityOf), digestOf(end)];
  const digest = (await cache.findText(inputs)) ?? '';
  const total = size + end.length;
  return {
    ...info,
    size: total,
    id: digestOf(inputs.join('\0')),
    expected: isDigest(digest) ? { digest, size: total } : undefined,
    note: async (written) => cache.recordText(inputs, written.digest),
    bytes: async function* () {
      for (const piece of pieces) {
        if (piece instanceof Uint8Array) yield piece;
        else yield* cache.read(piece);
      }
      yield end;
    },
  };
}

/** Returns the `init_size` of a kernel. Reads all of the kernel once, to verify it. */
async function initSizeOf(cache: ComposeCache, kernel: CachedFile): Promise<number | undefined> {
  const text = await cache.text(['kernel init size 1', kernel.digest], async () => {
    let head = Buffer.alloc(0);
    for await (const chunk of cache.read(kernel))
      if (head.length < KERNEL_HEADER_BYTES)
        head = Buffer.concat([head, chunk.subarray(0, KERNEL_HEADER_BYTES)]);
    return String(kernelInitSize(head) ?? '');
  });
  return text === '' ? undefined : Number(text);
}

/**
 * Returns the compression for packing file contents, if the initrd consists of zstd archives per
 * image.
 */
export function packingFor(
  { layout }: SystemConfig,
  format: readonly Format[],
  compression: Compression,
): Pick<PlanOptions, 'packing'> {
  const isPacked =
    compression.compressor === 'zstd' &&
    (layout === undefined || layout.kind === 'cpio') &&
    INITRD_FORMATS.some((known) => format.includes(known));
  return isPacked ? { packing: compression } : {};
}

function padded(file: CachedFile): readonly InitrdPiece[] {
  return file.size % 4 === 0 ? [file] : [file, cpioPadding(file.size)];
}

function sizeOf(piece: InitrdPiece): number {
  return piece instanceof Uint8Array ? piece.length : piece.size;
}

/** The path identifies the whole file by its inputs. */
function identityOf(piece: InitrdPiece): string {
  if (piece instanceof Uint8Array) return digestOf(piece);
  if (!('offset' in piece)) return piece.digest;
  const { path, offset, size, crc } = piece;
  return [basename(path), offset, size, crc].join(' ');
}

/** Such a kernel would report the problem only at boot. */
function requireUnpacking({ kernel }: Plan, { compressor }: Compression): void {
  const config = kernel?.config;
  if (config === undefined || compressor === 'none') return;
  const option = optionFor(compressor);
  if (config.options.has(option)) return;
  const others = COMPRESSORS.filter((one) => one === 'none' || config.options.has(optionFor(one)));
  throw new LktError(
    'UNSUPPORTED',
    `the kernel cannot unpack an initrd compressed with ${compressor}: /${config.path} of ${kernel?.origin.source} lacks CONFIG_${option}=y`,
    { fix: `use --compressor ${others.join(' or ')}` },
  );
}

function optionFor(compressor: Compressor): string {
  return `RD_${compressor.toUpperCase()}`;
}

/** Builds all segments but the manifest. */
async function buildSegments(
  plan: Plan,
  compression: Compression,
): Promise<readonly InitrdPiece[]> {
  const segments = segmentsOf(plan.root).filter(({ name }) => name !== MANIFEST_SEGMENT);
  if (plan.config.layout?.kind !== 'solid') return buildAll(plan, segments, compression);
  return buildAll(plan, [solid(segments)], await withMaxLevel(compression));
}

/** Starts with the largest, so that none is left over at the end. */
async function buildAll(
  plan: Plan,
  segments: readonly Segment[],
  compression: Compression,
): Promise<readonly InitrdPiece[]> {
  const bySize = segments.toSorted((a, b) => contentSize(b) - contentSize(a));
  const built = await mapConcurrent(
    bySize,
    async (segment) => [segment, await buildSegment(plan, segment, compression)] as const,
    { concurrency: CONCURRENCY },
  );
  const files = new Map(built);
  return segments.flatMap((segment) => files.get(segment) ?? []);
}

function contentSize({ parts }: Segment): number {
  return parts
    .flatMap(({ others }) => others.map(({ size }) => size))
    .reduce((sum, size) => sum + size, 0);
}

async function buildSegment(
  { cache, reporter }: Plan,
  segment: Segment,
  compression: Compression,
): Promise<readonly InitrdPiece[]> {
  const made = segment.parts[0]?.part.archive;
  if (made !== undefined) return padded(made);
  const id = `segment ${segment.name}`;
  const title = segment.title ?? segment.parts[0]?.part.label ?? segment.name;
  const { rest, packed } = takePacked(segment);
  const file = await reportStep(
    reporter,
    { id, title },
    async () =>
      cache.file([...segmentKey(rest), compression.key], () =>
        compress(compression, segmentArchive(rest)),
      ),
    ({ cached }) => cached,
  );
  return [...padded(file), ...packed];
}

function manifestSegment({ root, manifest }: Plan): Segment {
  const files = new MemoryEntries().file(MANIFEST_PATH, manifest, 0o444);
  const origin = { source: '', location: '' };
  const directories: RootEntry[] = [];
  for (let path: RawPath = parentPath(MANIFEST_PATH); path !== ''; path = parentPath(path)) {
    const entry = root.entries.get(path);
    if (entry !== undefined) directories.unshift(entry);
  }
  return {
    name: MANIFEST_SEGMENT,
    parts: [
      {
        part: memoryPart(files, origin, 'the manifest', MANIFEST_SEGMENT),
        others: files.entries.map((entry) => ({ ...entry, part: 0, wantedBy: 0 })),
      },
    ],
    directories,
  };
}
