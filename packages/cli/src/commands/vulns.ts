import { writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { LktError } from '@lkt/core';
import type { PackageUpdate } from '@lkt/debian';
import type { Ecosystem, Finding, SbomPackage } from '@lkt/vulns';
import { LktCommand } from '../command.ts';
import { choiceFlag, listFlag, optionalArgs, switchFlag, valueFlag } from '../flags/options.ts';
import { platformFlag } from '../flags/platform.ts';
import { type TrustFlags, trustFlags } from '../flags/trust.ts';
import { columns, counted, section } from '../output/lines.ts';
import { printable } from '../output/printable.ts';
import { subjectsOf } from '../targets/sboms.ts';
import { archiveUpdates } from '../session/vulnerabilities/security-archive.ts';
import type { Session } from '../session/session.ts';
import { vexStatements } from '../session/vulnerabilities/vex.ts';
import {
  loadDatabases,
  updateDatabases,
  type UsedDatabase,
} from '../session/vulnerabilities/vulnerability-databases.ts';

interface Result {
  readonly databases: readonly UsedDatabase[];
  /** Number of packages that were looked up. */
  readonly packages: number;
  /** Package URLs of types and releases that the databases do not cover. */
  readonly uncovered: readonly string[];
  /** Names, with versions, of components without a package URL. */
  readonly unidentified: readonly string[];
  readonly vulnerabilities: readonly Finding[];
  /** With `--security-archive`. */
  readonly updates?: readonly PackageUpdate[];
}

interface Settings extends TrustFlags {
  readonly db: string[] | undefined;
  readonly 'fail-on': (typeof THRESHOLDS)[number];
  readonly platform: string;
  readonly sarif: string | undefined;
  readonly update: boolean;
  readonly vex: string[] | undefined;
}

const NOTHING = { uncovered: [], unidentified: [], vulnerabilities: [] };

const THRESHOLDS = ['low', 'medium', 'high', 'critical', 'none'] as const;

export class Vulns extends LktCommand {
  static override summary = 'List known vulnerabilities of images';
  static override description = `Looks up the packages of SBOMs in databases: those of Debian and Alpine, Go modules, npm packages, crates and Linux kernels. Exits with 1 if a vulnerability is at least as severe as --fail-on, or of unknown severity, and no VEX document excludes it (docs/vulns.md).`;
  static override examples = [
    '<%= config.bin %> vulns --update examples/sshd.yml',
    '<%= config.bin %> vulns --db debian.json --fail-on high pkg/sshd',
    '<%= config.bin %> vulns --security-archive sshd-sbom.spdx.json',
  ];
  static override args = {
    target: optionalArgs(
      'image config, package directory, reference in the store, or SBOM file ending in .json',
    ),
  };
  static override flags = {
    db: listFlag(
      'PATH',
      "database to use instead: the JSON of Debian's security tracker, or OSV records as a file, directory or zip archive",
    ),
    'fail-on': choiceFlag(THRESHOLDS, 'lowest severity that makes the command fail', {
      default: 'low',
    }),
    ...platformFlag,
    ...trustFlags,
    sarif: valueFlag('FILE', 'also write SARIF, for code hosts'),
    'security-archive': switchFlag(
      "list packages with an update in Debian's signed archive instead, without a database",
    ),
    update: switchFlag(
      'fetch the databases of the packages first; without TARGET, those fetched before',
    ),
    vex: listFlag('FILE', 'OpenVEX document; default: .vex.json at the top of the checkout'),
  };

  async run(): Promise<Result> {
    const { args, flags } = await this.parse(Vulns);
    const targets = args.target ?? [];
    const session = await this.begin(flags);
    if (targets.length === 0 && !flags.update)
      throw new LktError('USAGE_INVALID', 'TARGET is missing', {
        fix: 'name an image config, a package directory, an image or an SBOM file',
      });
    if (targets.length === 0)
      return { databases: await updateDatabases(session, undefined), packages: 0, ...NOTHING };
    return flags['security-archive']
      ? this.#securityUpdates(session, targets, flags)
      : this.#vulnerabilities(session, targets, flags);
  }

  async #securityUpdates(
    session: Session,
    targets: readonly string[],
    settings: Settings,
  ): Promise<Result> {
    const { platform } = settings;
    const { subjects, ...found } = await subjectsOf(session, targets, settings);
    const all = distinct(subjects.flatMap((subject) => subject.packages));
    if (settings.update) await updateDatabases(session, ecosystemsOf(all));
    const [, architecture = ''] = platform.split('/');
    const { updates, unknown } = await archiveUpdates(session, all, architecture);
    const others = { ...found, uncovered: [...found.uncovered, ...unknown].toSorted() };
    const packages = all.length - unknown.length;
    const result = { ...NOTHING, databases: [], packages, ...others, updates };
    this.endProgress();
    const rows = updates.map(({ name, version, newest }) => [name, version, `update: ${newest}`]);
    for (const line of columns(rows)) this.log(printable(line));
    this.log(`${counted(packages, 'package')} looked up in the archive`);
    this.#showOthers(others);
    if (settings['fail-on'] !== 'none') requireCovered(result);
    if (updates.length === 0) return result;
    throw new LktError('VULNERABLE', `${counted(updates.length, 'security update')} available`, {
      fix: 'update the lock files: lkt update --security',
      report: result,
    });
  }

  async #vulnerabilities(
    session: Session,
    targets: readonly string[],
    settings: Settings,
  ): Promise<Result> {
    const { AdvisoryIndex, evaluate, failing } = await import('@lkt/vulns');
    const statements = await vexStatements(session, settings.vex);
    const { subjects, ...found } = await subjectsOf(session, targets, settings);
    const packages = subjects.flatMap((subject) => subject.packages);
    const all = distinct(packages);
    const wanted = ecosystemsOf(all);
    if (settings.update) await updateDatabases(session, wanted);
    const advisories = new AdvisoryIndex(packages);
    const databases = await loadDatabases(session, settings.db ?? [], wanted, advisories);
    const missing = all.filter((item) => !advisories.covers(item)).map(({ purl }) => purl);
    const others = { ...found, uncovered: [...found.uncovered, ...missing].toSorted() };
    const vulnerabilities = evaluate(subjects, advisories, statements);
    if (settings.sarif !== undefined)
      await writeSarif(
        resolve(session.environment.cwd, settings.sarif),
        vulnerabilities,
        Object.values(others).flat(),
      );
    const count = all.length - missing.length;
    const result = { databases, packages: count, ...others, vulnerabilities };
    this.endProgress();
    for (const { name } of subjects) this.#show(name, vulnerabilities);
    const where = databases.length === 0 ? '' : ` in ${databases.map(titleOf).join(', ')}`;
    this.log(`${counted(count, 'package')} looked up${where}`);
    this.#showOthers(others);
    const threshold = settings['fail-on'];
    if (threshold !== 'none') requireCovered(result);
    const stopped = threshold === 'none' ? [] : failing(vulnerabilities, threshold);
    if (stopped.length === 0) return result;
    throw new LktError('VULNERABLE', `${counted(stopped.length, 'vulnerability')} found`, {
      fix: 'update the packages, or state in a VEX document why they are not affected',
      report: result,
    });
  }

  #show(subject: string, vulnerabilities: readonly Finding[]): void {
    const rows = vulnerabilities.filter((one) => one.subject === subject).map(rowOf);
    for (const line of section(subject, columns(rows))) this.log(printable(line));
  }

  #showOthers({ uncovered, unidentified }: Pick<Result, 'uncovered' | 'unidentified'>): void {
    if (uncovered.length > 0) this.log(`not looked up: ${firstOf(uncovered)}`);
    if (unidentified.length > 0)
      this.log(`not looked up, without package URL: ${firstOf(unidentified)}`);
  }
}

