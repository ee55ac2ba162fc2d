/** The reason why a signature is invalid. Never leaves the package. */
export class VerificationError extends Error {
  override readonly name = 'VerificationError';
}
