import { familiarReference } from '@lkt/oci';
import {
  evaluatePolicies,
  type EvaluationOptions,
  type NamedImage,
  type PolicyResult,
  type Rejection,
  type SignatureSource,
  type TrustPolicy,
  type VerifiedSignature,
} from '@lkt/sign';
import type { TrustedImage } from './check-images.ts';

/** The evaluation of one image. `because` is set if it is accepted. */
export interface ImageReport
  extends Omit<TrustedImage, 'because'>, Partial<Pick<TrustedImage, 'because'>> {
  readonly accepted: boolean;
  /** Empty if accepted. */
  readonly reasons: readonly string[];
  /**
   * Valid signatures and attestations of trusted signers, as far as they were read: reading stops
   * once these suffice.
   */
  readonly signatures: readonly VerifiedSignature[];
  /** Signatures that do not count, with reasons. */
  readonly rejections: readonly Rejection[];
}

/** Returns the report of a result. */
export function reportOf(result: PolicyResult): ImageReport {
  const { image, verdict, signatures, rejections, asked } = result;
  const isSigned = verdict.accepted && verdict.because === 'signed';
  return {
    reference: familiarReference(image),
    digest: image.digest,
    accepted: verdict.accepted,
    because: verdict.accepted ? verdict.because : undefined,
    reasons: verdict.accepted ? [] : verdict.reasons,
    signers: isSigned ? verdict.signers : [],
    rebuilders: isSigned ? verdict.rebuilders : [],
    signatures,
    rejections,
    asked,
  };
}

/**
 * Evaluates one image that the user names. Rejects an image that no rule covers.
 * @param policies at least one
 */
export async function verifyImageReport(
  image: NamedImage,
  policies: readonly TrustPolicy[],
  sources: readonly SignatureSource[],
  options?: EvaluationOptions,
): Promise<ImageReport> {
  const report = reportOf(await evaluatePolicies(image, policies, sources, options));
  if (report.because !== 'not required') return report;
  const names = policies.map(({ name }) => name).join(', ');
  return {
    ...report,
    because: undefined,
    accepted: false,
    reasons: [`no rule is about it (${names})`],
  };
}
