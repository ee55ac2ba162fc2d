/** Shorter secrets are not looked for: they are in many files by chance. */
const MIN_LENGTH = 8;

/** Columns after which programs break lines of base64: base64(1), and PEM. */
const LINE_LENGTHS = [76, 64];

/**
 * Finds secrets in bytes: as they are (without the line break at their end), and in base64 of either alphabet, wherever
 * in what is encoded they stand.
 */
export class SecretFinder {
  readonly #needles: readonly { readonly id: string; readonly bytes: Buffer }[];
  /** Of the longest form. */
  readonly maxLength: number;

  constructor(secrets: ReadonlyMap<string, Buffer>) {
    this.#needles = [...secrets].flatMap(([id, bytes]) =>
      formsOf(bytes).map((form) => ({ id, bytes: form })),
    );
    this.maxLength = Math.max(0, ...this.#needles.map(({ bytes }) => bytes.length));
  }

  /** Whether there is anything to look for. */
  get isEmpty(): boolean {
    return this.#needles.length === 0;
  }

  /** The id of a secret that is in the bytes. */
  find(bytes: Buffer): string | undefined {
    return this.#needles.find((needle) => bytes.includes(needle.bytes))?.id;
  }

  /** The forms as text, the longest first. */
  get texts(): readonly string[] {
    return this.#needles
      .map(({ bytes }) => bytes.toString())
      .toSorted((a, b) => b.length - a.length);
  }
}

function formsOf(secret: Buffer): readonly Buffer[] {
  let end = secret.length;
  while (end > 0 && (secret[end - 1] === 0x0a || secret[end - 1] === 0x0d)) end -= 1;
  const bytes = secret.subarray(0, end);
  if (bytes.length < MIN_LENGTH) return [];
  const encoded = [0, 1, 2].map((before) => {
    const text = Buffer.concat([Buffer.alloc(before), bytes]).toString('base64');
    // A character holds six bits; those that share one with a neighbour of the secret are not known.
    return text.slice(Math.ceil((before * 8) / 6), Math.floor(((before + bytes.length) * 8) / 6));
  });
  const [whole = ''] = encoded;
  const wrapped = LINE_LENGTHS.filter((length) => whole.length > length).map((length) =>
    whole.replaceAll(new RegExp(`.{${length}}(?=.)`, 'g'), '$&\n'),
  );
  const forms = new Set([...encoded, ...wrapped].flatMap((text) => [text, urlSafe(text)]));
  return [bytes, ...[...forms].map((text) => Buffer.from(text))];
}

function urlSafe(text: string): string {
  return text.replaceAll('+', '-').replaceAll('/', '_');
}
