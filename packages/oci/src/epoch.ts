/**
 * The time, in seconds since 1970, that nothing lkt writes is later than: 2017-04-18T16:30:00Z, the one LinuxKit gives
 * to what it synthesises.
 */
export const SOURCE_DATE_EPOCH = 1_492_533_000;

/**
 * The generation of the forms lkt writes: tar, compressor, config and manifest JSON, cpio. Raised by whatever changes
 * the bytes that unchanged input gives; part of every build key.
 */
export const ENGINE_EPOCH = 1;
