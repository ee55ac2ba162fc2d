import { execFile, execFileSync } from 'node:child_process';
import { copyFile, mkdir, mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { main } from '../program.ts';

const WRITE = 'token-that-may-read-and-write';
const READ = 'token-that-may-only-read';
/** Address of the server, in a network of this test. */
const ADDRESS = '10.97.0.1';
const SERVER = `${ADDRESS}:5000`;

const FILES: Readonly<Record<string, string>> = {
  'pkg/base/build.yml': 'org: example\nimage: base\narches: [amd64]\n',
  // Not reproducible: two runs make two images.
  'pkg/base/Dockerfile':
    'FROM scratch\nCOPY --chmod=755 sh /bin/sh\nRUN read -r id < /proc/sys/kernel/random/uuid; echo $id > /once\n',
  'pkg/app/build.yml':
    'org: example\nimage: app\narches: [amd64]\nbuildArgs: ["BASE=@lkt:pkg:../base"]\n',
  'pkg/app/Dockerfile':
    'ARG BASE\nFROM ${BASE}\nCOPY file /\nRUN read -r id < /proc/sys/kernel/random/uuid; echo $id > /twice\n',
  'pkg/app/file': 'text\n',
};

/** Three machines in network namespaces; only the server is connected with the others. */
const NETWORKS = String.raw`
set -eu
cd "$WORK"
ip link set lo up
ip addr add ${ADDRESS}/32 dev lo
machine() {
  unshare --net sleep infinity > /dev/null 2>&1 & eval "$1=$!"
  until [ "$(readlink /proc/self/ns/net)" != "$(readlink /proc/$!/ns/net)" ]; do sleep 0.05; done
  ip link add "to-$1" type veth peer name "$1" netns $!
  ip addr add "10.97.$2.1/24" dev "to-$1"
  ip link set "to-$1" up
  nsenter --target $! --net sh -ec "
    ip link set lo up
    ip addr add 10.97.$2.2/24 dev $1
    ip link set $1 up
    ip route add ${ADDRESS} via 10.97.$2.1"
}
machine first 1
machine second 2
server=
trap 'kill $first $second $server 2> /dev/null || :' EXIT
on() {
  place=$1 name=$2; shift 2
  (cd "$WORK/$name/checkout" && HOME=$WORK/$name LKT_CACHE=$WORK/$name/store \
    exec nsenter --target "$place" --net "$NODE" "$MAIN" "$@")
}
HOME=$WORK LKT_CACHE=$WORK/server LKT_SERVE_TOKEN=${WRITE} LKT_SERVE_READ_TOKEN=${READ} \
  "$NODE" "$MAIN" cache serve --listen :5000 --tls-cert cert.pem --tls-key key.pem > url 2> log & server=$!
until [ -s url ]; do kill -0 $server; sleep 0.1; done
. ./script
`;

/** Runs a script in these networks: `on $first first COMMAND`. */
async function inNetworks(work: string, script: string): Promise<string> {
  await writeFile(join(work, 'script'), script);
  await writeFile(join(work, 'networks'), NETWORKS);
  // Builds need several uids, which a user namespace has only by a mapping.
  const users = process.getuid?.() === 0 ? [] : ['--user', '--map-root-user', '--map-auto'];
  const namespaces = [...users, '--net', '--pid', '--fork', '--kill-child', '--mount-proc'];
  const { stdout } = await promisify(execFile)(
    'unshare',
    [...namespaces, 'bash', join(work, 'networks')],
    {
      env: {
        PATH: process.env['PATH'],
        WORK: work,
        MAIN: main,
        NODE: process.execPath,
        GIT_CONFIG_GLOBAL: '/dev/null',
      },
    },
  );
  return stdout;
}

test(
  'shares builds between two machines through a server alone',
  { timeout: 600_000 },
  async () => {
    await using work = await mkdtempDisposable(join(tmpdir(), 'lkt-machines-'));
    const checkout = join(work.path, 'checkout');
    for (const [path, text] of Object.entries(FILES)) {
      await mkdir(dirname(join(checkout, path)), { recursive: true });
      await writeFile(join(checkout, path), text);
    }
    await copyFile('/bin/busybox', join(checkout, 'pkg/base/sh'));
    const author = ['-c', 'user.name=A', '-c', 'user.email=a@example.com'];
    const git = (...args: string[]): void =>
      void execFileSync('git', args, { cwd: checkout, stdio: 'ignore' });
    git('init', '-q');
    git('add', '-A');
    git(...author, 'commit', '-qm', 'one');
    for (const [name, token] of [
      ['first', WRITE],
      ['second', READ],
    ] as const) {
      git('clone', '-q', checkout, join(work.path, name, 'checkout'));
      const auth = Buffer.from(`lkt:${token}`).toString('base64');
      await mkdir(join(work.path, name, '.docker'));
      await writeFile(
        join(work.path, name, '.docker/config.json'),
        JSON.stringify({ auths: { [SERVER]: { auth } } }),
      );
    }
    const key = [
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-keyout',
      'key.pem',
    ];
    const name = ['-subj', '/CN=lkt', '-addext', `subjectAltName=IP:${ADDRESS}`];
    execFileSync('openssl', ['req', '-x509', ...key, '-out', 'cert.pem', '-days', '2', ...name], {
      cwd: work.path,
      stdio: 'ignore',
    });
    const steps = `--cert-file $WORK/cert.pem --cache-from ${SERVER}/steps:main`;
    const out = await inNetworks(
      work.path,
      `
    on $first first pkg build --json --all ${steps} --cache-to ${SERVER}/steps:main > first.json || { cat first.json >&2; exit 1; }
    on $second second pkg build --progress plain --json --all ${steps} > second.json 2> second.log
    # Who may only read hands on nothing, and who has no token gets nothing.
    ! on $second second pkg build --force --no-cache --all ${steps} --cache-to ${SERVER}/steps:main 2> refused.log
    rm second/.docker/config.json
    on $second second --cache "$WORK/none" pkg build --json --all ${steps} > none.json 2> none.log || :
    on $second second pkg push --cert-file $WORK/cert.pem --org ${SERVER}/example pkg/app 2> push.log || :
    on $first first pkg push --cert-file $WORK/cert.pem --org ${SERVER}/example pkg/app
    for file in first.json second.json second.log refused.log none.json none.log push.log log; do
      printf '%s' "=== $file
"; cat $file; done`,
    );
    const parts = new Map(
      out
        .split(/^=== /m)
        .map((part) => [part.slice(0, part.indexOf('\n')), part.slice(part.indexOf('\n') + 1)]),
    );
    interface Built {
      readonly packages: readonly { readonly name: string; readonly digest: string }[];
    }
    const digests = (file: string): unknown =>
      (JSON.parse(parts.get(file) ?? '') as Built).packages.map(
        ({ name: one, digest }) => `${one} ${digest}`,
      );
    // The commands have random output, so equal digests prove that none ran again.
    expect(digests('second.json')).toEqual(digests('first.json'));
    expect(digests('second.json')).toHaveLength(2);
    expect(parts.get('second.log')).toMatch(/example\/base: done .* cached/);
    expect(parts.get('refused.log')).toMatch(/the token may not write/);
    expect(digests('none.json')).not.toEqual(digests('first.json'));
    expect(parts.get('push.log')).toContain('error:');
    expect(out).toMatch(
      new RegExp(`^${SERVER.replaceAll('.', '\\.')}/example/app:[0-9a-f]{40}@sha256:`, 'm'),
    );
    expect(parts.get('log')).not.toMatch(/token-that/);
  },
);
