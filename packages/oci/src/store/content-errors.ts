/** Codes of errors about the content of a blob, not about the network or the disk. */
export const CONTENT_ERRORS: readonly string[] = ['DIGEST_MISMATCH', 'IMAGE_INVALID', 'NOT_FOUND'];
