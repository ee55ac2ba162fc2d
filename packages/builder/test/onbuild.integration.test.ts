import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { build, contextOf, listing, scratch } from './fixture.ts';

const directory = scratch();
const store = join(directory.path, 'store');
afterAll(() => directory[Symbol.dispose]());

/** Makes an image with triggers, the base `parent` of another. */
async function parent(triggers: string): Promise<Parameters<typeof build>[2]> {
  const { descriptor } = await build(store, `FROM base\n${triggers}\n`);
  return { bases: new Map([['parent', descriptor.digest]]) };
}

test('runs the triggers of an image right after FROM, with the context of the build', async () => {
  using context = scratch();
  writeFileSync(join(context.path, 'file'), 'text\n');
  const base = await parent('ONBUILD COPY file /\nONBUILD RUN cat /file <<E\nbody\nE');
  const built = await build(store, 'FROM parent\nRUN echo last\n', {
    ...base,
    context: contextOf(context.path),
  });
  expect(built.ran).toEqual(['ONBUILD COPY file /', 'ONBUILD RUN cat /file <<E', 'RUN echo last']);
  expect(built.log).toBe('text\nlast\n');
  expect(await listing(store, built, 1)).toEqual(['file 644 0:0 1492533000 file']);
});

test('reports a failing trigger at the FROM, and names the trigger', async () => {
  const base = await parent('ONBUILD COPY missing /\nONBUILD RUN false');
  await expect(build(store, 'FROM parent\n', base)).rejects.toMatchObject({
    message:
      'Dockerfile:1:6: missing is not in the build context (in ONBUILD COPY missing /, a trigger of the base image)',
    detail: expect.stringContaining('FROM parent') as string,
  });
  const failing = await parent('ONBUILD RUN false');
  await expect(build(store, 'FROM parent\n', failing)).rejects.toMatchObject({
    message: 'Dockerfile:1:6: ONBUILD RUN false: the command ended with status 1',
  });
});

test('requires a digest for an image that a trigger names', async () => {
  const base = await parent('ONBUILD COPY --from=other /x /');
  await expect(build(store, 'FROM parent\n', base)).rejects.toMatchObject({
    code: 'PIN_MISSING',
    message:
      'Dockerfile:1:6: no digest is known for other, which the base image names in ONBUILD COPY --from=other /x /',
  });
  const { descriptor } = await build(store, 'FROM base\nRUN echo x > /x\n');
  const bases = new Map([...(base?.bases ?? []), ['other', descriptor.digest] as const]);
  expect(await listing(store, await build(store, 'FROM parent\n', { bases }))).toEqual([
    'file 644 0:0 1492533000 x',
  ]);
});
