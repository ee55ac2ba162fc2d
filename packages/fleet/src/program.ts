import { spawn } from 'node:child_process';
import { resolve } from 'node:path';
import { isErrno } from '@lkt/core';
import type { Node } from './node.ts';

/** A program that failed. */
export class ProgramFailure extends Error {
  /** Null for a program that a signal ended. */
  readonly status: number | null;

  constructor(program: string, status: number | null, reason: string) {
    super(`${program} ended with status ${status ?? 'of a signal'}: ${reason}`);
    this.status = status;
  }
}

/** Returns a command whose program is absolute. A name without "/" stays: it is one of PATH. */
export function resolveProgram(
  dir: string,
  [program = '', ...args]: readonly string[],
): readonly string[] {
  return [program.includes('/') ? resolve(dir, program) : program, ...args];
}

/** Returns the environment variables that describe a node to a program. */
export function variablesOf(node: Node): Readonly<Record<string, string>> {
  const endpoints = [...node.published].map(([port, { host, port: reached }]) => [
    port,
    `${host}:${reached}`,
  ]);
  return {
    LKT_NODE: node.name,
    LKT_GROUP: node.labels.group,
    LKT_FLEET: node.labels.fleet,
    LKT_IMAGE: node.labels.image,
    LKT_ADDRESS: node.addresses[0] ?? '',
    LKT_ENDPOINTS: JSON.stringify(Object.fromEntries(endpoints)),
  };
}

/**
 * Runs a program to its end, with a text on its standard input.
 * @throws ProgramFailure with the last line of its errors; Error if it cannot be started
 */
export async function runProgram(
  [program = '', ...args]: readonly string[],
  variables: Readonly<Record<string, string>>,
  input: string,
  signal: AbortSignal,
): Promise<void> {
  const env = { ...process.env, ...variables };
  const child = spawn(program, args, { env, signal, stdio: ['pipe', 'ignore', 'pipe'] });
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors = (errors + text).slice(-2048);
  });
  child.stdin.on('error', () => undefined).end(input);
  await new Promise<void>((succeed, reject) => {
    child.once('error', (error) =>
      reject(isErrno(error, 'ENOENT') ? new Error(`there is no program ${program}`) : error),
    );
    child.once('close', (code) => {
      const last = errors.trim().split('\n').at(-1) ?? '';
      if (code === 0) succeed();
      else reject(new ProgramFailure(program, code, last));
    });
  });
}
