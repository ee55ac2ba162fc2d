import {
  boolean,
  integer,
  list,
  mapping,
  optional,
  record,
  required,
  text,
  withDefault,
  type YamlType,
  type YamlValue,
} from '@lkt/core';

/** A check of `lkt test`: an item of `tests`. */
export interface MachineTest {
  readonly name: string;
  /** Maximum time of the check, in seconds. */
  readonly timeout: number;
  readonly check: MachineCheck;
}

/** The check of an item of `tests:`, by its kind. */
export type MachineCheck =
  | { readonly kind: 'log'; readonly matches: RegExp }
  | {
      readonly kind: 'tcp';
      readonly port: number;
      readonly send?: string;
      readonly matches: RegExp;
    }
  | {
      readonly kind: 'http';
      readonly port: number;
      readonly path: string;
      readonly headers: ReadonlyMap<string, string>;
      readonly status: number;
      readonly matches?: RegExp;
    }
  | {
      readonly kind: 'exec';
      readonly service: string;
      readonly command: readonly string[];
      readonly status: number;
      readonly matches?: RegExp;
    }
  | { readonly kind: 'poweroff' };

const DEFAULT_TIMEOUT = 120;
const MAX_TIMEOUT = 3600;

const PORT = integer(1, 65_535, (port) => `${port} is not a port`);

/** A regular expression of JavaScript; `^` and `$` match at each line. */
const PATTERN: YamlType<RegExp> = text().transform((pattern, at) => {
  try {
    return new RegExp(pattern, 'mu');
  } catch {
    throw at.error(`"${pattern}" is not a regular expression`, {
      fix: String.raw`escape characters such as ( [ { with \, in single quotes`,
    });
  }
});

const TCP = record({
  port: required(PORT, 'port of the machine'),
  send: optional(text(), 'text to send first'),
  // QEMU accepts connections to ports that nothing listens on, so only an answer counts.
  matches: required(PATTERN, 'regular expression for what the server sends'),
});

const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

const HTTP = record({
  port: required(PORT, 'port of the machine'),
  path: withDefault(
    text({
      matches: /^\/[!-~]*$/,
      problem: (path) => `"${path}" is not the path of a URL`,
      fix: 'begin with /, and write other characters as %XX',
    }),
    '/',
    'path and query of the URL; default: /',
  ),
  headers: withDefault(
    mapping(text()).transform((headers, value) => {
      for (const [name, content] of headers)
        if (!HEADER_NAME.test(name) || /[^\t\x20-\x7e]/.test(content))
          throw value.error(`"${name}" is not a header of HTTP, or its value is not ASCII`);
      return headers;
    }),
    new Map(),
    'headers of the request',
  ),
  status: withDefault(integer(100, 599), 200, 'status of the response; default: 200'),
  matches: optional(PATTERN, 'regular expression for the body, of which 1 MiB is read'),
});

/** Characters of a command: it is sent as one line. */
const MAX_COMMAND = 4096;

const EXEC = record({
  service: required(
    text().transform((name, at) => ({ name, at })),
    'name of a service of the config',
  ),
  command: required(
    list(text()).transform((command, value) => {
      const [program = ''] = command;
      if (program === '') throw value.error('the command is empty', { fix: 'name a program' });
      if (command.join('').length > MAX_COMMAND)
        throw value.error(`the command is longer than ${MAX_COMMAND} characters`);
      return command;
    }),
    'program of the service with its arguments; no shell',
  ),
  status: withDefault(integer(0, 255), 0, 'exit status; default: 0'),
  matches: optional(PATTERN, 'regular expression for standard output, of which 16 KiB are read'),
});

const FIELDS = record({
  name: optional(
    text({
      matches: /^[^\p{Cc}]{1,200}$/u,
      problem: () => 'it is empty, longer than 200 characters, or has control characters',
    }),
    'name in results; default: made from the check',
  ),
  timeout: withDefault(
    integer(1, MAX_TIMEOUT),
    DEFAULT_TIMEOUT,
    `maximum seconds; default: ${DEFAULT_TIMEOUT}`,
  ),
  log: optional(PATTERN, 'regular expression for the console output'),
  tcp: optional(TCP, 'connection, and what the server must send'),
  http: optional(HTTP, 'request, and what the response must be'),
  exec: optional(EXEC, 'command in a service, and what its result must be'),
  poweroff: optional(
    boolean,
    'true: press the power button; the machine must shut down. The last check',
  ),
});

const TEST: YamlType<MachineTest> = FIELDS.transform((fields, item) => {
  const { log, tcp, http, exec, poweroff } = fields;
  const checks: MachineCheck[] = [];
  if (log !== undefined) checks.push({ kind: 'log', matches: log });
  if (tcp !== undefined) checks.push({ kind: 'tcp', ...tcp });
  if (http !== undefined) checks.push({ kind: 'http', ...http });
  if (exec !== undefined) checks.push({ kind: 'exec', ...exec, service: exec.service.name });
  if (poweroff === true) checks.push({ kind: 'poweroff' });
  const [check, more] = checks;
  if (check === undefined || more !== undefined)
    throw item.error(`a test has ${checks.length === 0 ? 'no check' : 'several checks'}`, {
      fix: 'write one of log, tcp, http, exec and poweroff',
    });
  const test = { name: fields.name ?? nameOf(check), timeout: fields.timeout, check };
  if (exec !== undefined) PLACES.set(check, exec.service.at);
  return test;
});

/** The places where checks name their services. */
const PLACES = new WeakMap<MachineCheck, YamlValue>();

function nameOf(check: MachineCheck): string {
  switch (check.kind) {
    case 'log':
      return `console shows ${check.matches.source}`;
    case 'tcp':
      return `port ${check.port} answers`;
    case 'http':
      return `port ${check.port} serves ${check.path}`;
    case 'exec':
      return `${check.service} runs ${check.command.join(' ').slice(0, 100)}`;
    case 'poweroff':
    default:
      return 'powers off';
  }
}

/** The section `tests` of an image config, which does not change the image. */
export const TESTS: YamlType<readonly MachineTest[]> = list(TEST).transform((tests, value) => {
  const items = value.list();
  for (const [index, { check }] of tests.entries())
    if (check.kind === 'poweroff' && index < tests.length - 1)
      throw (items[index] ?? value).error('nothing can be checked after the machine is off', {
        fix: 'put it last',
      });
  return tests;
});

/**
 * Checks that the services of checks are in the merged config.
 * @throws CONFIG_INVALID
 */
export function checkServices(
  tests: readonly MachineTest[],
  services: readonly { readonly name: string }[],
): void {
  const names = services.map(({ name }) => name);
  for (const { check } of tests) {
    if (check.kind !== 'exec' || names.includes(check.service)) continue;
    const place = PLACES.get(check);
    if (place === undefined) throw new Error('the check was not read from a config');
    throw place.error(`the config has no service ${check.service}`, {
      fix: names.length === 0 ? 'add the service' : `name one of: ${names.join(', ')}`,
    });
  }
}

/** Returns the tests of merged configs: a shutdown is the last. */
export function mergeTests(tests: readonly (readonly MachineTest[])[]): readonly MachineTest[] {
  const { true: ends = [], false: others = [] } = Object.groupBy(tests.flat(), ({ check }) =>
    check.kind === 'poweroff' ? 'true' : 'false',
  );
  return [...others, ...ends.slice(-1)];
}
