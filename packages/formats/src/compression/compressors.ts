/** All compressors for the segments of an initrd. */
export const COMPRESSORS = ['zstd', 'gzip', 'xz', 'lz4', 'none'] as const;

/** The compressors for the segments of an initrd. */
export type Compressor = (typeof COMPRESSORS)[number];
