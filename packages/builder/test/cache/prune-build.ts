/** Builds one of two Dockerfiles with common steps in its own process, and prints the result. */
import { build } from '../fixture.ts';

const [store = '', name = ''] = process.argv.slice(2);

const SHARED = `FROM base AS one
RUN echo 1 > /one
RUN --mount=type=cache,target=/cache echo x >> /cache/log; echo 2 > /two
`;
const TEXTS: Readonly<Record<string, string>> = {
  a: `${SHARED}FROM base\nCOPY --from=one /two /a\nRUN cat /a > /b\n`,
  b: `${SHARED}RUN cat /one /two > /three\nFROM base\nCOPY --from=one /three /\n`,
};

const { descriptor } = await build(store, TEXTS[name] ?? '');
process.stdout.write(descriptor.digest);
