import type { Privileges } from '@lkt/inspect';
import type { Timeline } from '@lkt/machine';
import { describePredicate, describeSigner, describeSigners, type TrustPolicy } from '@lkt/sign';
import { showSize } from '../flags/sizes.ts';
import { CHART_STYLE, chartFigure } from '../page/bar-chart.ts';
import { documentOf, reportBody, type Section } from '../page/document.ts';
import { type Html, markup, type HtmlValue } from '../page/html.ts';
import { type SizedPath, sizeTree } from '../page/size-tree.ts';
import { codeOf, listOf, shortTag } from '../page/cells.ts';
import { TABLE_SCRIPT, tableOf } from '../page/table.ts';
import { TREEMAP_SCRIPT, TREEMAP_STYLE, treemapOf } from '../page/treemap.ts';
import type { ImageDetails } from '../targets/image-report.ts';
import { bootChart } from './boot-chart.ts';
import { type Inspected, otherProvenances } from './inspect-report.ts';
import { counted, valueText } from './lines.ts';

const KINDS: Readonly<Record<Inspected['kind'], string>> = {
  build: 'The output of a build',
  config: 'An image config, as it would be built',
  image: 'An image in the store',
};

/** The name of files that belong to no image: written by lkt, or given by the config. */
const OTHER = 'config and lkt';

/** Returns the page of an image: sizes, packages, signatures, privileges, and its boot. */
export function inspectPage(
  image: Inspected,
  details: ImageDetails,
  timeline: Timeline | undefined,
): string {
  const sections: readonly Section[] = [
    { title: 'Sizes', body: sizesOf(image, details) },
    { title: 'Images', body: imagesOf(image) },
    { title: 'Signatures', body: signaturesOf(image, details) },
    { title: 'Privileges', body: privilegesTable(details.privileges) },
    { title: 'Packages', body: packagesOf(image, details) },
    ...(timeline === undefined ? [] : [{ title: 'Boot', body: chartFigure(bootChart(timeline)) }]),
    { title: 'Made from', body: madeFrom(image) },
  ];
  return documentOf({
    title: `${image.name} - lkt inspect`,
    body: reportBody(image.name, markup`<p class="soft">${KINDS[image.kind]}</p>`, sections),
    style: `${TREEMAP_STYLE}${CHART_STYLE}`,
    script: `${TREEMAP_SCRIPT}${TABLE_SCRIPT}`,
  });
}

function sizesOf({ kind, outputs }: Inspected, { files, unread, sources }: ImageDetails): Html {
  const written = tableOf({
    label: 'Files of the build',
    columns: [
      { title: 'File' },
      { title: 'Size', isNumber: true },
      { title: 'State' },
      { title: 'Digest' },
    ],
    rows: outputs.map(({ name, size, state, digest }) => [
      name,
      size === undefined ? '' : showSize(size),
      state === 'there' ? '' : stateOf(state === 'as built', state),
      digest === undefined ? '' : codeOf(digest),
    ]),
  });
  const outputTable =
    outputs.length === 0
      ? undefined
      : markup`<h3>Files of the build</h3>
          ${written}`;
  if (files === undefined)
    return markup`<p>The contents are not shown: ${unread}.</p>
      ${outputTable}`;
  const byDirectory: SizedPath[] = [];
  const bySource: SizedPath[] = [];
  const totals = new Map<string, { bytes: number; count: number }>();
  for (const [raw, { type, size }] of files) {
    if (type !== 'file' || size === 0) continue;
    const path = Buffer.from(raw, 'latin1')
      .toString()
      .split('/')
      .filter((part) => part !== '');
    const source = shortTag(sources.get(raw) ?? OTHER);
    byDirectory.push({ path, size });
    bySource.push({ path: [source, ...path], size });
    const total = totals.get(source) ?? { bytes: 0, count: 0 };
    totals.set(source, { bytes: total.bytes + size, count: total.count + 1 });
  }
  if (byDirectory.length === 0)
    return markup`<p>The image has no files with contents.</p>
      ${outputTable}`;
  const all = byDirectory.reduce((sum, { size }) => sum + size, 0);
  const shares = tableOf({
    label: 'Sizes by package',
    columns: [
      { title: 'Package' },
      { title: 'Size', isNumber: true },
      { title: 'Files', isNumber: true },
      { title: 'Share' },
    ],
    rows: [...totals]
      .toSorted(([, a], [, b]) => b.bytes - a.bytes)
      .map(([name, { bytes, count }]) => [
        name,
        showSize(bytes),
        count,
        markup`<span
          ><meter min="0" max="1" value="${(bytes / all).toFixed(4)}"></meter> ${(
            (bytes / all) *
            100
          ).toFixed(1)} %</span
        >`,
      ]),
  });
  // In a single image, or a build of another tool, the package of a file is unknown.
  const isDivided = kind !== 'image' && sources.size > 0;
  const byPackage = {
    title: 'By package',
    tree: sizeTree('packages', bySource, { isGrouped: true }),
  };
  const byPath = { title: 'By directory', tree: sizeTree('/', byDirectory) };
  return markup`<p>
      ${showSize(all)} in ${counted(byDirectory.length, 'file')}, uncompressed. Enter opens a directory, Escape
      leaves it.
    </p>
    ${treemapOf('Sizes of files', [...(isDivided ? [byPackage] : []), byPath])}
    ${
      isDivided
        ? markup`<h3>By package</h3>
            ${shares}`
        : undefined
    }${outputTable}`;
}

