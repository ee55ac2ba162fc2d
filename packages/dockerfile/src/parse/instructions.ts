import { nearest } from '@lkt/core';
import type { ArgInstruction, Instruction, InstructionBase, Keyword, Word } from './ast.ts';
import { parseDuration } from './duration.ts';
import { parseMount } from './mount.ts';
import { NodeReader } from './node-reader.ts';
import { nameAndValue } from './raw-words.ts';
import type { SourceText } from './source-text.ts';
import { isHeredocWord, type SyntaxNode } from './syntax.ts';

/** The fields of an instruction that not every instruction has. */
type Own<K extends Keyword, I = Instruction> = I extends { readonly keyword: infer W }
  ? K extends W
    ? Omit<I, 'keyword' | keyof InstructionBase>
    : never
  : never;

const READERS: { readonly [K in Keyword]: (reader: NodeReader) => Own<K> } = {
  FROM: readFrom,
  ARG: (reader) => ({ args: reader.atLeastOne().map((word) => readArg(word, reader.source)) }),
  RUN: readRun,
  COPY: readCopy,
  ADD: readCopy,
  ENV: readPairs,
  LABEL: readPairs,
  WORKDIR: (reader) => ({ path: reader.exactlyOne() }),
  USER: (reader) => ({ user: reader.exactlyOne() }),
  CMD: (reader) => ({ command: reader.command() }),
  ENTRYPOINT: (reader) => ({ command: reader.command() }),
  EXPOSE: (reader) => ({ values: reader.atLeastOne() }),
  VOLUME: readVolume,
  STOPSIGNAL: (reader) => ({ signal: reader.exactlyOne() }),
  SHELL: readShell,
  HEALTHCHECK: readHealthcheck,
  ONBUILD: readTrigger,
  MAINTAINER: (reader) => ({ maintainer: reader.exactlyOne().text }),
};

/**
 * Checks one instruction and returns it with its type.
 * @throws DOCKERFILE_INVALID at the invalid word
 */
export function parseInstruction(node: SyntaxNode, source: SourceText): Instruction {
  const { name: keyword, position, offset, length, text, flags, heredocs } = node;
  if (!isKeyword(keyword))
    throw source.error(
      node.keyword,
      `unknown instruction: ${node.keyword.text}`,
      unknownFix(node, source),
    );
  const reader = new NodeReader(node, source);
  const own = READERS[keyword](reader);
  reader.end();
  return { position, offset, length, text, heredocs, flags, keyword, ...own } as Instruction;
}

function isKeyword(name: string): name is Keyword {
  return Object.hasOwn(READERS, name);
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
  const near = nearest(node.name, Object.keys(READERS));
  return near === undefined
    ? 'start the line with an instruction such as RUN or COPY, or end the previous line with \\'
    : `did you mean ${near}?`;
}

const STAGE_NAME = /^[a-z][a-z0-9_.-]*$/;

function readFrom(reader: NodeReader): Own<'FROM'> {
  const [image, as, name, extra] = reader.node.args;
  if (image === undefined)
    throw reader.error(
      'FROM requires an image or a stage',
      'write FROM scratch to start without a base image',
    );
  const isAs = as?.text.toUpperCase() === 'AS';
  if (as !== undefined && (!isAs || name === undefined || extra !== undefined))
    throw reader.error(
      'FROM takes one image and an optional stage name',
      as.text.startsWith('#')
        ? 'put the comment on its own line'
        : 'write it as FROM IMAGE AS NAME',
      isAs ? (extra ?? as) : as,
    );
  if (name !== undefined && !STAGE_NAME.test(name.text.toLowerCase()))
    throw reader.error(
      `"${name.text}" is not a valid stage name`,
      'start it with a letter, and use only letters, digits, "-", "_" and "."',
      name,
    );
  return { image, platform: reader.word('platform'), name: name?.text.toLowerCase() };
}

function readArg(word: Word, source: SourceText): ArgInstruction['args'][number] {
  const [name, value] = nameAndValue(word.text);
  if (name === '')
    throw source.error(word, 'ARG has a value without a name', 'write ARG name=value');
  return {
    name,
    word: { ...word, text: name },
    value: value === undefined ? undefined : endOf(word, value, source),
  };
}

/** Returns the end of a word, with the given text. */
function endOf(word: Word, text: string, source: SourceText): Word {
  // A word over several lines is not contiguous in the file, so the span stays that of the whole
  // word.
  if (word.length !== word.text.length) return { ...word, text };
  const end = word.offset + word.length;
  return { ...source.span(end - text.length, end), text };
}

function readRun(reader: NodeReader): Own<'RUN'> {
  const mounts = reader.all('mount').map((flag) => parseMount(flag, reader.source));
  const network = reader.oneOf('network', ['default', 'none', 'host']) ?? 'default';
  const security = reader.oneOf('security', ['sandbox', 'insecure']) ?? 'sandbox';
  const [device] = reader.all('device');
  if (device !== undefined)
    throw reader.error(
      `RUN --device=${device.value ?? ''} is not supported: build commands have no access to devices`,
      'remove the flag, or build this step with Docker and start FROM its image',
      device,
    );
  if (reader.node.args.length === 0) throw reader.error('RUN requires a command');
  return { command: reader.command(), mounts, network, security };
}

