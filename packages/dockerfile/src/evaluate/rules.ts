import type { Dockerfile, FromInstruction, Instruction, Stage, Warning } from '../parse/ast.ts';

/** Names of BuildKit's build checks, as used in `# check=skip=`. */
export const RULES: readonly string[] = [
  'ConsistentInstructionCasing',
  'CopyIgnoredFile',
  'DuplicateStageName',
  'ExposeInvalidFormat',
  'ExposeProtoCasing',
  'FromAsCasing',
  'FromPlatformFlagConstDisallowed',
  'InvalidBaseImagePlatform',
  'InvalidDefaultArgInFrom',
  'InvalidDefinitionDescription',
  'JSONArgsRecommended',
  'LegacyKeyValueFormat',
  'MaintainerDeprecated',
  'MultipleInstructionsDisallowed',
  'NoEmptyContinuation',
  'RedundantTargetPlatform',
  'ReservedStageName',
  'SecretsUsedInArgOrEnv',
  'StageNameCasing',
  'UndefinedArgInFrom',
  'UndefinedVar',
  'WorkdirRelativePath',
];

/** Returns the warnings about keyword casing of a file, and about its FROM instructions. */
export function fileWarnings({ stages }: Dockerfile): readonly Warning[] {
  const names = new Set<string>();
  const instructions = stages.flatMap(({ from, instructions: others }) => [from, ...others]);
  return [
    ...casingWarnings(instructions),
    ...stages.flatMap(({ from }) => {
      const warnings = fromWarnings(from, names);
      if (from.name !== undefined) names.add(from.name);
      return warnings;
    }),
  ];
}

function casingWarnings(instructions: readonly Instruction[]): readonly Warning[] {
  const written = instructions.map((instruction) => ({
    instruction,
    keyword: /^\S+/.exec(instruction.text)?.[0] ?? '',
  }));
  const lower = written.filter(({ keyword }) => keyword === keyword.toLowerCase()).length;
  const upper = written.filter(({ keyword }) => keyword === keyword.toUpperCase()).length;
  const wanted = lower > upper ? 'lower' : 'upper';
  return written
    .filter(({ keyword }) => keyword !== inCase(keyword, wanted))
    .map(({ instruction: { position }, keyword }) => ({
      position,
      text: `${keyword} is not in ${wanted} case like most instructions of the file`,
      rule: 'ConsistentInstructionCasing',
    }));
}

function inCase(text: string, wanted: 'lower' | 'upper'): string {
  return wanted === 'lower' ? text.toLowerCase() : text.toUpperCase();
}

function fromWarnings(from: FromInstruction, names: ReadonlySet<string>): readonly Warning[] {
  const { position, platform, name, text } = from;
  const warnings: Warning[] = [];
  const warn = (rule: string, message: string, at = position): void => {
    warnings.push({ position: at, text: message, rule });
  };
  const words = text.trim().split(/\s+/);
  if (name !== undefined) {
    const [keyword = '', as = '', written = ''] = [words[0], words.at(-2), words.at(-1)];
    if (written !== name)
      warn('StageNameCasing', `stage names are lower case: ${written} becomes ${name}`);
    const isEven = keyword === keyword.toLowerCase() || keyword === keyword.toUpperCase();
    const isLower = keyword === keyword.toLowerCase();
    if (isEven && as !== (isLower ? as.toLowerCase() : as.toUpperCase()))
      warn('FromAsCasing', `${keyword} and ${as} differ in case`);
    if (name === 'scratch' || name === 'context')
      warn('ReservedStageName', `"${name}" is a reserved name; rename the stage`);
    if (names.has(name))
      warn('DuplicateStageName', `an earlier stage is also named ${name}; this one hides it`);
  }
  if (platform === undefined) return warnings;
  if (/^\$(?:TARGETPLATFORM|\{TARGETPLATFORM\})$/.test(platform.text)) {
    const message = `--platform=${platform.text} is redundant: it is FROM's default`;
    warn('RedundantTargetPlatform', message, platform.position);
  }
  const [os = '', architecture = ''] = platform.text.split('/');
  const isNamed = name !== undefined && [os, architecture].some((part) => name.includes(part));
  if (!platform.text.includes('$') && !isNamed) {
    const message = `the stage is always built for ${platform.text}; write --platform=$BUILDPLATFORM, or put the platform into the stage's name`;
    warn('FromPlatformFlagConstDisallowed', message, platform.position);
  }
  return warnings;
}

