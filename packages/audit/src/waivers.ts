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

/** A rule that need not hold for some files, and why. */
export interface Waiver {
  readonly rules: readonly (ElfRule['id'] | RootfsRule)[];
  /** Paths in the image; `/**` at the end stands for all below. */
  readonly files: readonly string[];
  /** Names of images without tag and digest, as they are written; undefined for any. */
  readonly images?: readonly string[] | undefined;
  readonly reason: string;
}

/** A rule that need not hold for some kernels, and what would break if it did. */
export interface KernelWaiver {
  readonly rules: readonly string[];
  /** Names of kernel images without tag and digest; undefined for any kernel. */
  readonly images?: readonly string[] | undefined;
  readonly reason: string;
}

export interface Waivers {
  readonly files: readonly Waiver[];
  readonly kernels: readonly KernelWaiver[];
}

/** A report of which some rules are let pass, with the reasons. */
export interface WaivedElf extends ElfReport {
  readonly waived: Readonly<Partial<Record<ElfRule['id'], string>>>;
}

export interface WaivedFinding extends Finding {
  readonly waived?: string;
}

const PATH = text().transform((path, at) => {
  if (path.startsWith('/') && !path.replace(/\/\*\*$/, '').includes('*')) return path;
  throw at.error(`"${path}" is no path of an image`, {
    fix: 'write it as /usr/bin/name, or /usr/lib/** for all below',
  });
});

const REASON = text().transform((reason, at) => {
  if (reason.trim() !== '') return reason;
  throw at.error('a waiver needs a reason', {
    fix: 'say what would break, or why it does no harm',
  });
});

const KERNEL_RULE = oneOf([...new Set(KERNEL_RULES.map(({ id }) => id))], (given) => {
  const meant = nearest(
    given,
    KERNEL_RULES.map(({ id }) => id),
  );
  return {
    problem: `"${given}" is no rule for kernels`,
    fix: meant === undefined ? 'see all: lkt audit kernel --all' : `write ${meant}`,
  };
});

const IMAGES = list(text(), { isFilled: true });

const WAIVERS = record({
  waivers: optional(
    list(
      record({
        rules: required(
          list(choice(...ELF_RULES.map(({ id }) => id), ...ROOTFS_RULES), { isFilled: true }),
          'the rules that need not hold',
        ),
        files: required(
          list(PATH, { isFilled: true }),
          'in the image; /** at the end for all below',
        ),
        images: optional(IMAGES, 'names without tag; any image without'),
        reason: required(REASON, 'why'),
      }),
    ),
    'what is let pass, and why',
  ),
  kernel: optional(
    list(
      record({
        rules: required(list(KERNEL_RULE, { isFilled: true }), 'the rules that need not hold'),
        images: optional(IMAGES, 'names of kernels without tag; any without'),
        reason: required(REASON, 'what would break'),
      }),
    ),
    'what is let pass in kernels, and why',
  ),
});

/**
 * A file of waivers.
 * @throws LktError CONFIG_INVALID with line and column
 */
export function parseWaivers(file: SourceFile): Waivers {
  const { waivers, kernel } = WAIVERS.read(parseYaml(file));
  return { files: waivers ?? [], kernels: kernel ?? [] };
}

/** What was found in a kernel, with the reasons for what is let pass. */
export function waiveKernel(
  verdicts: readonly KernelVerdict[],
  waivers: readonly KernelWaiver[],
  image?: string,
): readonly (KernelVerdict & { readonly waived?: string })[] {
  const mine = waivers.filter(
    ({ images }) => images === undefined || (image !== undefined && images.includes(image)),
  );
  return verdicts.map((verdict) => {
    const reason = verdict.holds
      ? undefined
      : mine.find(({ rules }) => rules.includes(verdict.id))?.reason;
    return reason === undefined ? verdict : { ...verdict, waived: reason };
  });
}

/** What is left of a report of an image, and what was let pass. */
export function applyWaivers<E extends ElfReport, F extends Finding>(
  { elf, findings }: { readonly elf: readonly E[]; readonly findings: readonly F[] },
  waivers: readonly Waiver[],
  image?: string,
): {
  readonly elf: readonly (E & {
    readonly waived: Readonly<Partial<Record<ElfRule['id'], string>>>;
  })[];
  readonly findings: readonly (F & { readonly waived?: string })[];
} {
  const mine = waivers.filter(
    ({ images }) => images === undefined || (image !== undefined && images.includes(image)),
  );
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

/** The rules that do not hold, and are not let pass. */
export function failedRules({ rules, waived }: WaivedElf): readonly string[] {
  return Object.entries(rules).flatMap(([id, holds]) => (holds || id in waived ? [] : [id]));
}

function reasonOf(
  waivers: readonly Waiver[],
  rule: Waiver['rules'][number],
  path: string,
): string | undefined {
  return waivers.find(
    ({ rules, files }) => rules.includes(rule) && files.some((pattern) => fits(pattern, path)),
  )?.reason;
}

function fits(pattern: string, path: string): boolean {
  return pattern.endsWith('/**') ? path.startsWith(pattern.slice(0, -2)) : path === pattern;
}
