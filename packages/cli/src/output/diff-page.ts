import type { FileChange, ImageDiff, NamedChange, PackageChange } from '@lkt/inspect';
import { showSize } from '../flags/sizes.ts';
import { codeOf, listOf, shortTag } from '../page/cells.ts';
import { documentOf, reportBody, type Section } from '../page/document.ts';
import { type Html, markup, type HtmlValue } from '../page/html.ts';
import { sizeTree } from '../page/size-tree.ts';
import { TABLE_SCRIPT, tableOf } from '../page/table.ts';
import { TREEMAP_SCRIPT, TREEMAP_STYLE, treemapOf, type TreemapView } from '../page/treemap.ts';
import { counted } from './lines.ts';

/** Returns the page of the differences of two images, with their names as the user gave them. */
export function diffPage(before: string, after: string, diff: ImageDiff): string {
  const sections = sectionsOf(diff);
  const lead = markup`<p>${before} → ${after}</p>
<p class="soft">${diff.isSame ? 'No difference.' : 'Added is only in the second image, removed only in the first.'}</p>
${diff.unread === undefined ? undefined : markup`<p class="bad">Files were not compared: ${diff.unread}.</p>`}`;
  return documentOf({
    title: `${before} → ${after} - lkt diff`,
    body: reportBody('Differences', lead, sections),
    style: TREEMAP_STYLE,
    script: `${TREEMAP_SCRIPT}${TABLE_SCRIPT}`,
  });
}

/** Leaves out sections without a difference. */
function sectionsOf(diff: ImageDiff): readonly Section[] {
  const { packages, config, cmdline, privileges, inputs, outputs, listed, files } = diff;
  const growing = files.filter(({ growth }) => growth !== undefined);
  return [
    growing.length === 0 ? undefined : { title: 'Growth', body: growthOf(growing) },
    packages.length === 0 ? undefined : { title: 'Packages', body: packagesOf(packages) },
    config.length === 0
      ? undefined
      : {
          title: 'Config',
          body: changesOf('Changed values', 'Value', config, ({ path }) => path, valueOf),
        },
    cmdline.added.length + cmdline.removed.length === 0
      ? undefined
      : { title: 'Kernel command line', body: wordsOf(cmdline) },
    privileges.length === 0
      ? undefined
      : {
          title: 'Privileges',
          body: changesOf(
            'Changed privileges',
            'Privilege',
            privileges,
            ({ path }) => path,
            valueOf,
          ),
        },
    inputs.length === 0 ? undefined : { title: 'Made from', body: named('Inputs', inputs, codeOf) },
    listed.length === 0
      ? undefined
      : { title: 'SBOM', body: named('Packages in the SBOM', listed, (version) => version) },
    files.length === 0 ? undefined : { title: 'Files', body: filesOf(files) },
    outputs.length === 0
      ? undefined
      : { title: 'Written', body: named('Files of the build', outputs, codeOf) },
  ].filter((section) => section !== undefined);
}

function growthOf(files: readonly FileChange[]): Html {
  const [more, less] = [files.filter(isLarger), files.filter((file) => !isLarger(file))];
  const isMixed = more.length > 0 && less.length > 0;
  const pathsOf = (isBySource: boolean): TreemapView['tree'] =>
    sizeTree(
      isMixed ? 'changes' : more.length > 0 ? 'more' : 'less',
      files.map((file) => ({
        path: [
          ...(isMixed ? [isLarger(file) ? 'more' : 'less'] : []),
          ...(isBySource ? [shortTag(sourceOf(file) ?? 'unknown')] : []),
          ...file.path.split('/').filter((part) => part !== ''),
        ],
        size: Math.abs(file.growth ?? 0),
      })),
      { isGrouped: isMixed || isBySource },
    );
  return markup`<p>${showGrowth(sum(files))} in all: ${showGrowth(sum(more))} in ${counted(more.length, 'file')}, ${showGrowth(sum(less))} in ${counted(less.length, 'file')}.</p>
${treemapOf('Bytes that are more or less', [
  { title: 'By directory', tree: pathsOf(false) },
  { title: 'By package', tree: pathsOf(true) },
])}`;
}