const SECRET = /(?:_|^)(?:apikey|auth|credentials?|key|password|pword|passwd|secret|token)(?:_|$)/i;
const NO_SECRET = /(?:_|^)(?:public|file|version)(?:_|$)/i;

/**
 * Returns the warnings about the instructions of a stage.
 * @param file the text of the Dockerfile
 * @param hasShell whether the base image sets a shell
 */
export function stageWarnings(
  { instructions }: Stage,
  file: string,
  hasShell: boolean,
): readonly Warning[] {
  return [
    ...commandWarnings(instructions, hasShell),
    ...workdirWarnings(instructions),
    ...instructions.flatMap((instruction) => [
      ...secretWarnings(instruction),
      ...oldFormWarnings(instruction, file),
    ]),
  ];
}

function commandWarnings(
  instructions: readonly Instruction[],
  hasShell: boolean,
): readonly Warning[] {
  const warnings: Warning[] = [];
  const last = new Map<string, Instruction>();
  let isShellSet = hasShell;
  for (const instruction of instructions) {
    const { keyword, position } = instruction;
    if (keyword === 'SHELL') isShellSet = true;
    if (keyword !== 'CMD' && keyword !== 'ENTRYPOINT' && keyword !== 'HEALTHCHECK') continue;
    const before = last.get(keyword);
    if (before !== undefined) {
      const text = `only the last ${keyword} of a stage takes effect`;
      warnings.push({ position: before.position, text, rule: 'MultipleInstructionsDisallowed' });
    }
    last.set(keyword, instruction);
    if (keyword === 'HEALTHCHECK' || instruction.command.form === 'exec' || isShellSet) continue;
    const text = `a program started by a shell receives no signals; write ${keyword} ["program", "argument"]`;
    warnings.push({ position, text, rule: 'JSONArgsRecommended' });
  }
  return warnings;
}

/** Checks only the first WORKDIR: later relative ones resolve against it. */
function workdirWarnings(instructions: readonly Instruction[]): readonly Warning[] {
  const first = instructions.find(({ keyword }) => keyword === 'WORKDIR');
  if (first?.keyword !== 'WORKDIR' || /^["']?[/$]/.test(first.path.text)) return [];
  const { text, position } = first.path;
  const message = `${text} is relative to the working directory of the base image, which may change; start it with /`;
  return [{ position, text: message, rule: 'WorkdirRelativePath' }];
}

function secretWarnings(instruction: Instruction): readonly Warning[] {
  const { keyword, position: start } = instruction;
  const names =
    keyword === 'ARG'
      ? instruction.args.map(({ name }) => ({ name, position: start }))
      : keyword === 'ENV'
        ? instruction.pairs.map(({ name: { text, position } }) => ({ name: text, position }))
        : [];
  return names
    .filter(({ name }) => SECRET.test(name) && !NO_SECRET.test(name))
    .map(({ name, position }) => ({
      position,
      text: `${keyword} ${name} looks like a secret, and the image or its provenance reveals it; use RUN --mount=type=secret`,
      rule: 'SecretsUsedInArgOrEnv',
    }));
}

function oldFormWarnings(instruction: Instruction, file: string): readonly Warning[] {
  const { keyword } = instruction;
  if (keyword === 'MAINTAINER') {
    const text = 'MAINTAINER is deprecated; write LABEL org.opencontainers.image.authors=…';
    return [{ position: instruction.position, text, rule: 'MaintainerDeprecated' }];
  }
  if (keyword !== 'ENV' && keyword !== 'LABEL') return [];
  return instruction.pairs.flatMap(({ name: { offset, length, position, text: name } }) => {
    // The legacy form has a blank between name and value.
    if (file[offset + length] === '=') return [];
    const text = `"${keyword} ${name} value" is the legacy form; write ${keyword} ${name}=value`;
    return [{ position, text, rule: 'LegacyKeyValueFormat' }];
  });
}
