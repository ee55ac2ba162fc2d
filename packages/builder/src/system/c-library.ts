import koffi, { type KoffiFunc, type LibraryHandle } from 'koffi';

/**
 * The error of a system call. Loading this file loads koffi, so only workers and the init of a step
 * do. Names and paths that are not text are buffers.
 */
export class SystemCallError extends Error {
  override readonly name: string = 'SystemCallError';
  readonly code: string;
  readonly syscall: string;

  constructor(syscall: string, subject: string, errno: number) {
    const code = CODES.get(errno) ?? `errno ${errno}`;
    super(`${syscall} ${subject}: ${code}`);
    this.code = code;
    this.syscall = syscall;
  }
}

const CODES: ReadonlyMap<number, string> = new Map(
  Object.entries(koffi.os.errno).map(([name, number]) => [number, name]),
);

export type Path = string | Buffer;

export const library: LibraryHandle = koffi.load(null);
/**
 * The type of a path or another string: text is passed as UTF-8, a buffer unchanged; both get a
 * final NUL.
 */
export const TEXT: string = 'const void *';

export function call<Arguments extends readonly unknown[]>(
  name: string,
  types: readonly string[],
  subject: (...values: Arguments) => string,
  // A function that returns int leaves the upper half of the register undefined.
  result: 'int' | 'long' = 'int',
): (...values: Arguments) => number {
  const native = library.func(name, result, [...types]) as (...values: unknown[]) => number;
  return (...values) => {
    const returned = native(...values.map(argument));
    if (returned < 0) throw new SystemCallError(name, subject(...values), koffi.errno());
    return returned;
  };
}

/** Returns a function that calls in another thread. Its result does not tell errno. */
export function asyncCall(
  name: string,
  types: readonly string[],
): (...values: readonly (Buffer | number)[]) => Promise<number> {
  const native = library.func(name, 'int', [...types]) as KoffiFunc<
    (...values: unknown[]) => number
  >;
  return async (...values) =>
    new Promise((resolve, reject) => {
      native.async(...values, (error: Error | null, result: number) => {
        if (error === null) resolve(result);
        else reject(error);
      });
    });
}

/** Bytes that are passed to a call unchanged, without a final NUL. */
export class Data {
  readonly bytes: Buffer;
  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }
}

function argument(value: unknown): unknown {
  if (typeof value === 'string') return Buffer.from(`${value}\0`);
  if (value instanceof Data) return value.bytes;
  if (Buffer.isBuffer(value)) return Buffer.concat([value, Buffer.of(0)]);
  return value;
}