function sum(files: readonly FileChange[]): number {
  return files.reduce((total, { growth = 0 }) => total + growth, 0);
}

function isLarger({ growth = 0 }: FileChange): boolean {
  return growth > 0;
}

function showGrowth(bytes: number): string {
  const size = Math.abs(bytes);
  return `${bytes < 0 ? '−' : '+'}${size < 1000 ? `${size} B` : showSize(size)}`;
}

function packagesOf(packages: readonly PackageChange[]): Html {
  return tableOf({
    label: 'Changed packages',
    columns: ['Package', 'Change', 'Before', 'After', 'Because', 'Changed files'].map((title) => ({
      title,
    })),
    rows: packages.map(({ name, before, after, because, files = [] }) => [
      name,
      changeOf(before, after),
      imageOf(before),
      imageOf(after),
      listOf(because.map((reason) => reason.replaceAll(/\b([0-9a-f]{8})[0-9a-f]{32}\b/g, '$1'))),
      files.length === 0
        ? ''
        : markup`<details><summary>${files.length}</summary>${listOf(files.map(({ path, what }) => `${path}: ${what.join(', ')}`))}</details>`,
    ]),
  });
}

function imageOf(image: PackageChange['before']): HtmlValue {
  if (image === undefined) return '';
  const { name, digest } = image;
  return markup`${name}<br>${codeOf(digest === undefined ? 'not built' : digest.slice(0, 'sha256:'.length + 12))}`;
}

function wordsOf({ removed, added }: ImageDiff['cmdline']): Html {
  return tableOf({
    label: 'Words of the kernel command line',
    columns: [{ title: 'Word' }, { title: 'Change' }],
    rows: [
      ...removed.map((word) => [word, changeOf(word, undefined)]),
      ...added.map((word) => [word, changeOf(undefined, word)]),
    ],
  });
}

function filesOf(files: readonly FileChange[]): Html {
  return tableOf({
    label: 'Changed files',
    columns: [
      { title: 'File' },
      { title: 'Change' },
      { title: 'Differences' },
      { title: 'Growth', isNumber: true },
      { title: 'From' },
    ],
    rows: files.map((file) => [
      file.path,
      changeText(file.change),
      listOf(file.what),
      file.growth === undefined ? '' : showGrowth(file.growth),
      [shortTag(sourceOf(file) ?? ''), file.location ?? '']
        .filter((text) => text !== '')
        .join(', '),
    ]),
  });
}

/** Drops the digest, which the table of packages shows. */
function sourceOf({ source }: FileChange): string | undefined {
  return source?.replace(/^docker\.io\//, '').replace(/@sha256:[0-9a-f]{64}/, '');
}

function named<T extends string>(
  label: string,
  changes: readonly NamedChange<T>[],
  show: (value: T) => HtmlValue,
): Html {
  return changesOf(label, 'Name', changes, ({ name }) => name, show);
}

function changesOf<C extends { readonly before?: V; readonly after?: V }, V>(
  label: string,
  title: string,
  changes: readonly C[],
  nameOf: (change: C) => string,
  show: (value: V) => HtmlValue,
): Html {
  return tableOf({
    label,
    columns: [title, 'Change', 'Before', 'After'].map((text) => ({ title: text })),
    rows: changes.map((change) => [
      nameOf(change),
      changeOf(change.before, change.after),
      change.before === undefined ? '' : show(change.before),
      change.after === undefined ? '' : show(change.after),
    ]),
  });
}

function valueOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function changeOf(before: unknown, after: unknown): Html {
  return changeText(before === undefined ? 'added' : after === undefined ? 'removed' : 'changed');
}

function changeText(change: FileChange['change']): Html {
  const [mark, kind] = { added: ['+', 'good'], removed: ['−', 'bad'], changed: ['~', ''] }[change];
  return markup`<span class="${kind}">${mark} ${change}</span>`;
}
