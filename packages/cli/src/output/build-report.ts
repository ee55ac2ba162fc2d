import { relative } from 'node:path';
import type { ImageAudit } from '@lkt/image';
import { showSize } from '../flags/sizes.ts';
import type { ImageSummary } from '../session/image-build.ts';
import { counted } from './lines.ts';
import { pinLines } from './pin-lines.ts';

/** Returns the lines for people about a built image. */
export function buildReport(summary: ImageSummary, cwd: string): readonly string[] {
  const { allowances, audit, files, pcr11, pins = [], policies } = summary;
  return [
    ...pinLines(pins),
    ...files.map(
      ({ path, size, digest }) => `${shortPath(cwd, path)}  ${showSize(size)}  ${digest}`,
    ),
    ...(pcr11 === undefined ? [] : [`PCR 11  ${pcr11}`]),
    ...(audit === undefined ? [] : [auditLine(audit)]),
    ...(policies.length > 0 ? [`policy  ${policies.join(', ')}`] : []),
    ...allowances.map((line) => `allows  ${line}`),
  ];
}

/** Returns a path relative to the current directory, unless it is above. */
export function shortPath(cwd: string, path: string): string {
  const short = relative(cwd, path);
  return short.startsWith('..') ? path : short;
}

/** Returns the audit summary, in one line. */
function auditLine({ images, programs, bad, waived }: ImageAudit): string {
  const passed = waived === 0 ? '' : `, ${waived} waived`;
  const found =
    bad === 0
      ? 'no findings'
      : `${counted(bad, 'finding')}, list ${bad === 1 ? 'it' : 'them'} with lkt audit image`;
  return `audit  ${counted(images, 'image')}, ${counted(programs, 'program')}: ${found}${passed}`;
}