function imagesOf({ images }: Inspected): Html {
  if (images.length === 0) return markup`<p>No images are known that it consists of.</p>`;
  return tableOf({
    label: 'Images',
    columns: [
      { title: 'Image' },
      { title: 'Size', isNumber: true },
      { title: 'Used by' },
      { title: 'Digest' },
    ],
    rows: images.map(({ name, size, digest, places, because }) => [
      name,
      size === undefined ? 'not in the store' : showSize(size),
      places?.join(', ') ?? (because === undefined ? '' : `accepted by the build: ${because}`),
      digest === undefined ? 'not built' : codeOf(digest),
    ]),
  });
}

function signaturesOf({ images }: Inspected, details: ImageDetails): Html {
  const { policies: required, verdicts, unverified } = details;
  const builtHere = images.filter(({ because }) => because === 'built here');
  const wasBuilt = (reference: string): boolean =>
    builtHere.some(({ digest }) => digest !== undefined && reference.endsWith(`@${digest}`));
  const notes =
    verdicts.length + unverified.length === 0
      ? markup`<p>No image was evaluated.</p>`
      : unverified.map((note) => markup`<p>Not evaluated: ${note}.</p> `);
  const policies =
    verdicts.length === 0
      ? undefined
      : tableOf({
          label: 'Policy verdicts',
          columns: [
            { title: 'Image' },
            { title: 'Verdict' },
            { title: 'Reasons and trusted signers' },
          ],
          rows: verdicts.map(({ reference, accepted, because, reasons, signatures }) => [
            reference,
            !accepted && wasBuilt(reference)
              ? markup`<span class="soft">not signed, but built by the build</span>`
              : stateOf(accepted, accepted ? (because ?? 'accepted') : 'refused'),
            listOf([...(accepted ? [] : reasons), ...signedBy(signatures)]),
          ]),
        });
  const signed = images.flatMap(({ name, signatures }) =>
    signatures.map(({ of, by }) => [name, of, by]),
  );
  const found =
    signed.length === 0
      ? markup`<p>The store has no signatures of these images.</p>`
      : tableOf({
          label: 'Signatures in the store',
          columns: [{ title: 'Image' }, { title: 'Of' }, { title: 'By, as the signature says' }],
          rows: signed,
        });
  return markup`${required.length === 0 ? undefined : rulesTable(required)}
    <h3>Policy verdicts</h3>
    <p class="soft">By the signatures in the store. No registry was asked.${
      builtHere.length === 0
        ? ''
        : ' The build used what it had built itself without signatures; a machine that has not built these images asks for them.'
    }</p>
    ${notes}${policies}
    <h3>Signatures in the store</h3>
    ${found}`;
}

/** Says what each trusted signer signed. */
function signedBy(signatures: ImageDetails['verdicts'][number]['signatures']): readonly string[] {
  const kinds = new Map<string, Set<string>>();
  for (const { predicateType, signer } of signatures) {
    const name = describeSigner(signer);
    kinds.set(name, (kinds.get(name) ?? new Set()).add(describePredicate(predicateType)));
  }
  return [...kinds].map(([name, some]) => `${[...some].toSorted().join(', ')} by ${name}`);
}

function patterns(some: TrustPolicy['required']): HtmlValue {
  return listOf(some.map(({ text }) => text));
}

/** Lists whose signatures the policies require. */
function rulesTable(policies: readonly TrustPolicy[]): Html {
  const rows = policies.flatMap(({ name, required, unsigned, rules }) => [
    ...(required.length === 0
      ? []
      : [[name, patterns(required), 'a signature by a rule, or a build here']]),
    ...(unsigned.length === 0 ? [] : [[name, patterns(unsigned), 'nothing, unless a rule does']]),
    ...rules.flatMap((rule) =>
      (
        [
          [rule.signers, 'signed by'],
          [rule.rebuilders, 'rebuilt by'],
        ] as const
      ).flatMap(([some, verb]) =>
        some === undefined
          ? []
          : [
              [
                rule.name,
                patterns(rule.images),
                markup`${verb} ${some.threshold} of: ${listOf(describeSigners(some))}`,
              ],
            ],
      ),
    ),
  ]);
  return markup`<h3>Policies</h3>
    ${tableOf({
      label: 'Policies',
      columns: [{ title: 'Rule' }, { title: 'Images' }, { title: 'Requires' }],
      rows,
    })}`;
}

