import { builtinModules } from 'node:module';
import { parseSync, Visitor } from 'rolldown/utils';

/**
 * Returns the packages that a file imports, by literal names: a script, an ECMAScript module or a
 * declaration file.
 * @throws Error if the file cannot be parsed
 */
export function packagesIn(path: string, text: string): readonly string[] {
  const { program, errors } = parseSync(path, text);
  if (errors.length > 0) throw new Error(`${path}: ${errors[0]?.message}`);
  const found = new Set<string>();
  const add = (source: { readonly value?: unknown } | null | undefined): void => {
    const name = source?.value;
    if (typeof name !== 'string' || /^(\.|node:)/.test(name)) return;
    const parts = name.split('/');
    const packageName = parts.slice(0, name.startsWith('@') ? 2 : 1).join('/');
    if (!builtinModules.includes(packageName)) found.add(packageName);
  };
  new Visitor({
    ImportDeclaration: ({ source }) => add(source),
    ExportNamedDeclaration: ({ source }) => add(source),
    ExportAllDeclaration: ({ source }) => add(source),
    ImportExpression: ({ source }) => add(source as { readonly value?: unknown }),
    TSImportType: ({ source }) => add(source),
    CallExpression({ callee, arguments: [first] }) {
      const isRequire = callee.type === 'Identifier' && callee.name === 'require';
      const isResolve =
        callee.type === 'MemberExpression' &&
        callee.object.type === 'Identifier' &&
        callee.object.name === 'require';
      if (isRequire || isResolve) add(first as { readonly value?: unknown } | undefined);
    },
  }).visit(program);
  return [...found];
}
