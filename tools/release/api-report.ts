/**
 * `node tools/release/api-report.ts`: writes `packages/LIBRARY/api.txt`, the declarations that
 * other projects may rely on, so that a review sees each change of them.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { isolatedDeclarationSync } from 'rolldown/experimental';
import { type ESTree, parseSync, Visitor } from 'rolldown/utils';
import { readPackageJson } from './files.ts';
import { LIBRARIES } from './libraries.ts';

/** A source file: its declarations, and where its other names come from. */
interface Source {
  /** By name; overloads are several. */
  readonly declarations: ReadonlyMap<string, readonly Declaration[]>;
  /** Names that it exports or imports from another source. */
  readonly foreign: ReadonlyMap<string, Name>;
}

interface Declaration {
  readonly text: string;
  /** Names that it refers to. */
  readonly uses: ReadonlySet<string>;
}

interface Name {
  /** Path of a source. */
  readonly file: string;
  readonly name: string;
}

const root = join(import.meta.dirname, '../..');

/** Returns the contents of `api.txt` of a library. */
export function apiReport(library: string): string {
  const directory = join(root, 'packages', library);
  const { name: packageName, exports = {} } = readPackageJson(directory, 'package.json');
  const entries = typeof exports === 'string' ? { '.': exports } : exports;
  const sources = new Sources();
  const reached = new Map<string, Name>();
  const isListed = new Set<string>();
  const parts: string[] = [];
  for (const [entry, path] of Object.entries(entries)) {
    const file = join(directory, path);
    parts.push(`# ${packageName}${entry.slice(1)}`);
    for (const exported of sources.exportsOf(file).toSorted()) {
      const found = sources.find({ file, name: exported });
      const text = sources.textOf(found);
      parts.push(
        found.name === exported ? text : `${text}\nexport { ${found.name} as ${exported} };`,
      );
      isListed.add(idOf(found));
      reached.set(idOf(found), found);
    }
  }
  // A map iterates over what is added meanwhile.
  for (const name of reached.values())
    for (const used of sources.usesOf(name)) reached.set(idOf(used), used);
  const others = [...reached.keys()].filter((id) => !isListed.has(id)).toSorted();
  if (others.length > 0) parts.push('# not exported, but used by the exported declarations');
  for (const id of others) {
    const name = reached.get(id);
    if (name !== undefined)
      parts.push(`// ${relative(directory, name.file)}\n${sources.textOf(name)}`);
  }
  return `${parts.join('\n\n')}\n`;
}

const idOf = ({ file, name }: Name): string => `${relative(root, file)} ${name}`;

/** Source files, each read once. */
class Sources {
  readonly #read = new Map<string, Source & { readonly exported: readonly string[] }>();

  exportsOf(file: string): readonly string[] {
    return this.#source(file).exported;
  }

  /** Follows a name to its declaration. */
  find({ file, name }: Name): Name {
    const foreign = this.#source(file).foreign.get(name);
    return foreign === undefined ? { file, name } : this.find(foreign);
  }

  /** @throws Error if there is no declaration */
  textOf({ file, name }: Name): string {
    const found = this.#source(file).declarations.get(name);
    if (found === undefined) throw new Error(`${file} does not declare ${name}`);
    return found.map(({ text }) => text).join('\n');
  }

  /** Returns the declarations in the same library that a declaration refers to. */
  usesOf({ file, name }: Name): readonly Name[] {
    const { declarations, foreign } = this.#source(file);
    const uses = (declarations.get(name) ?? []).flatMap((each) => [...each.uses]);
    return uses
      .filter((use) => declarations.has(use) || foreign.has(use))
      .map((use) => this.find({ file, name: use }));
  }

  #source(file: string): Source & { readonly exported: readonly string[] } {
    const known = this.#read.get(file);
    if (known !== undefined) return known;
    const { code, errors } = isolatedDeclarationSync(file, readFileSync(file, 'utf8'));
    if (errors.length > 0) throw new Error(`${file}: ${errors[0]?.message}`);
    const source = read(file, code);
    this.#read.set(file, source);
    return source;
  }
}

/** @param code declarations of a source */
function read(file: string, code: string): Source & { readonly exported: readonly string[] } {
  const { program, comments } = parseSync('source.d.ts', code);
  const declarations = new Map<string, Declaration[]>();
  const foreign = new Map<string, Name>();
  const exported = new Set<string>();
  const pathOf = (from: string): string | undefined =>
    from.startsWith('.') ? join(dirname(file), from) : undefined;
  for (const statement of program.body) {
    if (statement.type === 'ImportDeclaration') {
      const path = pathOf(statement.source.value);
      for (const specifier of statement.specifiers) {
        if (path === undefined) continue;
        if (specifier.type !== 'ImportSpecifier')
          throw new Error(`${file} imports a whole module; import names instead`);
        foreign.set(specifier.local.name, { file: path, name: nameOf(specifier.imported) });
      }
    } else if (statement.type === 'ExportNamedDeclaration' && statement.declaration === null) {
      const path = statement.source === null ? file : pathOf(statement.source.value);
      for (const specifier of statement.specifiers) {
        const [local, name] = [nameOf(specifier.local), nameOf(specifier.exported)];
        exported.add(name);
        if (path === undefined) throw new Error(`${file} exports ${name} of another package`);
        if (path !== file || local !== name) foreign.set(name, { file: path, name: local });
      }
    } else if (statement.type === 'ExportAllDeclaration') {
      throw new Error(`${file} exports a whole module; name what it exports`);
    } else {
      const declared =
        statement.type === 'ExportNamedDeclaration' ? statement.declaration : statement;
      for (const name of declaredNames(declared)) {
        const one = { text: textOf(code, statement, comments), uses: usesIn(statement) };
        declarations.set(name, [...(declarations.get(name) ?? []), one]);
        if (statement.type === 'ExportNamedDeclaration') exported.add(name);
      }
    }
  }
  return { declarations, foreign, exported: [...exported] };
}

function nameOf(name: ESTree.ModuleExportName): string {
  return name.type === 'Literal' ? name.value : name.name;
}

function declaredNames(node: ESTree.Statement | ESTree.Declaration | null): readonly string[] {
  if (node === null) return [];
  if (node.type === 'VariableDeclaration')
    return node.declarations.flatMap(({ id }) => (id.type === 'Identifier' ? [id.name] : []));
  const { id } = node as { readonly id?: { readonly name?: string } | null };
  return id?.name === undefined ? [] : [id.name];
}

/** Returns the text of a statement without its comments. */
function textOf(
  code: string,
  { start, end }: { readonly start: number; readonly end: number },
  comments: readonly { readonly start: number; readonly end: number }[],
): string {
  let text = '';
  let from = start;
  for (const comment of comments) {
    if (comment.start < start || comment.end > end) continue;
    text += code.slice(from, comment.start);
    from = comment.end;
  }
  return (text + code.slice(from, end)).replaceAll(/^\s*\n/gm, '').replaceAll('\t', '  ');
}

/** Returns all identifiers: some are names of members, which name no declaration. */
function usesIn(node: ESTree.Statement | ESTree.Declaration): ReadonlySet<string> {
  const uses = new Set<string>();
  new Visitor({ Identifier: ({ name }) => void uses.add(name) }).visit({
    type: 'Program',
    body: [node],
    sourceType: 'module',
    hashbang: null,
    comments: [],
    tokens: [],
    start: node.start,
    end: node.end,
  } as never);
  return uses;
}

if (import.meta.main)
  for (const library of LIBRARIES)
    writeFileSync(join(root, 'packages', library, 'api.txt'), apiReport(library));
