/**
 * Returns a function that gives the result of `work` to all callers, for `freshMs` after its end.
 * It never runs twice at once, however long it takes; a failure is a result too.
 */
export function sharedResult<T>(
  work: () => Promise<T>,
  freshMs: number,
  now: () => number = () => performance.now(),
): () => Promise<T> {
  let last: { readonly result: Promise<T>; until: number } | undefined;
  return async () => {
    if (last === undefined || now() >= last.until) {
      const current = { result: work(), until: Infinity };
      last = current;
      const end = (): void => {
        current.until = now() + freshMs;
      };
      current.result.then(end, end);
    }
    return last.result;
  };
}
