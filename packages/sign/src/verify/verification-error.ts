const MAX_REASON = 500;

/** The reason why a signature is invalid. Never leaves the package. */
export class VerificationError extends Error {
  override readonly name = 'VerificationError';

  constructor(reason: string) {
    super(reasonLine(reason));
  }
}

/**
 * Returns a reason as one short line: it can quote what anyone attached to an image, which must not
 * look like a line of a report.
 */
export function reasonLine(text: string): string {
  const line = text.slice(0, MAX_REASON + 1).replaceAll(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, '?');
  return text.length > MAX_REASON ? `${line.slice(0, MAX_REASON)}…` : line;
}