/** @throws LktError UNSUPPORTED for a result that says nothing about the components */
function requireCovered(result: Result): void {
  const { packages, uncovered, unidentified } = result;
  if (packages > 0 || uncovered.length + unidentified.length === 0) return;
  throw new LktError('UNSUPPORTED', 'no component of the SBOM can be looked up', {
    fix: 'use a scanner that knows them, or accept it: --fail-on none',
    report: result,
  });
}

/** Components that are named in the text; `--json` has all. */
const MAX_SHOWN = 3;

function firstOf(titles: readonly string[]): string {
  const more = titles.length - MAX_SHOWN;
  const shown = titles.slice(0, MAX_SHOWN).join(', ');
  return printable(more > 0 ? `${shown} and ${more} more` : shown);
}

function titleOf(database: UsedDatabase): string {
  if ('path' in database) return database.path;
  return `${database.name} (fetched ${database.fetched.slice(0, 10)})`;
}

function distinct(packages: readonly SbomPackage[]): readonly SbomPackage[] {
  return new Map(packages.map((item) => [item.purl, item])).values().toArray();
}

function ecosystemsOf(packages: readonly SbomPackage[]): ReadonlySet<Ecosystem> {
  return new Set(packages.map(({ ecosystem }) => ecosystem));
}

function rowOf(finding: Finding): readonly string[] {
  const { id, severity, package: item, fixed, negligible, vex } = finding;
  const state = fixed === undefined ? 'no fix' : `fixed in ${fixed}`;
  const note =
    vex === undefined ? (negligible ? 'negligible' : '') : `${vex.status}: ${vex.reason}`;
  return [severity, id, item.name, item.version, state, note];
}

async function writeSarif(
  path: string,
  findings: readonly Finding[],
  notLookedUp: readonly string[],
): Promise<void> {
  const { sarifOf } = await import('@lkt/vulns');
  const { default: packageJson } = await import('../../package.json', { with: { type: 'json' } });
  const log = sarifOf(findings, packageJson.version, notLookedUp);
  await writeFile(path, `${JSON.stringify(log, undefined, 2)}\n`);
}
