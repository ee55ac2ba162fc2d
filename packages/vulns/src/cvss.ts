import cvss from 'ae-cvss-calculator';
import type { Severity } from './advisory.ts';

/**
 * Returns the severity of a CVSS vector by its base score, of any CVSS version; `unknown` for
 * another text or an incomplete vector.
 * @see https://www.first.org/cvss/v4-0/specification-document, "Qualitative Severity Rating Scale"
 */
export function calculateCvss(vector: string): Severity {
  // The library would look up any other prefix, such as "constructor", in an object.
  if (!/^(?:CVSS:\d\.\d\/)?[A-Z]+:/i.test(vector)) return 'unknown';
  const { base } = cvss.fromVector(vector)?.calculateScores() ?? {};
  if (base === undefined || base === 0) return 'unknown';
  if (base >= 9) return 'critical';
  if (base >= 7) return 'high';
  return base >= 4 ? 'medium' : 'low';
}
