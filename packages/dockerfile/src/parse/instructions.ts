import { type LktError, nearest } from '@lkt/core';
import type {
  Command,
  CopyInstruction,
  FromInstruction,
  HealthcheckInstruction,
  Instruction,
  Keyword,
  RunInstruction,
  Word,
} from './ast.ts';
import { parseDuration } from './duration.ts';
import { FlagReader } from './flags.ts';
import { parseMount } from './mount.ts';
import type { SourceText } from './source-text.ts';
import { isHeredocWord, type SyntaxNode } from './syntax.ts';

const KEYWORDS: readonly Keyword[] = [
  'FROM',
  'ARG',
  'RUN',
  'COPY',
  'ADD',
  'ENV',
  'LABEL',
  'WORKDIR',
  'USER',
  'CMD',
  'ENTRYPOINT',
  'EXPOSE',
  'VOLUME',
  'STOPSIGNAL',
  'SHELL',
  'HEALTHCHECK',
  'ONBUILD',
  'MAINTAINER',
];

/**
 * Checks one instruction and returns it with its type.
 * @throws DOCKERFILE_INVALID at the invalid word
 */
export function parseInstruction(node: SyntaxNode, source: SourceText): Instruction {
  const keyword = KEYWORDS.find((known) => known === node.name);
  if (keyword === undefined) {
    throw source.error(
      node.keyword,
      `unknown instruction: ${node.keyword.text}`,
      unknownFix(node, source),
    );
  }
  const flags = new FlagReader(node, source);
  const instruction = readInstruction(keyword, node, flags, source);
  flags.end();
  return instruction;
}

function unknownFix(node: SyntaxNode, source: SourceText): string {
  const { line } = node.keyword.position;
  const before =
    source.file.text
      .split('\n', line - 1)
      .at(-1)
      ?.trim() ?? '';
  if (line > 1 && /(?:&&|\|)$/.test(before) && !before.startsWith('#'))
    return `if line ${line - 1} continues here, end it with \\`;
  const near = nearest(node.name, KEYWORDS);
  return near === undefined
    ? 'start the line with an instruction such as RUN or COPY, or end the previous line with \\'
    : `did you mean ${near}?`;
}

function readInstruction(
  keyword: Keyword,
  node: SyntaxNode,
  flags: FlagReader,
  source: SourceText,
): Instruction {
  const { position, offset, length, text, heredocs } = node;
  const base = { position, offset, length, text, heredocs, flags: node.flags };
  const fail = failAt(node, source);
  switch (keyword) {
    case 'FROM':
      return { ...base, keyword, ...readFrom(node, flags, fail) };
    case 'ARG':
      return {
        ...base,
        keyword,
        args: atLeastOne(node, fail).map((word) => readArg(word, source)),
      };
    case 'RUN':
      return { ...base, keyword, ...readRun(node, flags, fail, source) };
    case 'COPY':
    case 'ADD':
      return { ...base, keyword, ...readCopy(keyword, node, flags, fail, source) };
    case 'ENV':
    case 'LABEL':
      return { ...base, keyword, pairs: readPairs(node, fail, source) };
    case 'WORKDIR':
      return { ...base, keyword, path: exactlyOne(node, fail) };
    case 'USER':
      return { ...base, keyword, user: exactlyOne(node, fail) };
    case 'CMD':
    case 'ENTRYPOINT':
      return { ...base, keyword, command: command(node) };
    case 'EXPOSE':
    case 'VOLUME': {
      const values = atLeastOne(node, fail);
      if (keyword === 'VOLUME' && values.some((word) => word.text.trim() === '')) {
        throw fail('VOLUME has an empty path', 'name a directory');
      }
      return { ...base, keyword, values };
    }
    case 'STOPSIGNAL':
      return { ...base, keyword, signal: exactlyOne(node, fail) };
    case 'SHELL': {
      if (!node.json || node.args.length === 0) {
        throw fail(
          'SHELL needs a JSON array of strings',
          'write it as SHELL ["/bin/sh", "-c"], with double quotes',
        );
      }
      return { ...base, keyword, argv: node.args.map((word) => word.text) };
    }
    case 'HEALTHCHECK':
      return { ...base, keyword, ...readHealthcheck(node, flags, fail) };
    case 'ONBUILD':
      return { ...base, keyword, trigger: readTrigger(node, fail, source) };
    case 'MAINTAINER':
      return { ...base, keyword, maintainer: exactlyOne(node, fail).text };
    default:
      return keyword satisfies never;
  }
}

