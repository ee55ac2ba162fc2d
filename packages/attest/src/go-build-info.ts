import { uniqueBy } from '@lkt/core';

/**
 * The build info that the Go linker embeds in every program (`debug/buildinfo`, `go version -m`).
 */
export interface GoBuildInfo {
  /** `go1.24.4` */
  readonly goVersion: string;
  /** Path of the main package. */
  readonly path?: string;
  /** The module of the main package; absent in a program built outside of modules. */
  readonly main?: GoModule;
  readonly modules: readonly GoModule[];
  /** `-trimpath=true`, `GOARCH=amd64`, … */
  readonly settings: readonly string[];
}

export interface GoModule {
  readonly path: string;
  readonly version: string;
  /** `h1:…` of go.sum. */
  readonly sum?: string;
  /**
   * Replacement directory of go.mod's `replace`: the module was compiled from it, not from
   * `version`.
   */
  readonly directory?: string;
}

/** Start of the blob of debug/buildinfo: a header of 32 bytes, then two strings. */
const MAGIC = Buffer.from('\xff Go buildinf:', 'latin1');
const HEADER = 32;
const INLINE_STRINGS = 0x02;
/** Longer strings are not build info: that of Kubernetes has some 20 KB. */
const MAX_INFO_BYTES = 4 * 2 ** 20;
/** Programs in one file, about, whose build info is read. */
const MAX_PROGRAMS = 100;

/**
 * Finds build info in a program that arrives in chunks. Reads the format of Go 1.18 and later. A
 * program may contain others, such as one that it installs: their modules count too.
 * @example
 * ```ts
 * const scanner = new GoBuildInfoScanner();
 * for await (const chunk of file) scanner.push(chunk);
 * const modules = scanner.result()?.modules ?? [];
 * ```
 */
export class GoBuildInfoScanner {
  /** The last bytes seen, or all bytes since a possible start of a blob. */
  #held: Buffer = Buffer.alloc(0);
  readonly #found: GoBuildInfo[] = [];

  /**
   * Returns the build info, once the whole program was pushed; undefined without any. The last one
   * with a path is that of the program, because its data is behind the files that it embeds.
   */
  result(): GoBuildInfo | undefined {
    this.#search(true);
    const own = this.#found.findLast(({ path }) => path !== undefined) ?? this.#found.at(-1);
    if (own === undefined || this.#found.length === 1) return own;
    const embedded = this.#found.filter((one) => one !== own).flatMap(modulesOf);
    const modules = uniqueBy([...own.modules, ...embedded], (module) => JSON.stringify(module));
    return { ...own, modules };
  }

  push(chunk: Uint8Array): void {
    if (this.#found.length >= MAX_PROGRAMS) return;
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
    // Without a magic in the chunk, keep only the bytes in which one may begin.
    if (this.#held.length < MAGIC.length && !this.#begins(bytes)) {
      const end = [this.#held, bytes.subarray(-(MAGIC.length - 1))];
      this.#held = Buffer.concat(end).subarray(-(MAGIC.length - 1));
      return;
    }
    this.#held = Buffer.concat([this.#held, bytes]);
    this.#search(false);
  }

  /** @param isEnd what is incomplete now is no blob, and one may be behind its start */
  #search(isEnd: boolean): void {
    for (;;) {
      const start = this.#held.indexOf(MAGIC);
      if (start === -1) {
        this.#held = Buffer.from(this.#held.subarray(-(MAGIC.length - 1)));
        return;
      }
      this.#held = this.#held.subarray(start);
      const blob = parseBlob(this.#held);
      if (blob === 'more' && !isEnd) return;
      if (typeof blob === 'object') {
        this.#found.push(blob.info);
        this.#held = this.#held.subarray(blob.end);
        continue;
      }
      // Programs that search for build info contain the magic as well.
      this.#held = this.#held.subarray(1);
    }
  }

  /** Reports whether a blob may start in a chunk or in the bytes held before it. */
  #begins(chunk: Buffer): boolean {
    const border = Buffer.concat([this.#held, chunk.subarray(0, MAGIC.length - 1)]);
    return border.includes(MAGIC) || chunk.includes(MAGIC);
  }
}

/** Returns all that is in a program, with its main module and standard library. */
function modulesOf({ goVersion, main, modules }: GoBuildInfo): readonly GoModule[] {
  const library = { path: 'stdlib', version: goVersion.replace(/^go| .*/g, '') };
  return [library, ...(main === undefined ? [] : [main]), ...modules];
}

/** Reads the blob at the start of the bytes, and returns where it ends. */
function parseBlob(
  bytes: Buffer,
): { readonly info: GoBuildInfo; readonly end: number } | 'more' | undefined {
  if (bytes.length < HEADER) return 'more';
  if (((bytes[15] ?? 0) & INLINE_STRINGS) === 0) return undefined;
  const version = stringAt(bytes, HEADER);
  if (version === 'more' || version === undefined) return version;
  const goVersion = version.text.toString('latin1');
  if (!/^(?:go\d|devel)[\x20-\x7e]*$/.test(goVersion)) return undefined;
  const modules = stringAt(bytes, version.end);
  if (modules === 'more' || modules === undefined) return modules;
  const { text, end } = modules;
  const info = { goVersion, ...parseModuleInfo(withoutSentinels(text).toString('utf8')) };
  return { info, end };
}

/** Reads a string: its length as a varint (encoding/binary), then its bytes. */
function stringAt(bytes: Buffer, at: number): { text: Buffer; end: number } | 'more' | undefined {
  let length = 0;
  for (let index = 0; index < 4; index += 1) {
    const byte = bytes[at + index];
    if (byte === undefined) return 'more';
    length |= (byte & 0x7f) << (7 * index);
    if ((byte & 0x80) !== 0) continue;
    if (length > MAX_INFO_BYTES) return undefined;
    const start = at + index + 1;
    if (bytes.length < start + length) return 'more';
    return { text: bytes.subarray(start, start + length), end: start + length };
  }
  return undefined;
}

/** Cuts the sentinels of 16 bytes around the module info. */
function withoutSentinels(text: Buffer): Buffer {
  return text.length >= 33 && text.at(-17) === 0x0a ? text.subarray(16, -16) : Buffer.alloc(0);
}

/** Parses the format of runtime/debug's BuildInfo.String: lines of fields separated by tabs. */
function parseModuleInfo(text: string): Omit<GoBuildInfo, 'goVersion'> {
  let path: string | undefined;
  let main: GoModule | undefined;
  const modules: GoModule[] = [];
  const settings: string[] = [];
  for (const line of text.split('\n')) {
    const [key, first = '', version = '', sum = ''] = line.split('\t');
    const module: GoModule = { path: first, version, sum: sum === '' ? undefined : sum };
    if (key === 'path') path = first;
    else if (key === 'mod') main = module;
    else if (key === 'dep') modules.push(module);
    else if (key === 'build') settings.push(line.slice('build\t'.length));
    else if (key === '=>') {
      const replaced = modules.pop() ?? main;
      const isDirectory = /^[./]/.test(first);
      const what =
        isDirectory && replaced !== undefined
          ? { path: replaced.path, version: '', directory: first }
          : module;
      if (replaced === main) main = what;
      else modules.push(what);
    }
  }
  return {
    path,
    main,
    modules,
    settings,
  };
}
