export { ByteReader, UnexpectedEndError } from './io/byte-reader.ts';
export { type BlobInfo } from './store/blobs.ts';
export {
  adoptable,
  type CacheArea,
  type CacheItem,
  directoryArea,
  fileArea,
} from './store/cache-area.ts';
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
} from './compression/compression.ts';
export { type Descriptor } from './image/descriptor.ts';
export { writeDockerArchive } from './archive/docker-archive-writer.ts';
export {
  baseName,
  type Entry,
  type EntryType,
  type EntryToWrite,
  type EntryWithContent,
  entryMetadata,
  fromRaw,
  joinPath,
  parentPath,
  plainFile,
  type RawPath,
  toRaw,
} from './tar/entry.ts';
export { type AsyncDigester, createAsyncDigester } from './io/async-digester.ts';
export { type Inventory } from './store/inventory.ts';
export { type PruneResult, type PruneOptions } from './store/prune.ts';
export { ENGINE_EPOCH, SOURCE_DATE_EPOCH } from './image/epoch.ts';
export { fileChunks, writeAll } from './io/file-chunks.ts';
export { chunkPieces, joinChunks, singleChunk, smallChunks } from './io/chunks.ts';
export {
  type ArchiveFormat,
  exportImage,
  type ExportOptions,
  imageLayout,
} from './archive/export-archive.ts';
export {
  flatten,
  flattenArchives,
  streamFlatten,
  type FlattenLimits,
  flattenEntries,
  type LayerFile,
} from './layer/flatten.ts';
export {
  type Image,
  layersOf,
  loadImage,
  type NewImageConfig,
  writeImage,
  writeIndex,
} from './image/image.ts';
export { importImages } from './archive/import-archive.ts';
export { isStoreWellBelow } from './store/store-size.ts';
export { CONTENT_ERRORS } from './store/content-errors.ts';
export { findLayer } from './layer/find-layer.ts';
export { explainLayerError } from './layer/layer-error.ts';
export {
  type LayerArchive,
  layerArchive,
  layerArchives,
  openArchive,
  UnpackedLayers,
} from './layer/layer-archives.ts';
export { verifyDiffId } from './layer/diff-id.ts';
export { type Layer, writeLayer } from './layer/layer.ts';
export { importFromLayout, writeLayoutDirectory } from './archive/layout-directory.ts';
export { readTags, type Tag } from './store/layout-index.ts';
export {
  type ContainerConfig,
  type ImageIndex,
  type ImageManifest,
  parseImageConfig,
  parseIndex,
  parseManifest,
  parseDescribed,
  parseManifestOrIndex,
} from './image/manifest.ts';
export { isDistributable, isIndexType, isManifestType, MediaType } from './image/media-type.ts';
export { findImage, type StoreImage } from './image/find-image.ts';
export { imageFiles } from './layer/image-files.ts';
export { openStore, type OpenOptions } from './store/open-store.ts';
export { formatPlatform, parsePlatform, type Platform, platformMatches } from './image/platform.ts';
export { readArchives, readFile, readFiles } from './layer/read-files.ts';
export {
  DOCKER_HUB,
  familiarReference,
  formatReference,
  parseReference,
  type Reference,
} from './image/reference.ts';
export { describeReferrer } from './image/referrers.ts';
export { writeReferrer } from './image/referrer-writer.ts';
export { scratchStore } from './store/scratch-store.ts';
export { type SealedFiles } from './store/sealed-files.ts';
export { type Store, type StoreCheck } from './store/store.ts';
export { isTarHeader } from './tar/tar-fields.ts';
export { type TarLimits } from './tar/tar-header-reader.ts';
export { normalizePath } from './tar/tar-path.ts';
export { readTar, type TarEntry } from './tar/tar-reader.ts';
export { writeTar } from './tar/tar-writer.ts';
export { removeImages } from './store/remove-images.ts';
export { removeTree } from './io/temp.ts';
export { areaUsage, type AreaUsage, imageUsage, type ImageUsage } from './store/usage.ts';
export { compareBytes, FileTree, type TreeNode } from './layer/tree.ts';
export { zstdBlocks, zstdFrameHeader, zstdRawBlocks } from './compression/zstd-blocks.ts';
