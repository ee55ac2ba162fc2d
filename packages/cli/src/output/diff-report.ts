import type { FileChange, ImageDiff, NamedChange, PackageChange, ValueChange } from '@lkt/inspect';
import { columns, oneLine, section } from './lines.ts';
import { printable } from './printable.ts';

/**
 * Returns the differences as lines, each with its cause. `+` is only in the second image, `-` only
 * in the first, `~` in both.
 */
export function diffLines(diff: ImageDiff): readonly string[] {
  const { packages, config, cmdline, privileges, inputs, outputs, listed, files, unread } = diff;
  const words = [
    ...cmdline.removed.map((word) => `- ${word}`),
    ...cmdline.added.map((word) => `+ ${word}`),
  ];
  return [
    ...section('packages', packages.flatMap(packageLines)),
    ...section('config', config.map(valueLine)),
    ...section('kernel command line', words),
    ...section('privileges', privileges.map(valueLine)),
    ...section(
      'made from',
      inputs.map((item) => namedLine(item, shortDigest)),
    ),
    ...section(
      'SBOM',
      listed.map((item) => namedLine(item, (version) => version)),
    ),
    ...section('files', fileLines(files, 3)),
    ...section(
      'written',
      outputs.map((item) => namedLine(item, shortDigest)),
    ),
    ...(unread === undefined ? [] : [`files were not compared: ${unread}`]),
  ].map(printable);
}

function packageLines({ before, after, because, files = [] }: PackageChange): readonly string[] {
  const of = (image: typeof before): string =>
    image === undefined ? '' : `${image.name} ${shortDigest(image.digest ?? '')}`.trimEnd();
  if (before === undefined) return [`+ ${of(after)}`];
  if (after === undefined) return [`- ${of(before)}`];
  return [
    `~ ${of(before)} → ${of(after)}`,
    ...because.map((reason) => `    ${reason}`),
    ...fileLines(files, 0).map((line) => `    ${line}`),
  ];
}

function fileLines(files: readonly FileChange[], more: number): readonly string[] {
  return columns(
    folded(files).map(({ path, change, what, source, location }) => {
      const from = [source ?? '', location ?? ''].filter((word) => word !== '').join(', ');
      return [
        `${mark(change !== 'added', change !== 'removed')} ${oneLine(path)}`,
        what.map(oneLine).join(', '),
        more === 0 || from === '' ? '' : `(${oneLine(shortSource(from))})`,
      ];
    }),
  );
}

/** Folds an added or removed directory and everything below it into one line. */
function folded(files: readonly FileChange[]): readonly FileChange[] {
  const shown: FileChange[] = [];
  for (let at = 0; at < files.length; at += 1) {
    const first = files[at];
    if (first === undefined) break;
    let end = at + 1;
    while (isBelow(files[end], first)) end += 1;
    const more = end - at - 1;
    shown.push(
      more === 0 ? first : { ...first, path: `${first.path}/`, what: [`${more + 1} entries`] },
    );
    at += more;
  }
  return shown;
}

function isBelow(
  file: FileChange | undefined,
  { path, change, source, what }: FileChange,
): boolean {
  return (
    change !== 'changed' &&
    what[0]?.startsWith('directory') === true &&
    file?.path.startsWith(`${path}/`) === true &&
    file.change === change &&
    file.source === source
  );
}

/** Drops the digest, which the report shows above. */
function shortSource(source: string): string {
  return source.replace(/^docker\.io\//, '').replace(/@sha256:[0-9a-f]{64}/, '');
}

/** Returns a changed value as a line. */
export function valueLine({ path, before, after }: ValueChange): string {
  // In a list of strings, the path of an item ends with the item itself.
  if (path.endsWith(`[${String(before ?? after)}]`))
    return `${after === undefined ? '-' : '+'} ${path}`;
  if (before === undefined) return `+ ${path}: ${shownValue(after)}`;
  if (after === undefined) return `- ${path}: ${shownValue(before)}`;
  return `~ ${path}: ${shownValue(before)} → ${shownValue(after)}`;
}

function shownValue(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function namedLine<T extends string>(
  { name, before, after }: NamedChange<T>,
  show: (value: string) => string,
): string {
  const values = [before, after].flatMap((value) => (value === undefined ? [] : [show(value)]));
  const shown = values.filter((value) => value !== '').join(' → ');
  return `${mark(before !== undefined, after !== undefined)} ${name}${shown === '' ? '' : `  ${shown}`}`;
}

function mark(isBefore: boolean, isAfter: boolean): string {
  return isBefore ? (isAfter ? '~' : '-') : '+';
}

function shortDigest(digest: string): string {
  return digest.slice(0, 'sha256:'.length + 12);
}
