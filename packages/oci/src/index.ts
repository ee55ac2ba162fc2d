export { ByteReader, UnexpectedEndError } from './byte-reader.ts';
export { type BlobInfo, type BlobRef } from './blobs.ts';
export { type CacheArea, type CacheItem, directoryArea, fileArea } from './cache-area.ts';
export {
  type DecompressOptions,
  decompressLayer,
  gunzip,
  gunzipMember,
  gzip,
  unzstd,
  unzstdFrame,
  zstd,
  ZSTD_CHUNK_BYTES,
} from './compression.ts';
export { type Descriptor } from './descriptor.ts';
export { writeDockerArchive, type TaggedImage } from './docker-archive-writer.ts';
export {
  baseName,
  clampEntry,
  type Entry,
  type EntryType,
  type EntryWithContent,
  entryMetadata,
  fromRaw,
  parentPath,
  type RawPath,
  toRaw,
} from './entry.ts';
export { type AsyncDigester, createAsyncDigester } from './async-digester.ts';
export { type Inventory } from './inventory.ts';
export { type PruneResult, type PruneOptions } from './prune.ts';
export { ENGINE_EPOCH, SOURCE_DATE_EPOCH } from './epoch.ts';
export { fileChunks } from './file-chunks.ts';
export { type FileState, fileState, isSettled } from './file-state.ts';
export {
  type ArchiveFormat,
  exportImage,
  type ExportOptions,
  imageLayout,
} from './export-archive.ts';
export {
  flatten,
  flattenArchives,
  streamFlatten,
  type FlattenLimits,
  flattenEntries,
  type LayerFile,
} from './flatten.ts';
export { type Image, loadImage, type NewImageConfig, writeImage, writeIndex } from './image.ts';
export { importImages, type ImportResult, type ImportOptions } from './import-archive.ts';
export { isStoreWellBelow } from './store-size.ts';
export { explainLayerError } from './layer-error.ts';
export { type LayerArchive, layerArchives, UnpackedLayers } from './layer-archives.ts';
export { type Layer, writeLayer } from './layer.ts';
export { importFromLayout, writeLayoutDirectory } from './layout-directory.ts';
export { type Tag } from './layout-index.ts';
export { type LockOptions } from './lock.ts';
export {
  type ContainerConfig,
  type HistoryEntry,
  type ImageConfig,
  type ImageIndex,
  type ImageManifest,
  parseImageConfig,
  parseIndex,
  parseManifest,
  parseManifestOrIndex,
} from './manifest.ts';
export { isIndexType, isManifestType, MediaType } from './media-type.ts';
export { openStore } from './open-store.ts';
export { formatPlatform, parsePlatform, type Platform, platformMatches } from './platform.ts';
export { readArchives, readFile, readFiles } from './read-files.ts';
export { familiarReference, formatReference, parseReference, type Reference } from './reference.ts';
export { type NewReferrer, writeReferrer } from './referrers.ts';
export { SpareBuffers } from './spare-buffers.ts';
export { type Store } from './store.ts';
export { isTarHeader } from './tar-header.ts';
export { type TarLimits } from './tar-header-reader.ts';
export { normalizePath } from './tar-path.ts';
export { readTar, type TarEntry } from './tar-reader.ts';
export { writeTar } from './tar-writer.ts';
export { removeTree } from './temp.ts';
export { compareBytes, FileTree, type TreeNode } from './tree.ts';
export { zstdBlocks, zstdFrameHeader, zstdRawBlocks } from './zstd-blocks.ts';
