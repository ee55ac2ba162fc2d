/** `packages/cli/src/main.ts`, or its bundle: loading it runs the command. */
export interface Main {
  /** Resolves when the command has ended. */
  readonly done: Promise<void>;
}

/** Waits for the command and ends the process if nothing is left to do. */
export async function runMain({ done }: Main): Promise<void> {
  await done;
  // Saves Node's cleanup, 10 ms. Output that its reader has not taken yet counts as active.
  if (process.getActiveResourcesInfo().length === 0) process.exit();
}
