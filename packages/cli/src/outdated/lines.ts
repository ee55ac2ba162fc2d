import { printable } from '../output/printable.ts';
import { lockUpdateLines } from '../output/lock-updates.ts';
import type { OutdatedReport } from './find-outdated.ts';

const REASONS = {
  source: 'current sources are',
  digest: 'its tag is now',
  tag: 'newer:',
} as const;

/** Returns a report as text: each outdated thing, its newer version, and the command for it. */
export function outdatedLines(report: OutdatedReport): readonly string[] {
  const { outdated, locks, kernel, collections, npm } = report;
  return [
    ...collections.map(({ name, source, from, to, update }) => [
      `lkt.yml: ${name}: ${source} ${from}`,
      `newer: ${to}`,
      `update: ${update}`,
    ]),
    ...outdated.map(({ file, line, reference, because, now, update }) => [
      `${file}:${line}: ${reference}`,
      `${REASONS[because]} ${now}`,
      `update: ${update}`,
    ]),
    ...kernel.map(({ file, source, from, to, update }) => [
      `${file}: ${source} ${from}`,
      `newer: ${to}`,
      `update: ${update}`,
    ]),
    ...npm.map(({ name, from, to, update }) => [
      `package.json: ${name} ${from}`,
      `newer: ${to}`,
      `update: ${update}`,
    ]),
    ...locks.map((lock) => [
      ...lockUpdateLines([lock]).map((line) => line.replace(/^ {2}/, '')),
      `update: ${lock.update}`,
    ]),
  ]
    .flatMap(([first = '', ...rest]) => [first, ...rest.map((line) => `  ${line}`)])
    .map(printable);
}
