import {
  choice,
  list,
  nearest,
  oneOf,
  parseYaml,
  record,
  required,
  optional,
  type SourceFile,
  text,
} from '@lkt/core';
import { ELF_RULES, type ElfRule } from './elf/rules.ts';
import { type Finding, ROOTFS_RULES, type RootfsRule } from './rootfs/rules.ts';
import type { ElfReport } from './elf/audit-elf.ts';
import { KERNEL_RULES, type KernelVerdict } from './kernel/audit-kernel.ts';

/** The fix of a failed audit. */
export const WAIVER_FIX: string = 'correct it, or add a waiver with a reason to .audit.yml';

/** Rules that need not hold for some kernels, with the reason. */
export interface KernelWaiver {
  readonly rules: readonly string[];
  /** Image names without tag and digest, as written; undefined for any image. */
  readonly images?: readonly string[] | undefined;
  readonly reason: string;
}

/** Rules that need not hold for some files, with the reason. */
export interface Waiver extends KernelWaiver {
  readonly rules: readonly (ElfRule['id'] | RootfsRule)[];
  /** Paths in the image; `/**` at the end matches everything below. */
  readonly files: readonly string[];
}

/** The waivers of a file. */
export interface Waivers {
  readonly files: readonly Waiver[];
  readonly kernels: readonly KernelWaiver[];
}

/** A report on an ELF file, with the reasons of its waivers. */
export interface WaivedElf extends ElfReport {
  readonly waived: Readonly<Partial<Record<ElfRule['id'], string>>>;
}

/** A finding, with the reason of its waiver. */
export interface WaivedFinding extends Finding {
  readonly waived?: string;
}

const PATH = text().transform((path, at) => {
  if (path.startsWith('/') && !path.replace(/\/\*\*$/, '').includes('*')) return path;
  throw at.error(`"${path}" is not a path in an image`, {
    fix: 'write it as /usr/bin/name, or /usr/lib/** for all below',
  });
});

const REASON = text().transform((reason, at) => {
  if (reason.trim() !== '') return reason;
  throw at.error('a waiver needs a reason', {
    fix: 'state what would break, or why it does no harm',
  });
});

const KERNEL_RULE_IDS = [...new Set(KERNEL_RULES.map(({ id }) => id))];

const KERNEL_RULE = oneOf(KERNEL_RULE_IDS, (name) => {
  const meant = nearest(name, KERNEL_RULE_IDS);
  return {
    problem: `"${name}" is not a kernel rule`,
    fix: meant === undefined ? 'run lkt audit kernel --all for a list' : `write ${meant}`,
  };
});

const IMAGES = list(text(), { isFilled: true });

const WAIVERS = record({
  waivers: optional(
    list(
      record({
        rules: required(
          list(choice(...ELF_RULES.map(({ id }) => id), ...ROOTFS_RULES), { isFilled: true }),
          'rules that need not hold',
        ),
        files: required(
          list(PATH, { isFilled: true }),
          'paths in the image; /** at the end matches all below',
        ),
        images: optional(IMAGES, 'image names without tag; default: any image'),
        reason: required(REASON, 'reason'),
      }),
    ),
    'accepted findings',
  ),
  kernel: optional(
    list(
      record({
        rules: required(list(KERNEL_RULE, { isFilled: true }), 'rules that need not hold'),
        images: optional(IMAGES, 'kernel image names without tag; default: any kernel'),
        reason: required(REASON, 'what would break'),
      }),
    ),
    'accepted findings about kernels',
  ),
});

/**
 * Parses a file of waivers.
 * @throws CONFIG_INVALID with line and column
 */
export function parseWaivers(file: SourceFile): Waivers {
  const { waivers, kernel } = WAIVERS.read(parseYaml(file));
  return { files: waivers ?? [], kernels: kernel ?? [] };
}

/** Returns the verdicts, with the reasons of waivers for rules that do not hold. */
export function waiveKernel(
  verdicts: readonly KernelVerdict[],
  waivers: readonly KernelWaiver[],
  image?: string,
): readonly (KernelVerdict & { readonly waived?: string })[] {
  const mine = waiversOf(waivers, image);
  return verdicts.map((verdict) => {
    const reason = verdict.holds
      ? undefined
      : mine.find(({ rules }) => rules.includes(verdict.id))?.reason;
    return reason === undefined ? verdict : { ...verdict, waived: reason };
  });
}

/**
 * Returns the report, with the reasons of waivers for its findings.
 * @param image name of the image without tag, for waivers limited to images
 */
export function applyWaivers(
  { elf, findings }: { readonly elf: readonly ElfReport[]; readonly findings: readonly Finding[] },
  waivers: readonly Waiver[],
  image?: string,
): { readonly elf: readonly WaivedElf[]; readonly findings: readonly WaivedFinding[] } {
  const mine = waiversOf(waivers, image);
  return {
    elf: elf.map((report) => {
      const waived: Partial<Record<ElfRule['id'], string>> = {};
      for (const { id } of ELF_RULES) {
        const reason = report.rules[id] === false ? reasonOf(mine, id, report.path) : undefined;
        if (reason !== undefined) waived[id] = reason;
      }
      return { ...report, waived };
    }),
    findings: findings.map((finding) => {
      const reason = reasonOf(mine, finding.rule, finding.path);
      return reason === undefined ? finding : { ...finding, waived: reason };
    }),
  };
}

/** Returns the waivers for an image: those that name it, and those for any image. */
function waiversOf<W extends KernelWaiver>(
  waivers: readonly W[],
  image: string | undefined,
): readonly W[] {
  return waivers.filter(
    ({ images }) => images === undefined || (image !== undefined && images.includes(image)),
  );
}

/** Returns the rules that do not hold and are not waived. */
export function failedRules({ rules, waived }: WaivedElf): readonly string[] {
  return Object.entries(rules).flatMap(([id, holds]) => (holds || id in waived ? [] : [id]));
}

function reasonOf(
  waivers: readonly Waiver[],
  rule: Waiver['rules'][number],
  path: string,
): string | undefined {
  return waivers.find(
    ({ rules, files }) =>
      rules.includes(rule) && files.some((pattern) => matchesPattern(pattern, path)),
  )?.reason;
}

function matchesPattern(pattern: string, path: string): boolean {
  return pattern.endsWith('/**') ? path.startsWith(pattern.slice(0, -2)) : path === pattern;
}
