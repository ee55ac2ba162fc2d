import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import type { ElfReport, Finding, WaivedElf, WaivedFinding, Waiver } from '@lkt/audit';
import {
  canonicalJson,
  type Digest,
  digestHex,
  digestOf,
  isErrno,
  LktError,
  mapConcurrent,
} from '@lkt/core';
import { familiarReference, parseReference, type Store } from '@lkt/oci';
import type { AuditHook, ImageAudit, ImageToAudit } from './audit-hook.ts';

/** Bump when the audit of the same files changes. */
const AUDIT_VERSION = 1;
const WAIVERS_FILE = '.audit.yml';
/** The audit of one image often waits for its layers. */
const IMAGES_AT_ONCE = 2;

/** The audit of an image before waivers, as the store keeps it. */
interface Remembered {
  readonly programs: number;
  /** Files that break a rule. */
  readonly elf: readonly ElfReport[];
  readonly findings: readonly Finding[];
  readonly until?: number;
}

export interface ImageAuditOptions {
  readonly store: Store;
  /** Directory of the config; its checkout has the waivers. */
  readonly top: string;
  /** The directory that paths in messages are relative to. */
  readonly cwd: string;
  /** Stop the build at an unwaived finding, before anything is written. */
  readonly isGate: boolean;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Returns the hook that audits the images of a build as `lkt audit image` does. The store keeps the
 * findings of an image by its digest.
 * @throws CONFIG_INVALID for invalid waivers
 */
export async function createImageAudit(options: ImageAuditOptions): Promise<AuditHook> {
  const { top, cwd, isGate, signal } = options;
  const file = waiversFile(top);
  // Reports a mistake before the build; the run uses the file as it is then.
  let read = await readWaiversAt(file, cwd);
  const running = new Map<Digest, Promise<Remembered>>();
  /** Joins the audit of the image that is running, which `prepare` may have started. */
  const audit = async (image: ImageToAudit): Promise<Remembered> => {
    const known = running.get(image.digest);
    if (known !== undefined) return known;
    const found = auditOnce(options, image).finally(() => running.delete(image.digest));
    running.set(image.digest, found);
    return found;
  };
  const run = async (images: readonly ImageToAudit[]): Promise<ImageAudit> => {
    read = await readWaiversAt(file, cwd, read);
    const known = await mapConcurrent(
      images,
      async (image) => ({ ...(await audit(image)), name: nameOf(image.full) }),
      { concurrency: IMAGES_AT_ONCE, signal },
    );
    return summarize(known, read.waivers, isGate);
  };
  const prepare = async (image: ImageToAudit): Promise<void> => {
    await audit(image);
  };
  return { prepare, run, isGate, inputs: [file] };
}

type AuditContext = Pick<ImageAuditOptions, 'store' | 'signal'>;

/** Returns the waivers file of the checkout that contains a directory. */
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

/** Returns `before` if the file still has the same text. */
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

/** Audits an image, unless the store has its findings, and stores them for later builds. */
export async function auditOnce(context: AuditContext, image: ImageToAudit): Promise<Remembered> {
  const { store } = context;
  const key = digestHex(digestOf(`audit ${AUDIT_VERSION} ${image.digest}`));
  const path = join(store.dir, 'contents', `${key}.audit`);
  const before = recall(store, path);
  if (before !== undefined && Date.now() < (before.until ?? Infinity)) {
    await store.use(path);
    return before;
  }
  const found = await auditNow(context, image);
  try {
    await store.putSealed(path, canonicalJson(found));
  } catch (error) {
    // A store that is read-only keeps nothing.
    if (!(error instanceof LktError)) throw error;
  }
  return found;
}

function recall({ sealed }: Store, path: string): Remembered | undefined {
  const text = sealed.read(path);
  return text === undefined ? undefined : (JSON.parse(text) as Remembered);
}

async function auditNow({ store, signal }: AuditContext, image: ImageToAudit): Promise<Remembered> {
  const { auditArchives } = await import('@lkt/audit');
  const tree = (await image.loadedTree())?.tree;
  const archives = image.archives({ isOnce: tree !== undefined });
  const { elf, findings, until } = await auditArchives(store, archives, { tree, signal });
  return {
    programs: elf.length,
    elf: elf.filter(({ rules }) => Object.values(rules).includes(false)),
    findings,
    until: until?.getTime(),
  };
}

function nameOf(full: string): string {
  const { domain, path } = parseReference(full);
  return familiarReference({ domain, path });
}

/** @throws LktError AUDIT_FAILED */
async function summarize(
  known: readonly (Remembered & { readonly name: string })[],
  waivers: readonly Waiver[],
  isGate: boolean,
): Promise<ImageAudit> {
  const elf: WaivedElf[] = [];
  const findings: WaivedFinding[] = [];
  // Images without findings need no waivers.
  const faulty = known.filter((image) => image.elf.length + image.findings.length > 0);
  if (faulty.length > 0) {
    const { applyWaivers } = await import('@lkt/audit/waivers');
    for (const image of faulty) {
      const left = applyWaivers(image, waivers, image.name);
      elf.push(...left.elf.map((report) => ({ ...report, path: `${image.name}:${report.path}` })));
      findings.push(...left.findings.map((one) => ({ ...one, path: `${image.name}:${one.path}` })));
    }
  }
  const { failedRules } = await import('@lkt/audit/waivers');
  const bad =
    elf.filter((report) => failedRules(report).length > 0).length +
    findings.filter(({ waived }) => waived === undefined).length;
  if (isGate && bad > 0) {
    const { ELF_RULES, requireWaived } = await import('@lkt/audit');
    requireWaived(elf, findings, ELF_RULES);
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
