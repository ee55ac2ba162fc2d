import type { ImageReport } from '@lkt/image';
import { describePredicate, describeSigner, type VerifiedSignature } from '@lkt/sign';

/** A report for people: the image, what is good below it, and what counts for nothing. */
export function reportLines({ reference, because, ...report }: ImageReport): readonly string[] {
  const { accepted, reasons, signatures, rejections } = report;
  return [
    `${reference}  ${accepted ? (because ?? 'accepted') : 'REFUSED'}`,
    ...reasons.map((reason) => `  refused: ${reason}`),
    ...once(signatures.map((one) => `  ${describe(one)}`)),
    // The reasons why it is refused have them.
    ...(accepted ? rejections.map(({ source, reason }) => `  ignored: ${source}: ${reason}`) : []),
  ];
}

function describe({ predicateType, signer, time, logIndex }: VerifiedSignature): string {
  const what = describePredicate(predicateType);
  const when = time === undefined ? '' : `, ${time.toISOString().replace(/\.\d+Z$/, 'Z')}`;
  const where = logIndex === undefined ? '' : `, log entry ${logIndex}`;
  return `${what} by ${describeSigner(signer)}${when}${where}`;
}

/** Both forms of a signature say the same. */
function once(lines: readonly string[]): readonly string[] {
  return [...new Set(lines)];
}
