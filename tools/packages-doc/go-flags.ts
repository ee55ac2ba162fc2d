/** A flag of a program in Go, as its source declares it with the package `flag`. */
export interface GoFlag {
  /** Without dashes: `size`; several names have the same meaning. */
  readonly names: readonly string[];
  /** Name of the value, as `-help` prints it; undefined for a switch. */
  readonly value: string | undefined;
  /** As Go writes it; undefined for an empty or zero value, and for one that only a run tells. */
  readonly default: string | undefined;
  readonly usage: string;
}

const DECLARATION = /\bflags?\.(?:(String|Bool|Int64|Int|Uint|Duration)(Var)?|(Func|BoolFunc))\(/g;
const UNITS: Readonly<Record<string, string>> = { Second: 's', Minute: 'm', Hour: 'h' };

/**
 * Returns the flags that Go sources declare, in their order.
 * @throws Error for a declaration that this does not understand, and for a value without a name
 */
export function goFlags(sources: readonly string[]): readonly GoFlag[] {
  const constants = new Map(
    sources.flatMap((source) =>
      [...source.matchAll(/^(?:const|\t)\s*(\w+)\s*= (.+)$/gm)].map(
        ([, name = '', value = '']) => [name, value] as const,
      ),
    ),
  );
  return sources.flatMap((source) =>
    [...source.matchAll(DECLARATION)].flatMap(({ index, 0: call, 1: type, 2: isVar, 3: func }) => {
      const args = argumentsOf(source, index + call.length);
      const [name = '', ...rest] = isVar === undefined ? args : args.slice(1);
      const usage = textOf((func === undefined ? rest[1] : rest[0]) ?? '', constants);
      const names = namesOf(name, source.slice(0, index));
      if (names.length === 0 || usage === undefined)
        throw new Error(`unknown declaration of a flag: ${call}${args.join(', ')})`);
      // A program with a usage text of its own has no texts here.
      if (usage === '') return [];
      const value = func === undefined ? valueOf(rest[0] ?? '', constants) : undefined;
      const isSwitch = type === 'Bool' || func === 'BoolFunc';
      const quoted = /`([^`]*)`/.exec(usage)?.[1];
      if (!isSwitch && quoted === undefined)
        throw new Error(`-${names.join(', -')}: name its value in backquotes: ${usage}`);
      return [
        {
          names,
          value: isSwitch ? undefined : quoted,
          default: value,
          usage: usage.replace(/`([^`]*)`/, '$1'),
        },
      ];
    }),
  );
}

/** Returns the arguments of a call, from the offset after its parenthesis. */
function argumentsOf(source: string, start: number): readonly string[] {
  const args: string[] = [];
  let depth = 0;
  let begin = start;
  for (let at = start; at < source.length; at += 1) {
    const char = source.charAt(at);
    if (char === '"') {
      at += 1;
      while (source.charAt(at) !== '"') at += source.charAt(at) === '\\' ? 2 : 1;
    } else if ('([{'.includes(char)) depth += 1;
    else if ((char === ',' || char === ')') && depth === 0) {
      args.push(source.slice(begin, at).trim());
      begin = at + 1;
      if (char === ')') break;
    } else if (')]}'.includes(char)) depth -= 1;
  }
  return args;
}

/** Returns the names of a flag: a string, or the variable of a loop over strings. */
function namesOf(name: string, before: string): readonly string[] {
  if (name.startsWith('"')) return [JSON.parse(name) as string];
  const loops = [...before.matchAll(/for _, (\w+) := range \[\]string\{([^}]*)\}/g)];
  const loop = loops.findLast(([, variable]) => variable === name);
  return (loop?.[2] ?? '')
    .split(', ')
    .flatMap((text) => (text === '' ? [] : [JSON.parse(text) as string]));
}

/** Returns a constant text: strings and names of constants, joined by `+`. */
function textOf(expression: string, constants: ReadonlyMap<string, string>): string | undefined {
  const parts = [...expression.matchAll(/"(?:\\.|[^"\\])*"|\w+/g)].map(([part]) =>
    part.startsWith('"') ? part : (constants.get(part) ?? ''),
  );
  if (parts.length === 0 || parts.some((part) => !part.startsWith('"'))) return undefined;
  return parts.map((part) => JSON.parse(part) as string).join('');
}

function valueOf(expression: string, constants: ReadonlyMap<string, string>): string | undefined {
  const value = constants.get(expression) ?? expression;
  if (value.startsWith('"')) return value === '""' ? undefined : textOf(value, constants);
  const [, count, unit = ''] = /^(\d+) ?\* ?time\.(\w+)$/.exec(value) ?? [];
  if (count !== undefined) return `${count}${UNITS[unit] ?? unit}`;
  return /^[1-9]\d*$|^true$/.test(value) ? value : undefined;
}
