import type { UpdatedPackage, UpdateReport } from '@lkt/image';
import type { ContainerChange } from '@lkt/inspect';
import { valueLine } from './diff-report.ts';
import { columns, section } from './lines.ts';
import { lockUpdateLines } from './lock-updates.ts';
import { printable } from './printable.ts';

/** The containers of an image config whose images changed. */
export interface ConfigContainers {
  /** The config as shown to the user. */
  readonly file: string;
  readonly containers: readonly ContainerChange[];
}

/** An update, with what the containers of the image configs may do now. */
export interface UpdateSummary extends Omit<UpdateReport, 'configs'> {
  readonly configs: readonly ConfigContainers[];
}

/** Returns the summary as lines. */
export function updateLines(summary: UpdateSummary): readonly string[] {
  const { isDryRun, packages, affected, pins, configs, left } = summary;
  const privileges = privilegesOf(configs);
  return [
    ...section('packages', columns(packages.map(packageRow))),
    ...section('kernel', kernelLines(summary)),
    ...section(isDryRun ? 'to build' : 'built', affected),
    ...section('pins', countsOf(pins.map(({ file }) => file))),
    ...section(
      'privileges',
      privileges.length > 0 || isDryRun || affected.length === 0 ? privileges : ['unchanged'],
    ),
    ...(left.length === 0 ? [] : ['left']),
    ...lockUpdateLines(left).map((line) => `  ${line}`),
    ...(packages.length + affected.length + pins.length === 0 ? ['nothing to update'] : []),
  ].map(printable);
}

/** Returns the summary as GitHub-flavoured Markdown, for a pull request. */
export function updateMarkdown(summary: UpdateSummary): string {
  const { isDryRun, packages, affected, pins, configs, left } = summary;
  const privileges = privilegesOf(configs);
  const blocks = [
    packages.length === 0 ? ['No Debian package changed.'] : packageTable(packages),
    listOf('Kernel', kernelLines(summary)),
    listOf(isDryRun ? 'To build' : 'Built', affected),
    listOf('Pins', countsOf(pins.map(({ file }) => file))),
    affected.length === 0 || isDryRun
      ? []
      : listOf('Changed privileges', privileges.length === 0 ? ['none'] : privileges),
    listOf(
      'Left',
      left.flatMap(({ file, updates }) =>
        updates.map(({ name, version, newest }) => `${file}: ${name} ${version} → ${newest}`),
      ),
    ),
  ];
  return `${blocks
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.map(printable).join('\n'))
    .join('\n\n')}\n`;
}

/** Returns a table of changed Debian packages. */
export function packageTable(packages: readonly UpdatedPackage[]): readonly string[] {
  const rows = packages.map((item) => {
    const [name = '', from = '', to = '', fixes = ''] = packageRow(item);
    return `| ${[name, from, to, fixes].map(escaped).join(' | ')} |`;
  });
  return ['| package | from | to | fixes |', '| --- | --- | --- | --- |', ...rows];
}

/** Returns the columns of a changed Debian package: names, versions and what the update fixes. */
export function packageRow(item: UpdatedPackage): readonly string[] {
  const { source, names, from = '', to = '', isSecurity, vulnerabilities } = item;
  const others = names.filter((name) => name !== source);
  const fixes =
    vulnerabilities?.map(({ id, severity }) =>
      severity === 'unknown' ? id : `${id} (${severity})`,
    ) ?? [];
  return [
    others.length === 0 ? source : `${source}: ${others.join(' ')}`,
    from === '' ? 'new' : from,
    to === '' ? 'removed' : to,
    fixes.length > 0 ? fixes.join(' ') : isSecurity ? 'security, none named' : '',
  ];
}

function kernelLines({ kernel }: UpdateSummary): readonly string[] {
  return kernel.flatMap(linesOfKernel);
}

function linesOfKernel(kernel: UpdateSummary['kernel'][number]): readonly string[] {
  const { source, from, to = '', file } = kernel;
  const configs = 'configs' in kernel ? kernel.configs : [];
  return [
    `${source} ${from} → ${to} (${file})`,
    ...configs.flatMap(({ name, changes }) => {
      if (changes === undefined) return [`${name}: not compared, the earlier source is gone`];
      const { gained, lost, changed, offered } = changes;
      return [
        ...gained.map(({ symbol, value }) => `${name}: + CONFIG_${symbol}=${value}`),
        ...lost.map(({ symbol, value }) => `${name}: - CONFIG_${symbol}=${value}`),
        ...changed.map((one) => `${name}: ~ CONFIG_${one.symbol}=${one.from} → ${one.to}`),
        ...offered.map((symbol) => `${name}: ? CONFIG_${symbol}`),
      ];
    }),
  ];
}

/** Returns a line for each changed value, and for each container that could not be compared. */
function privilegesOf(configs: readonly ConfigContainers[]): readonly string[] {
  return configs.flatMap(({ file, containers }) =>
    containers.flatMap(({ container, before, changes }) =>
      changes === undefined
        ? [`${file}: ${container}: not compared, the store lacks ${before}`]
        : changes.map((change) => `${file}: ${container}: ${valueLine(change)}`),
    ),
  );
}

/** Returns each file once, with the number of its changes. */
export function countsOf(files: readonly string[]): readonly string[] {
  return [...Map.groupBy(files, (file) => file)].map(([file, all]) =>
    all.length === 1 ? file : `${file} (${all.length})`,
  );
}

/** Returns a list with a title; nothing without lines. */
export function listOf(title: string, lines: readonly string[]): readonly string[] {
  return lines.length === 0
    ? []
    : [`**${title}**`, '', ...lines.map((line) => `- ${escaped(line)}`)];
}

/** Escapes what Markdown would format (CommonMark 0.31, §2.4), and mentions of users. */
function escaped(text: string): string {
  return text.replaceAll(/[\\`*_|<>[\]~@#]/g, String.raw`\$&`);
}