type Fail = (message: string, fix?: string, at?: Word) => LktError;
type Own<T> = Omit<T, 'keyword' | 'position' | 'offset' | 'length' | 'text' | 'flags' | 'heredocs'>;

function failAt(node: SyntaxNode, source: SourceText): Fail {
  return (message, fix, at) => source.error(at ?? node.keyword, message, fix);
}

function atLeastOne(node: SyntaxNode, fail: Fail): readonly Word[] {
  if (node.args.length === 0) throw fail(`${node.name} requires at least one argument`);
  return node.args;
}

function exactlyOne(node: SyntaxNode, fail: Fail): Word {
  const [first] = node.args;
  if (first === undefined) throw fail(`${node.name} requires exactly one argument`);
  return first;
}

function command(node: SyntaxNode): Command {
  if (node.json) return { form: 'exec', argv: node.args.map((word) => word.text) };
  return { form: 'shell', script: node.args.map((word) => word.text).join(' ') };
}

const STAGE_NAME = /^[a-z][a-z0-9_.-]*$/;

function readFrom(node: SyntaxNode, flags: FlagReader, fail: Fail): Own<FromInstruction> {
  const [image, as, name, extra] = node.args;
  if (image === undefined)
    throw fail(
      'FROM requires an image or a stage',
      'write FROM scratch to start without a base image',
    );
  if (
    as !== undefined &&
    (as.text.toUpperCase() !== 'AS' || name === undefined || extra !== undefined)
  ) {
    throw fail(
      'FROM takes one image and an optional stage name',
      as.text.startsWith('#')
        ? 'put the comment on its own line'
        : 'write it as FROM IMAGE AS NAME',
      as.text.toUpperCase() === 'AS' ? (extra ?? as) : as,
    );
  }
  if (name !== undefined && !STAGE_NAME.test(name.text.toLowerCase())) {
    throw fail(
      `"${name.text}" is not a valid stage name`,
      'start it with a letter, and use only letters, digits, "-", "_" and "."',
      name,
    );
  }
  return { image, platform: flags.word('platform'), name: name?.text.toLowerCase() };
}

function readArg(
  word: Word,
  source: SourceText,
): { readonly name: string; readonly value: Word | undefined } {
  const equals = word.text.indexOf('=');
  const name = equals === -1 ? word.text : word.text.slice(0, equals);
  if (name === '')
    throw source.error(word, 'ARG has a value without a name', 'write ARG name=value');
  return { name, value: equals === -1 ? undefined : wordFrom(word, equals + 1, source) };
}

/** Returns the end of a word, from an index of its text. */
function wordFrom(word: Word, index: number, source: SourceText): Word {
  const text = word.text.slice(index);
  // A word over several lines is not contiguous in the file, so the span stays that of the whole
  // word.
  if (word.length !== word.text.length) return { ...word, text };
  return { ...source.span(word.offset + index, word.offset + word.length), text };
}

function readRun(
  node: SyntaxNode,
  flags: FlagReader,
  fail: Fail,
  source: SourceText,
): Own<RunInstruction> {
  const mounts = flags.all('mount').map((flag) => parseMount(flag, source));
  const network = flags.oneOf('network', ['default', 'none', 'host']) ?? 'default';
  const security = flags.oneOf('security', ['sandbox', 'insecure']) ?? 'sandbox';
  const [device] = flags.all('device');
  if (device !== undefined) {
    throw fail(
      `RUN --device=${device.value ?? ''} is not supported: build commands have no access to devices`,
      'remove the flag, or build this step with Docker and start FROM its image',
      { ...device, text: device.value ?? '' },
    );
  }
  if (node.args.length === 0) throw fail('RUN requires a command');
  return { command: command(node), mounts, network, security };
}

