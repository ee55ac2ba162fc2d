/** Shorter secrets are ignored: many files contain them by chance. */
const MIN_LENGTH = 8;

/** Line lengths of base64: PEM, and base64(1). */
const LINE_LENGTHS = [76, 64];

/**
 * Finds secrets in bytes: verbatim, without the line break at their end, and in base64 of either
 * alphabet at any offset of the encoded data.
 */
export class SecretFinder {
  readonly #needles: readonly { readonly id: string; readonly bytes: Buffer }[];
  /** Length of the longest form in bytes. */
  readonly maxLength: number;

  constructor(secrets: ReadonlyMap<string, Buffer>) {
    this.#needles = [...secrets].flatMap(([id, bytes]) =>
      formsOf(bytes).map((form) => ({ id, bytes: form })),
    );
    this.maxLength = Math.max(0, ...this.#needles.map(({ bytes }) => bytes.length));
  }

  /** True if there are no secrets to find. */
  get isEmpty(): boolean {
    return this.#needles.length === 0;
  }

  /** Returns the id of a secret that the bytes contain. */
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
    // A character encodes six bits; those that the secret shares with its neighbours are unknown.
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
