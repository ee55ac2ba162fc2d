/**
 * The latest mtime that lkt writes, in seconds since 1970: 2017-04-18T16:30:00Z, as in LinuxKit.
 */
export const SOURCE_DATE_EPOCH = 1_492_533_000;

/**
 * The version of the formats lkt writes: tar, compression, config and manifest JSON, cpio. It is
 * part of every build key. Raise it with any change to the bytes built from unchanged inputs.
 */
export const ENGINE_EPOCH = 1;
