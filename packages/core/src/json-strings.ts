/** Returns the end of the string that begins at a quote in JSON, after its closing quote. */
export function endOfString(text: string, start: number): number {
  for (
    let quote = text.indexOf('"', start + 1);
    quote !== -1;
    quote = text.indexOf('"', quote + 1)
  ) {
    let backslashes = 0;
    while (text[quote - 1 - backslashes] === '\\') backslashes += 1;
    if (backslashes % 2 === 0) return quote + 1;
  }
  return text.length;
}

/** Returns the length of the longest string in JSON as written, with its quotes. */
export function longestString(text: string): number {
  let longest = 0;
  for (let start = text.indexOf('"'); start !== -1;) {
    const end = endOfString(text, start);
    longest = Math.max(longest, end - start);
    start = text.indexOf('"', end);
  }
  return longest;
}
