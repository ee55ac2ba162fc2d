/** Why a signature counts for nothing, in words. Never leaves the package. */
export class Unusable extends Error {
  override readonly name = 'Unusable';
}