function privilegesTable(privileges: readonly Privileges[]): Html {
  if (privileges.length === 0) return markup`<p>No container's spec was read.</p>`;
  return markup`<p class="soft">
      From the containers' specs. Init closes more by default, unless “allows” opens it.
    </p>
    ${tableOf({
      label: 'Privileges of containers',
      columns: [
        { title: 'Container' },
        { title: 'Capabilities' },
        { title: 'Allows' },
        { title: 'Binds and devices' },
        { title: 'Own namespaces' },
        { title: 'Runs as' },
        { title: 'Limits' },
      ],
      rows: privileges.map((one) => [
        markup`${one.container}<br /><code>${one.command.join(' ')}</code>`,
        listOf(one.capabilities),
        listOf(one.allow),
        listOf([...one.binds, ...one.devices]),
        one.namespaces.join(', '),
        listOf([
          `user ${one.user}`,
          one.isRootReadonly ? 'read-only root' : 'writable root',
          ...(one.noNewPrivileges ? ['no new privileges'] : []),
        ]),
        listOf([
          ...(one.memoryLimit === undefined ? [] : [`memory ${showSize(one.memoryLimit)}`]),
          ...(one.taskLimit === undefined ? [] : [`${one.taskLimit} tasks`]),
          ...(one.restart === undefined || one.restart === '' ? [] : [`restart ${one.restart}`]),
        ]),
      ]),
    })}`;
}

function packagesOf({ kind }: Inspected, { packages }: ImageDetails): Html {
  if (packages.length === 0) return markup`<p>There is no SBOM.</p>`;
  return tableOf({
    label: 'Packages in the SBOM',
    columns: [
      { title: 'Package' },
      { title: 'Version' },
      { title: 'Licence' },
      ...(kind === 'image' ? [] : [{ title: 'In', hasWholeWords: true }]),
      { title: 'Package URL' },
    ],
    hasSearch: true,
    rows: packages.map(({ name, version, license, images, purl }) => [
      name,
      version,
      folded(license ?? ''),
      ...(kind === 'image' ? [] : [listOf(images.map((image) => image.replace(/:[^:/]*$/, '')))]),
      purl === undefined ? '' : codeOf(purl),
    ]),
  });
}

function madeFrom({ cmdline, documents, ...first }: Inspected): Html {
  const others = otherProvenances(documents).map(
    ({ digest, parameters = {}, inputs = [] }) =>
      markup`<h3>By another provenance, ${codeOf(digest)}</h3>
        ${buildFacts({ parameters, inputs })}`,
  );
  const unreadable = (documents ?? []).flatMap(({ kind, digest, problem }) =>
    problem === undefined
      ? []
      : [markup`<p>The ${kind} ${codeOf(digest)} cannot be read: ${problem}.</p>`],
  );
  return markup`${buildFacts(first, cmdline)}${others}${unreadable}`;
}

function buildFacts(
  { inputs, parameters }: Pick<Inspected, 'inputs' | 'parameters'>,
  cmdline = '',
): Html {
  const facts: readonly (readonly [string, HtmlValue])[] = [
    ...Object.entries(parameters).flatMap(([key, value]): (readonly [string, HtmlValue])[] => {
      const text = valueText(value);
      return text === '{}' || text === '[]' ? [] : [[key, text]];
    }),
    ...(cmdline === '' ? [] : [['kernel command line', codeOf(cmdline)] as const]),
  ];
  const table = tableOf({
    label: 'Inputs',
    columns: [{ title: 'Input' }, { title: 'Digest' }],
    rows: inputs.map(({ name, digest }) => [name, codeOf(digest)]),
  });
  return markup`<dl>
      ${facts.map(
        ([name, value]) =>
          markup`<dt>${name}</dt>
            <dd>${value}</dd>`,
      )}
    </dl>
    ${inputs.length === 0 ? undefined : table}`;
}

function stateOf(isGood: boolean, text: string): Html {
  return markup`<span class="${isGood ? 'good' : 'bad'}">${isGood ? '✓' : '✗'} ${text}</span>`;
}

const MAX_SHORT_CHARS = 60;

function folded(text: string): HtmlValue {
  if (text.length <= MAX_SHORT_CHARS) return text;
  return markup`<details>
    <summary>${text.slice(0, MAX_SHORT_CHARS - 10)}…</summary>
    ${text}
  </details>`;
}
