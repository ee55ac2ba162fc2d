import type { Dockerfile, FromInstruction, Instruction, Stage, Warning } from '../parse/ast.ts';

/** The checks of BuildKit by their names: what `# check=skip=` can name. */
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

/** What the instructions of a whole file do not agree on, and names of stages that mislead. */
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
  const [wanted, how] =
    lower > upper ? (['lower', keepLower] as const) : (['upper', keepUpper] as const);
  return written
    .filter(({ keyword }) => keyword !== how(keyword))
    .map(({ instruction: { position }, keyword }) => ({
      position,
      text: `${keyword} is not in ${wanted} case, as most instructions of the file are`,
      rule: 'ConsistentInstructionCasing',
    }));
}

function keepLower(text: string): string {
  return text.toLowerCase();
}

function keepUpper(text: string): string {
  return text.toUpperCase();
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
    if (written !== name) warn('StageNameCasing', `the stage ${written} is called ${name}`);
    const isEven = keyword === keyword.toLowerCase() || keyword === keyword.toUpperCase();
    const isLower = keyword === keyword.toLowerCase();
    if (isEven && as !== (isLower ? as.toLowerCase() : as.toUpperCase()))
      warn('FromAsCasing', `${keyword} and ${as} are not written alike`);
    if (name === 'scratch' || name === 'context')
      warn('ReservedStageName', `"${name}" means something else than a stage already`);
    if (names.has(name))
      warn(
        'DuplicateStageName',
        `a stage before this one is called ${name} too, and cannot be named any more`,
      );
  }
  if (platform === undefined) return warnings;
  if (/^\$(?:TARGETPLATFORM|\{TARGETPLATFORM\})$/.test(platform.text)) {
    const said = `--platform=${platform.text} says what FROM does anyway`;
    warn('RedundantTargetPlatform', said, platform.position);
  }
  const [os = '', architecture = ''] = platform.text.split('/');
  const isNamed = name !== undefined && [os, architecture].some((part) => name.includes(part));
  if (!platform.text.includes('$') && !isNamed) {
    const said = `the stage is for ${platform.text} whatever is built for; write --platform=$BUILDPLATFORM, or AS a name that says so`;
    warn('FromPlatformFlagConstDisallowed', said, platform.position);
  }
  return warnings;
}

const SECRET = /(?:_|^)(?:apikey|auth|credentials?|key|password|pword|passwd|secret|token)(?:_|$)/i;
const NO_SECRET = /(?:_|^)(?:public|file|version)(?:_|$)/i;

/**
 * What instructions of a stage are better written otherwise.
 * @param file the whole text
 * @param hasShell whether the base says what the shell is
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
      const text = `only the last ${keyword} of a stage counts`;
      warnings.push({ position: before.position, text, rule: 'MultipleInstructionsDisallowed' });
    }
    last.set(keyword, instruction);
    if (keyword === 'HEALTHCHECK' || instruction.command.form === 'exec' || isShellSet) continue;
    const text = `the program gets no signals from behind a shell; write ${keyword} ["program", "argument"]`;
    warnings.push({ position, text, rule: 'JSONArgsRecommended' });
  }
  return warnings;
}

/** Of the first WORKDIR alone: those after it are as sure as it is. */
function workdirWarnings(instructions: readonly Instruction[]): readonly Warning[] {
  const first = instructions.find(({ keyword }) => keyword === 'WORKDIR');
  if (first?.keyword !== 'WORKDIR' || /^["']?[/$]/.test(first.path.text)) return [];
  const { text, position } = first.path;
  const said = `${text} is below the working directory of the base, which may change; begin it with /`;
  return [{ position, text: said, rule: 'WorkdirRelativePath' }];
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
      text: `${keyword} ${name} seems to be a secret, and who has the image or its provenance can read it; use RUN --mount=type=secret`,
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
    // In the old form there is a blank between name and value.
    if (file[offset + length] === '=') return [];
    const text = `"${keyword} ${name} value" is the old form; write ${keyword} ${name}=value`;
    return [{ position, text, rule: 'LegacyKeyValueFormat' }];
  });
}
