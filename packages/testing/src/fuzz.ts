import * as fc from 'fast-check';

/** Inputs per target in a normal run; `npm run test:fuzz` sets LKT_FUZZ_RUNS to many more. */
const DEFAULT_RUNS = 300;

/** A parser that hangs for this long on a small input has a fault. */
const HANG_MS = 20_000;

/** One change of an input. Positions are taken modulo its length. */
type Mutation =
  | { readonly kind: 'flip'; readonly at: number; readonly bit: number }
  | { readonly kind: 'cut'; readonly at: number; readonly length: number }
  | { readonly kind: 'insert'; readonly at: number; readonly bytes: Uint8Array }
  | { readonly kind: 'overwrite'; readonly at: number; readonly bytes: Uint8Array }
  | {
      readonly kind: 'repeat';
      readonly at: number;
      readonly length: number;
      readonly times: number;
    }
  | { readonly kind: 'move'; readonly at: number; readonly from: number; readonly length: number }
  | { readonly kind: 'json'; readonly at: number; readonly value: unknown };

/** Bytes at the limits of integers, lengths and texts. */
const INTERESTING: readonly Uint8Array[] = [
  [0],
  [0xff],
  [0x80],
  [0, 0],
  [0xff, 0xff],
  [0, 0, 0, 0],
  [0xff, 0xff, 0xff, 0xff],
  [0xff, 0xff, 0xff, 0x7f],
  [0x7f, 0xff, 0xff, 0xff],
  [0, 0, 0, 0, 0, 0, 0, 0x80],
  [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
]
  .map((bytes) => Uint8Array.from(bytes))
  .concat(
    ['-1', '0', '99999999999999999999', '1e309', '77777777777', '__proto__', '../', '\n', '"', '{']
      .concat(['[', '}', ':', ',', '\u2028', '%', 'é', '\ud800'])
      .map((text) => Buffer.from(text)),
  );

/** Values that a JSON document may have where the parser expects another. */
const JSON_VALUES: readonly unknown[] = [
  null,
  true,
  0,
  -1,
  1.5,
  1e308,
  2 ** 53,
  '',
  'x',
  '__proto__',
  'sha256:',
  '/'.repeat(300),
  [],
  {},
  [null],
  { a: { a: { a: {} } } },
];

const at = fc.nat(2 ** 30);
const length = fc.oneof(fc.integer({ min: 1, max: 16 }), fc.integer({ min: 1, max: 4096 }));
const bytes = fc.oneof(
  fc.constantFrom(...INTERESTING),
  fc.uint8Array({ minLength: 1, maxLength: 12 }),
);
const mutation: fc.Arbitrary<Mutation> = fc.oneof(
  fc.record({ kind: fc.constant('flip' as const), at, bit: fc.nat(7) }),
  fc.record({ kind: fc.constant('cut' as const), at, length }),
  fc.record({ kind: fc.constant('insert' as const), at, bytes }),
  fc.record({ kind: fc.constant('overwrite' as const), at, bytes }),
  fc.record({ kind: fc.constant('repeat' as const), at, length, times: fc.nat(64) }),
  fc.record({ kind: fc.constant('move' as const), at, from: at, length }),
  fc.record({ kind: fc.constant('json' as const), at, value: fc.constantFrom(...JSON_VALUES) }),
);

/**
 * Feeds changed seeds to a parser of hostile bytes. The parser may accept an input, or reject it
 * with an expected error. Any other error, and a parser that hangs, fails.
 *
 * The inputs are the same in each run, unless LKT_FUZZ_RUNS gives another number of them.
 * @param seeds valid inputs
 * @param parse reads the input to its end
 * @param isExpected reports whether an error is a rejection
 * @example
 * ```ts
 * await fuzz([manifest], parseManifest, (error) => error instanceof LktError);
 * ```
 */
export async function fuzz(
  seeds: readonly Uint8Array[],
  parse: (input: Buffer) => unknown,
  isExpected: (error: unknown) => boolean,
): Promise<void> {
  const runs = Number(process.env['LKT_FUZZ_RUNS'] ?? DEFAULT_RUNS);
  const isRandom = process.env['LKT_FUZZ_RUNS'] !== undefined;
  const accepts = async (input: Buffer): Promise<void> => {
    try {
      await parse(input);
    } catch (error) {
      if (!isExpected(error)) throw error;
    }
  };
  for (const seed of seeds) await parse(Buffer.from(seed));
  const inputs = fc
    .tuple(fc.constantFrom(...seeds), fc.array(mutation, { minLength: 1, maxLength: 6 }))
    .map(([seed, mutations]) => mutate(seed, mutations));
  await fc.assert(fc.asyncProperty(inputs, accepts), {
    numRuns: runs,
    timeout: HANG_MS,
    ...(isRandom ? {} : { seed: 1 }),
  });
}

/** Returns a changed copy of an input. */
function mutate(seed: Uint8Array, mutations: readonly Mutation[]): Buffer {
  let input: Buffer = Buffer.from(seed);
  for (const one of mutations) input = apply(input, one);
  return input;
}

function apply(input: Buffer, one: Mutation): Buffer {
  const start = input.length === 0 ? 0 : one.at % input.length;
  switch (one.kind) {
    case 'flip': {
      const changed = Buffer.from(input);
      changed[start] = (changed[start] ?? 0) ^ (1 << one.bit);
      return changed;
    }
    case 'cut':
      return Buffer.concat([input.subarray(0, start), input.subarray(start + one.length)]);
    case 'insert':
      return Buffer.concat([input.subarray(0, start), one.bytes, input.subarray(start)]);
    case 'overwrite':
      return Buffer.concat([
        input.subarray(0, start),
        one.bytes,
        input.subarray(start + one.bytes.length),
      ]);
    case 'repeat': {
      const part = input.subarray(start, start + one.length);
      const copies = Array.from({ length: one.times }, () => part);
      return Buffer.concat([input.subarray(0, start), ...copies, input.subarray(start)]);
    }
    case 'move': {
      const from = input.length === 0 ? 0 : one.from % input.length;
      const part = input.subarray(from, from + one.length);
      return Buffer.concat([input.subarray(0, start), part, input.subarray(start)]);
    }
    case 'json':
    default:
      return replaceJson(input, one.at, one.value);
  }
}

/** Replaces one value of a JSON document. Returns other inputs unchanged. */
function replaceJson(input: Buffer, which: number, value: unknown): Buffer {
  let document: unknown;
  try {
    document = JSON.parse(input.toString());
  } catch {
    return input;
  }
  const places: { readonly holder: Record<string, unknown>; readonly key: string }[] = [];
  const visit = (holder: Record<string, unknown>): void => {
    for (const [key, inner] of Object.entries(holder)) {
      places.push({ holder, key });
      if (typeof inner === 'object' && inner !== null) visit(inner as Record<string, unknown>);
    }
  };
  if (typeof document === 'object' && document !== null) visit(document as Record<string, unknown>);
  const place = places[which % Math.max(places.length, 1)];
  if (place === undefined) return Buffer.from(JSON.stringify(value));
  place.holder[place.key] = value;
  return Buffer.from(JSON.stringify(document));
}