function readCopy(reader: NodeReader): Own<'COPY'> {
  const { name: keyword, args, heredocs, json } = reader.node;
  const isAdd = keyword === 'ADD';
  const destination = args.at(-1);
  if (destination === undefined || args.length === 1)
    throw reader.error(
      `${keyword} requires at least one source and a destination`,
      `write it as ${keyword} SOURCE DESTINATION`,
      destination,
    );
  if (heredocs.length > 0 && isHeredocWord(destination))
    throw reader.error(
      `${keyword} cannot have a here-document as its destination`,
      'add the destination path after it',
      destination,
    );
  const from = isAdd ? undefined : reader.word('from');
  if (from?.text.includes('$') === true)
    throw reader.error(
      'variables are not expanded in --from',
      'add a stage FROM the image, and use its name here',
      from,
    );
  return {
    sources: args
      .slice(0, -1)
      .filter((word) => heredocs.length === 0 || json || !isHeredocWord(word)),
    destination,
    from,
    chown: reader.text('chown'),
    chmod: reader.text('chmod'),
    link: reader.boolean('link') ?? false,
    parents: reader.boolean('parents') ?? false,
    exclude: reader.all('exclude').map((flag) => flag.value ?? ''),
    checksum: isAdd ? reader.text('checksum') : undefined,
    keepGitDir: isAdd && (reader.boolean('keep-git-dir') ?? false),
    unpack: isAdd ? reader.boolean('unpack') : undefined,
  };
}

/** The syntax pairs each name with a value. */
function readPairs(reader: NodeReader): Own<'ENV'> {
  const words = reader.atLeastOne();
  const pairs: { name: Word; value: Word }[] = [];
  for (let index = 0; index + 1 < words.length; index += 2) {
    const [name, value] = [words[index], words[index + 1]];
    if (name === undefined || value === undefined) continue;
    if (name.text === '') {
      const message = `${reader.node.name} has a value without a name`;
      throw reader.error(message, 'write name=value', value);
    }
    pairs.push({ name, value });
  }
  return { pairs };
}

function readVolume(reader: NodeReader): Own<'VOLUME'> {
  const values = reader.atLeastOne();
  if (values.some((word) => word.text.trim() === ''))
    throw reader.error('VOLUME has an empty path', 'name a directory');
  return { values };
}

function readShell(reader: NodeReader): Own<'SHELL'> {
  const { json, args } = reader.node;
  if (json && args.length > 0) return { argv: args.map((word) => word.text) };
  throw reader.error(
    'SHELL needs a JSON array of strings',
    'write it as SHELL ["/bin/sh", "-c"], with double quotes',
  );
}

function readHealthcheck(reader: NodeReader): Own<'HEALTHCHECK'> {
  const [type, ...args] = reader.node.args;
  const usage = 'write it as HEALTHCHECK CMD command, or HEALTHCHECK NONE';
  if (type === undefined) throw reader.error('HEALTHCHECK requires at least one argument', usage);
  const kind = type.text.toUpperCase();
  if (kind === 'NONE') {
    if (args.length > 0) throw reader.error('HEALTHCHECK NONE takes no arguments', usage, args[0]);
    return { command: undefined };
  }
  if (kind !== 'CMD') throw reader.error(`unknown type ${type.text} in HEALTHCHECK`, usage, type);
  if (args.length === 0) throw reader.error('HEALTHCHECK CMD has no command', usage, type);
  const duration = (name: string): number | undefined =>
    reader.parsed(name, (value) => {
      const nanoseconds = parseDuration(value);
      if (nanoseconds === undefined)
        return { problem: 'is not a duration such as 1m30s', fix: 'write the unit: ms, s, m or h' };
      if (nanoseconds !== 0 && nanoseconds < 1_000_000) return { problem: 'is less than 1ms' };
      return { value: nanoseconds };
    });
  return {
    command: reader.command(args),
    interval: duration('interval'),
    timeout: duration('timeout'),
    startPeriod: duration('start-period'),
    startInterval: duration('start-interval'),
    retries: reader.parsed('retries', (value) =>
      /^\d{1,9}$/.test(value) ? { value: Number(value) } : { problem: 'is not a whole number' },
    ),
  };
}

function readTrigger(reader: NodeReader): Own<'ONBUILD'> {
  const { child } = reader.node;
  if (child === undefined) throw reader.error('ONBUILD requires at least one argument');
  if (['ONBUILD', 'FROM', 'MAINTAINER'].includes(child.name))
    throw reader.error(
      `ONBUILD cannot trigger ${child.name}`,
      'use another instruction',
      child.keyword,
    );
  return { trigger: parseInstruction(child, reader.source) };
}