function readCopy(
  keyword: 'COPY' | 'ADD',
  node: SyntaxNode,
  flags: FlagReader,
  fail: Fail,
  source: SourceText,
): Own<CopyInstruction> {
  const isAdd = keyword === 'ADD';
  const [destination, ...reversed] = node.args.toReversed();
  if (destination === undefined || reversed.length === 0) {
    throw fail(
      `${keyword} requires at least one source and a destination`,
      `write it as ${keyword} SOURCE DESTINATION`,
      destination,
    );
  }
  if (node.heredocs.length > 0 && isHeredocWord(destination)) {
    throw fail(
      `${keyword} cannot have a here-document as its destination`,
      'add the destination path after it',
      destination,
    );
  }
  const sources = reversed
    .toReversed()
    .filter((word) => node.heredocs.length === 0 || node.json || !isHeredocWord(word));
  const from = isAdd ? undefined : flags.word('from');
  if (from?.text.includes('$') === true) {
    throw source.error(
      from,
      'variables are not expanded in --from',
      'add a stage FROM the image, and use its name here',
    );
  }
  return {
    sources,
    destination,
    from,
    chown: flags.text('chown'),
    chmod: flags.text('chmod'),
    link: flags.boolean('link') ?? false,
    parents: flags.boolean('parents') ?? false,
    exclude: flags.all('exclude').map((flag) => flag.value ?? ''),
    checksum: isAdd ? flags.text('checksum') : undefined,
    keepGitDir: isAdd ? (flags.boolean('keep-git-dir') ?? false) : false,
    unpack: isAdd ? flags.boolean('unpack') : undefined,
  };
}

function readPairs(
  node: SyntaxNode,
  fail: Fail,
  source: SourceText,
): readonly { readonly name: Word; readonly value: Word }[] {
  const words = atLeastOne(node, fail);
  const pairs: { name: Word; value: Word }[] = [];
  for (let index = 0; index + 1 < words.length; index += 2) {
    const [name, value] = [words[index], words[index + 1]];
    if (name === undefined || value === undefined) continue;
    if (name.text === '') {
      throw source.error(value, `${node.name} has a value without a name`, 'write name=value');
    }
    pairs.push({ name, value });
  }
  return pairs;
}

function readHealthcheck(
  node: SyntaxNode,
  flags: FlagReader,
  fail: Fail,
): Own<HealthcheckInstruction> {
  const [type, ...args] = node.args;
  const usage = 'write it as HEALTHCHECK CMD command, or HEALTHCHECK NONE';
  if (type === undefined) throw fail('HEALTHCHECK requires at least one argument', usage);
  const kind = type.text.toUpperCase();
  if (kind === 'NONE') {
    if (args.length > 0) throw fail('HEALTHCHECK NONE takes no arguments', usage, args[0]);
    return {
      command: undefined,
      interval: undefined,
      timeout: undefined,
      startPeriod: undefined,
      startInterval: undefined,
      retries: undefined,
    };
  }
  if (kind !== 'CMD') throw fail(`unknown type ${type.text} in HEALTHCHECK`, usage, type);
  if (args.length === 0) throw fail('HEALTHCHECK CMD has no command', usage, type);
  const duration = (name: string): number | undefined =>
    flags.parsed(name, (value) => {
      const nanoseconds = parseDuration(value);
      if (nanoseconds === undefined)
        return { problem: 'is not a duration such as 1m30s', fix: 'write the unit: ms, s, m or h' };
      if (nanoseconds !== 0 && nanoseconds < 1_000_000) return { problem: 'is less than 1ms' };
      return { value: nanoseconds };
    });
  return {
    command: node.json
      ? { form: 'exec', argv: args.map((word) => word.text) }
      : { form: 'shell', script: args.map((word) => word.text).join(' ') },
    interval: duration('interval'),
    timeout: duration('timeout'),
    startPeriod: duration('start-period'),
    startInterval: duration('start-interval'),
    retries: flags.parsed('retries', (value) =>
      /^\d{1,9}$/.test(value) ? { value: Number(value) } : { problem: 'is not a whole number' },
    ),
  };
}

function readTrigger(node: SyntaxNode, fail: Fail, source: SourceText): Instruction {
  if (node.child === undefined) throw fail('ONBUILD requires at least one argument');
  if (['ONBUILD', 'FROM', 'MAINTAINER'].includes(node.child.name)) {
    throw fail(
      `ONBUILD cannot trigger ${node.child.name}`,
      'use another instruction',
      node.child.keyword,
    );
  }
  return parseInstruction(node.child, source);
}
