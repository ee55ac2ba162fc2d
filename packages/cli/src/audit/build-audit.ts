import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import type { ElfReport, Finding, Waiver } from '@lkt/audit';
import { canonicalJson, digestHex, digestOf, isErrno, LktError } from '@lkt/core';
import type { AuditHook, ImageAudit, ImageToAudit } from '@lkt/image';
import type { Store } from '@lkt/oci';
import type { WaivedElf, WaivedFinding } from '../output/audit-report.ts';
import type { Session } from '../session/session.ts';
import { Flags } from '../flags/options.ts';

/** Bump when an audit finds something else in the same files. */
const AUDIT_VERSION = 1;
const WAIVERS_FILE = '.audit.yml';

export const buildAuditFlags = {
  audit: Flags.boolean({
    summary:
      'look for programs without hardening, and for what should not be in an image; the default',
    allowNo: true,
    default: true,
  }),
  strict: Flags.boolean({
    summary: 'write nothing if that finds something which .audit.yml does not let pass',
  }),
};

/** What is known of an image, and kept in the store: what is wrong with it, whoever lets it pass. */
interface Remembered {
  readonly programs: number;
  /** Those of which not all rules hold. */
  readonly elf: readonly ElfReport[];
  readonly findings: readonly Finding[];
  readonly until?: number;
}

/**
 * What `lkt audit image` does, of what a build puts together. An image is looked at once: by its digest, the store
 * remembers what was found.
 * @param top where the config is
 * @throws LktError USAGE_INVALID; CONFIG_INVALID for waivers with a mistake
 */
export async function buildAudit(
  session: Session,
  store: Store,
  top: string,
  { audit, strict }: { readonly audit: boolean; readonly strict: boolean },
): Promise<{ readonly audit?: AuditHook }> {
  if (!audit && strict)
    throw new LktError('USAGE_INVALID', '--strict has nothing to say with --no-audit');
  if (!audit) return {};
  const file = waiversFile(top);
  // A mistake in it is told of before anything is built; what counts is what it says then.
  let read = await readWaiversAt(file, session.environment.cwd);
  const run = async (images: readonly ImageToAudit[]): Promise<ImageAudit> => {
    read = await readWaiversAt(file, session.environment.cwd, read);
    const known: (Remembered & { readonly name: string })[] = [];
    for (const image of images)
      known.push({ ...(await lookedAt(session, store, image)), name: await nameOf(image.full) });
    return judge(known, read.waivers, strict);
  };
  return { audit: { run, isGate: strict, inputs: [file] } };
}

/** Looks at an image, for the builds that have it. */
export async function rememberAudit(
  session: Session,
  store: Store,
  image: ImageToAudit,
): Promise<void> {
  await lookedAt(session, store, image);
}

/** One line for people. */
export function auditLine({ images, programs, bad, waived }: ImageAudit): string {
  const passed = waived === 0 ? '' : `, ${waived} let pass`;
  const found = bad === 0 ? 'nothing found' : `${bad} found, which lkt audit image lists`;
  return `audit  ${images} images, ${programs} programs: ${found}${passed}`;
}

/** Of the checkout that a directory is in. */
function waiversFile(top: string): string {
  for (let dir = top; ; dir = dirname(dir)) {
    if (existsSync(join(dir, '.git'))) return join(dir, WAIVERS_FILE);
    if (dir === dirname(dir)) return join(top, WAIVERS_FILE);
  }
}

interface ReadWaivers {
  readonly text: string | undefined;
  readonly waivers: readonly Waiver[];
}

/** @param before what was read of it before; it stays where the file is the same */
async function readWaiversAt(
  path: string,
  cwd: string,
  before?: ReadWaivers,
): Promise<ReadWaivers> {
  const text = textOf(path);
  if (before !== undefined && before.text === text) return before;
  if (text === undefined) return { text, waivers: [] };
  const { parseWaivers } = await import('@lkt/audit/waivers');
  const short = relative(cwd, path);
  const file = { path: short.startsWith('..') ? path : short, text };
  return { text, waivers: parseWaivers(file).files };
}

function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    if (isErrno(cause, 'ENOENT', 'ENOTDIR')) return undefined;
    throw new LktError('IO_FAILED', `${path} cannot be read`, { cause });
  }
}

async function lookedAt(session: Session, store: Store, image: ImageToAudit): Promise<Remembered> {
  const key = digestHex(digestOf(`audit ${AUDIT_VERSION} ${image.digest}`));
  const path = join(store.dir, 'contents', `${key}.audit`);
  const before = recall(path);
  if (before !== undefined && Date.now() < (before.until ?? Infinity)) {
    await store.use(path);
    return before;
  }
  const found = await lookAt(session, store, image);
  try {
    await store.putFile(path, canonicalJson(found));
  } catch (error) {
    // A store that cannot be written to remembers nothing.
    if (!(error instanceof LktError)) throw error;
  }
  return found;
}

function recall(path: string): Remembered | undefined {
  const text = textOf(path);
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text) as Remembered;
  } catch {
    // A crash has cut it off.
    return undefined;
  }
}

async function lookAt(session: Session, store: Store, image: ImageToAudit): Promise<Remembered> {
  const { auditFiles } = await import('@lkt/audit');
  const { flattenArchives, readArchives } = await import('@lkt/oci');
  const archives = image.archives();
  const tree = await flattenArchives(archives);
  await using scratch = await store.tempDir();
  const { elf, findings, until } = await auditFiles(
    { nodes: tree.walk(), contents: readArchives(archives, tree, () => true) },
    { scratch: scratch.path, now: new Date(), signal: session.signal },
  );
  return {
    programs: elf.length,
    elf: elf.filter(({ rules }) => Object.values(rules).includes(false)),
    findings,
    until: until?.getTime(),
  };
}

async function nameOf(full: string): Promise<string> {
  const { familiarReference, parseReference } = await import('@lkt/oci');
  const { domain, path } = parseReference(full);
  return familiarReference({ domain, path });
}

/** @throws LktError AUDIT_FAILED */
async function judge(
  known: readonly (Remembered & { readonly name: string })[],
  waivers: readonly Waiver[],
  isGate: boolean,
): Promise<ImageAudit> {
  const elf: WaivedElf[] = [];
  const findings: WaivedFinding[] = [];
  // What has no faults needs no rules.
  const faulty = known.filter((image) => image.elf.length + image.findings.length > 0);
  if (faulty.length > 0) {
    const { applyWaivers } = await import('@lkt/audit/waivers');
    for (const image of faulty) {
      const left = applyWaivers(image, waivers, image.name);
      elf.push(...left.elf.map((report) => ({ ...report, path: `${image.name}:${report.path}` })));
      findings.push(...left.findings.map((one) => ({ ...one, path: `${image.name}:${one.path}` })));
    }
  }
  const { failedRules, judgeAudit } = await import('../output/audit-report.ts');
  const bad =
    elf.filter((report) => failedRules(report).length > 0).length +
    findings.filter(({ waived }) => waived === undefined).length;
  if (isGate && bad > 0) {
    const { ELF_RULES } = await import('@lkt/audit');
    judgeAudit(elf, findings, ELF_RULES);
  }
  const ends = known.flatMap(({ until }) => (until === undefined ? [] : [until]));
  return {
    images: known.length,
    programs: known.reduce((sum, { programs }) => sum + programs, 0),
    bad,
    waived: elf.length + findings.length - bad,
    until: ends.length === 0 ? undefined : Math.min(...ends),
  };
}
