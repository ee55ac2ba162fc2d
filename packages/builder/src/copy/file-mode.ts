/**
 * Returns the mode that chmod(1) would set: octal, or symbolic such as `u=rwX,go-w`. X is the
 * execute bit for directories and for files that have one.
 */
export function changeMode(change: number | string, mode: number, isDirectory: boolean): number {
  if (typeof change === 'number') return change;
  let result = mode;
  for (const clause of change.split(',')) {
    const match = /^([ugoa]*)(.*)$/.exec(clause);
    const who = match?.[1] ?? '';
    const classes = who === '' || who.includes('a') ? 'ugo' : who;
    for (const [, operator, letters = ''] of (match?.[2] ?? '').matchAll(/([-+=])([rwxXstugo]*)/g))
      result = apply(result, classes, operator ?? '=', letters, isDirectory);
  }
  return result;
}

const SHIFT: Readonly<Record<string, number>> = { u: 6, g: 3, o: 0 };
const SPECIAL: Readonly<Record<string, number>> = { u: 0o4000, g: 0o2000, o: 0 };

function apply(
  mode: number,
  classes: string,
  operator: string,
  letters: string,
  isDirectory: boolean,
): number {
  let bits = 0;
  let mask = 0;
  for (const name of classes) {
    const shift = SHIFT[name] ?? 0;
    mask |= (7 << shift) | (SPECIAL[name] ?? 0);
    for (const letter of letters) {
      const copied = SHIFT[letter];
      if (copied !== undefined) bits |= ((mode >> copied) & 7) << shift;
      if (letter === 'r') bits |= 4 << shift;
      if (letter === 'w') bits |= 2 << shift;
      if (letter === 'x' || (letter === 'X' && (isDirectory || (mode & 0o111) !== 0)))
        bits |= 1 << shift;
      if (letter === 's') bits |= SPECIAL[name] ?? 0;
      if (letter === 't') bits |= 0o1000;
    }
  }
  if (letters.includes('t')) mask |= 0o1000;
  if (operator === '+') return mode | bits;
  if (operator === '-') return mode & ~bits;
  return (mode & ~mask) | bits;
}
