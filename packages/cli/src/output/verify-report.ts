import type { ImageReport } from '@lkt/image';
import { describePredicate, describeSigner, type VerifiedSignature } from '@lkt/sign';

/** Returns a report as lines: the image, its valid signatures, and the ignored ones. */
export function reportLines({ reference, because, ...report }: ImageReport): readonly string[] {
  const { accepted, reasons, signatures, rejections } = report;
  return [
    `${reference}  ${accepted ? (because ?? 'accepted') : 'REFUSED'}`,
    ...reasons.map((reason) => `  refused: ${reason}`),
    ...once(signatures.map((one) => `  ${describe(one)}`)),
    // For a refused image, its reasons include them.
    ...(accepted ? rejections.map(({ source, reason }) => `  ignored: ${source}: ${reason}`) : []),
  ];
}

function describe({ predicateType, signer, time, logIndex }: VerifiedSignature): string {
  const what = describePredicate(predicateType);
  const when = time === undefined ? '' : `, ${time.toISOString().replace(/\.\d+Z$/, 'Z')}`;
  const where = logIndex === undefined ? '' : `, log entry ${logIndex}`;
  return `${what} by ${describeSigner(signer)}${when}${where}`;
}

/** Removes duplicates: both forms of a signature have the same line. */
function once(lines: readonly string[]): readonly string[] {
  return [...new Set(lines)];
}
