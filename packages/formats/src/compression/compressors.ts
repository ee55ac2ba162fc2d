/** Names of the compressors of an initrd. */
export const COMPRESSORS = ['zstd', 'gzip', 'xz', 'lz4', 'none'] as const;

/** A compressor of the segments of an initrd. */
export type Compressor = (typeof COMPRESSORS)[number];
