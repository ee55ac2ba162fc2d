import { copyFileSync, cpSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Text } from './builder-cases.ts';
import { root } from './measure.ts';

/** A program of this repository with the modules that it uses beside it: 90 files of Go. */
export const GO: Text = {
  name: 'go',
  commands: 1,
  on: 'lkt/go-static',
  text: (base) => `FROM ${base} AS build
COPY . /src
WORKDIR /src/init
RUN go build -o /out/init .
FROM scratch
COPY --from=build /out/ /
`,
  files: new Map(),
  copied: (directory) => {
    for (const name of ['epoch', 'init', 'modules', 'netlink', 'sandbox']) {
      const module = join(directory, name);
      cpSync(join(root, 'pkg', name), module, { recursive: true });
      // They would be those of a package.
      for (const other of ['build.yml', 'Dockerfile']) rmSync(join(module, other), { force: true });
    }
  },
  edited: ['init/clock.go', 'the clock was at'],
};

/** An image of Node: that of this repository. */
const NODE: Text = {
  name: 'node',
  commands: 0,
  text: (base) => `FROM ${base}\nCOPY node /usr/bin/node\n`,
  files: new Map(),
  copied: (directory) => {
    copyFileSync(join(root, 'node_modules/.bin/node'), join(directory, 'node'));
  },
  edited: ['Dockerfile', '/usr/bin/node'],
};

/** Installed modules that the service of `SERVICE` uses, from npm. */
const MODULES = [
  'ajv',
  'fast-deep-equal',
  'fast-uri',
  'json-schema-traverse',
  'require-from-string',
  'undici',
  'yaml',
];

/** A service in Node with its installed modules, in an image with Node. */
export const SERVICE: Text = {
  name: 'node-service',
  commands: 1,
  on: NODE,
  text: (base) => `FROM ${base}
WORKDIR /app
COPY package.json ./
COPY node_modules/ node_modules/
COPY server.js ./
RUN node server.js --check > checked
CMD ["node", "server.js"]
`,
  files: new Map([
    ['package.json', '{ "name": "service", "version": "1.0.0", "private": true }\n'],
    [
      'server.js',
      `const { createServer } = require('node:http');
const [{ default: Ajv }, yaml, undici] = [require('ajv'), require('yaml'), require('undici')];
const valid = new Ajv().compile({ type: 'object', required: ['name'] });
const server = createServer((request, response) => {
  response.end(yaml.stringify({ valid: valid({ name: request.url }) }));
});
if (process.argv.includes('--check')) console.log(typeof undici.request, valid({ name: 'x' }));
else server.listen(8080);
`,
    ],
  ]),
  copied: (directory) => {
    mkdirSync(join(directory, 'node_modules'));
    for (const name of MODULES)
      cpSync(join(root, 'node_modules', name), join(directory, 'node_modules', name), {
        recursive: true,
      });
  },
  edited: ['server.js', '8080'],
};
