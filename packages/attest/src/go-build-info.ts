import type { Component, Content } from './component.ts';
import { packageUrl } from './purl.ts';

/** What the Go tool writes into every program it links; `go version -m` prints it. */
export interface GoBuildInfo {
  /** `go1.24.4` */
  readonly goVersion: string;
  /** The main package. */
  readonly path?: string;
  /** The module the main package is of; none for a program built outside of modules. */
  readonly main?: GoModule;
  readonly modules: readonly GoModule[];
  /** `-trimpath=true`, `GOARCH=amd64`, … */
  readonly settings: readonly string[];
}

interface GoModule {
  readonly path: string;
  readonly version: string;
  /** `h1:…` of go.sum. */
  readonly sum?: string;
  /** Where it was compiled from, when go.mod replaces it by a directory: then its version says nothing. */
  readonly directory?: string;
}

/** debug/buildinfo: starts the blob, which is 32 bytes and two strings behind them. */
const MAGIC = Buffer.from('\xff Go buildinf:', 'latin1');
const HEADER = 32;
const INLINE_STRINGS = 0x02;
/** Longer ones are none: Kubernetes has some 20 KB. */
const MAX_INFO = 4 * 2 ** 20;

/** Looks for build info in a program that comes in pieces. Go 1.18 and later; what older ones have is left alone. */
export class GoBuildInfoScanner {
  /** The end of what was seen, or everything from where a blob may start. */
  #held: Buffer = Buffer.alloc(0);
  #found: GoBuildInfo | undefined;

  push(chunk: Uint8Array): void {
    if (this.#found !== undefined) return;
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
    // Nothing is copied of what has no blob, and nothing kept but its end.
    if (this.#held.length < MAGIC.length && !this.#begins(bytes)) {
      const end = [this.#held, bytes.subarray(-(MAGIC.length - 1))];
      this.#held = Buffer.concat(end).subarray(-(MAGIC.length - 1));
      return;
    }
    this.#held = Buffer.concat([this.#held, bytes]);
    for (;;) {
      const start = this.#held.indexOf(MAGIC);
      if (start === -1) {
        this.#held = Buffer.from(this.#held.subarray(-(MAGIC.length - 1)));
        return;
      }
      this.#held = this.#held.subarray(start);
      const info = parseBlob(this.#held);
      if (info === 'more') return;
      if (info !== undefined) {
        this.#found = info;
        return;
      }
      // Programs that look for build info hold the magic themselves.
      this.#held = this.#held.subarray(1);
    }
  }

  /** Whether a blob may start in a chunk, or in what was held before it. */
  #begins(chunk: Buffer): boolean {
    const border = Buffer.concat([this.#held, chunk.subarray(0, MAGIC.length - 1)]);
    return border.includes(MAGIC) || chunk.includes(MAGIC);
  }

  get result(): GoBuildInfo | undefined {
    return this.#found;
  }
}

function parseBlob(bytes: Buffer): GoBuildInfo | 'more' | undefined {
  if (bytes.length < HEADER) return 'more';
  if (((bytes[15] ?? 0) & INLINE_STRINGS) === 0) return undefined;
  const version = stringAt(bytes, HEADER);
  if (version === 'more' || version === undefined) return version;
  const goVersion = version.text.toString('latin1');
  if (!/^(?:go\d|devel)[\x20-\x7e]*$/.test(goVersion)) return undefined;
  const info = stringAt(bytes, version.end);
  if (info === 'more' || info === undefined) return info;
  return { goVersion, ...parseModuleInfo(withoutMarks(info.text).toString('utf8')) };
}

/** A length as a varint of encoding/binary, then so many bytes. */
function stringAt(bytes: Buffer, at: number): { text: Buffer; end: number } | 'more' | undefined {
  let length = 0;
  for (let index = 0; index < 4; index += 1) {
    const byte = bytes[at + index];
    if (byte === undefined) return 'more';
    length |= (byte & 0x7f) << (7 * index);
    if ((byte & 0x80) !== 0) continue;
    if (length > MAX_INFO) return undefined;
    const start = at + index + 1;
    if (bytes.length < start + length) return 'more';
    return { text: bytes.subarray(start, start + length), end: start + length };
  }
  return undefined;
}

/** The module info stands between two marks of 16 bytes. */
function withoutMarks(text: Buffer): Buffer {
  return text.length >= 33 && text.at(-17) === 0x0a ? text.subarray(16, -16) : Buffer.alloc(0);
}

/** runtime/debug, BuildInfo.String: lines of fields with tabs between. */
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

/** A Go program in an image: its main module, and what is linked into it. */
export function goContent(info: GoBuildInfo, path: string): Content {
  const { main, settings } = info;
  const name = main?.path ?? info.path ?? 'command-line-arguments';
  return {
    component: goComponent({ path: name, version: main?.version ?? '' }, settings.join(' ')),
    paths: [path],
    parts: [
      goComponent({
        path: 'stdlib',
        version: info.goVersion.replace(/^go/, '').split(' ')[0] ?? '',
      }),
      ...info.modules.map((module) =>
        goComponent(
          module,
          module.directory === undefined
            ? module.sum === undefined
              ? ''
              : `go.sum ${module.sum}`
            : `compiled from ${module.directory}`,
        ),
      ),
    ],
  };
}

function goComponent({ path, version }: GoModule, comment = ''): Component {
  const known = version === '' || version === '(devel)' ? undefined : version;
  const slash = path.lastIndexOf('/');
  // Modules start with a domain; `_/src` and the like are directories.
  const isModule = path === 'stdlib' || path.split('/')[0]?.includes('.') === true;
  return {
    kind: 'go',
    name: path,
    version: known,
    ...(isModule && {
      purl: packageUrl({
        type: 'golang',
        // purl-spec, golang: "must be lowercased".
        namespace: slash === -1 ? undefined : path.slice(0, slash).toLowerCase(),
        name: path.slice(slash + 1).toLowerCase(),
        version: known,
      }),
    }),
    comment: comment === '' ? undefined : comment,
  };
}
