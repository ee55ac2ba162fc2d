import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type EfiSigner, efiSigner } from '../src/pe/authenticode.ts';
import { inMemory } from '../src/bytes/disk.ts';
import { planUki, type Uki } from '../src/uki/uki.ts';
import { collect, EFI_STUB, tempDir } from './support.ts';

const CMDLINE = 'console=ttyS0 quiet';
const OS_RELEASE = 'NAME="lkt"\nID=lkt\nPRETTY_NAME="lkt"\n';

function run(command: string, ...args: readonly string[]): string {
  return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

/** Returns a kernel that firmware can start, with a release. */
function kernelOf(release: string): Buffer {
  const kernel = readFileSync(EFI_STUB);
  // The release must be within a 16-bit offset; the overwritten code is irrelevant here.
  const at = 0x3f00;
  kernel.write('HdrS', 0x202, 'latin1');
  kernel.writeUInt16LE(at - 0x200, 0x20e);
  kernel.write(`${release} (x@y) #1\0`, at, 'latin1');
  return kernel;
}

async function uki(signer?: EfiSigner): Promise<{ readonly plan: Uki; readonly bytes: Buffer }> {
  const plan = await planUki({
    stub: readFileSync(EFI_STUB),
    kernel: inMemory(kernelOf('6.1.2-test')),
    initrd: inMemory(Buffer.alloc(12_345, 'initrd')),
    cmdline: CMDLINE,
    signer,
  });
  const bytes = await collect(plan.bytes());
  expect(bytes.length).toBe(plan.size);
  return { plan, bytes };
}

function makeKey(dir: string, algorithm: readonly string[] = ['rsa:2048']): EfiSigner {
  const [key, cert] = [join(dir, 'k.pem'), join(dir, 'c.pem')];
  const options = ['-nodes', '-subj', '/CN=test/O=lkt', '-days', '2', '-keyout', key, '-out', cert];
  run('openssl', 'req', '-x509', '-newkey', ...algorithm, ...options);
  return efiSigner(
    { name: 'k.pem', text: readFileSync(key, 'utf8') },
    { name: 'c.pem', text: readFileSync(cert, 'utf8') },
  );
}

function sha256(data: Uint8Array | string): Buffer {
  return createHash('sha256').update(data).digest();
}

function text(dir: string, name: string): { readonly name: string; readonly text: string } {
  return { name, text: readFileSync(join(dir, name), 'utf8') };
}

describe('planUki', () => {
  it('equals the output of ukify', async () => {
    const dir = tempDir();
    const files = {
      linux: kernelOf('6.1.2-test'),
      initrd: Buffer.alloc(12_345, 'initrd'),
      'os-release': Buffer.from(OS_RELEASE),
    };
    for (const [name, data] of Object.entries(files)) writeFileSync(join(dir, name), data);
    const out = join(dir, 'theirs.efi');
    run(
      '/usr/bin/python3',
      '/usr/bin/ukify',
      'build',
      `--stub=${EFI_STUB}`,
      `--linux=${join(dir, 'linux')}`,
      `--initrd=${join(dir, 'initrd')}`,
      `--cmdline=${CMDLINE}`,
      `--os-release=@${join(dir, 'os-release')}`,
      `--output=${out}`,
    );
    const { bytes } = await uki();
    expect(bytes.equals(readFileSync(out))).toBe(true);
    const uname = join(dir, 'uname');
    run('objcopy', '--dump-section', `.uname=${uname}`, out, join(dir, 'copy'));
    expect(readFileSync(uname, 'utf8')).toBe('6.1.2-test');
  });

  it('signs reproducibly, and sbverify accepts the signature', async () => {
    const dir = tempDir();
    const signer = makeKey(dir);
    const { bytes, plan } = await uki(signer);
    expect((await uki(signer)).bytes.equals(bytes)).toBe(true);
    expect(plan.pcr11).toBe((await uki()).plan.pcr11);
    const file = join(dir, 'signed.efi');
    writeFileSync(file, bytes);
    expect(run('sbverify', '--cert', join(dir, 'c.pem'), file)).toContain('verification OK');
    bytes.writeUInt8(1 ^ bytes.readUInt8(20_000), 20_000);
    writeFileSync(file, bytes);
    expect(spawnSync('sbverify', ['--cert', join(dir, 'c.pem'), file]).status).toBe(1);
    makeKey(dir);
    expect(spawnSync('sbverify', ['--cert', join(dir, 'c.pem'), file]).status).toBe(1);
  });

  it('predicts PCR 11', async () => {
    const { plan, bytes } = await uki();
    const dir = tempDir();
    writeFileSync(join(dir, 'x.efi'), bytes);
    let register: Buffer = Buffer.alloc(32);
    for (const name of ['linux', 'osrel', 'cmdline', 'initrd', 'uname', 'sbat']) {
      run(
        'objcopy',
        '--dump-section',
        `.${name}=${join(dir, name)}`,
        join(dir, 'x.efi'),
        join(dir, 'copy'),
      );
      for (const measured of [`.${name}\0`, readFileSync(join(dir, name))])
        register = sha256(Buffer.concat([register, sha256(measured)]));
    }
    expect(plan.pcr11).toBe(register.toString('hex'));
  });
});

describe('rejected inputs', () => {
  it('rejects a kernel that is not an EFI program', async () => {
    const options = {
      stub: readFileSync(EFI_STUB),
      initrd: inMemory(Buffer.of(1)),
      cmdline: '',
    };
    for (const kernel of [Buffer.alloc(0), Buffer.from('MZ'), Buffer.alloc(70_000, 0xff)])
      await expect(planUki({ ...options, kernel: inMemory(kernel) })).rejects.toThrow(
        expect.objectContaining({ code: 'IMAGE_INVALID' }),
      );
  });

  it('rejects unsupported keys and other certificates', () => {
    const [one, other] = [tempDir(), tempDir()];
    makeKey(one);
    makeKey(other);
    const invalid = expect.objectContaining({ code: 'KEY_INVALID' }) as Error;
    expect(() => efiSigner(text(one, 'k.pem'), text(other, 'c.pem'))).toThrow(invalid);
    expect(() => efiSigner(text(one, 'c.pem'), text(one, 'c.pem'))).toThrow(invalid);
    expect(() => efiSigner(text(one, 'k.pem'), text(one, 'k.pem'))).toThrow(invalid);
    expect(() => makeKey(one, ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256'])).toThrow(
      'k.pem is not an RSA key',
    );
    run('openssl', 'genrsa', '-aes128', '-passout', 'pass:x', '-out', join(one, 'k.pem'), '2048');
    expect(() => efiSigner(text(one, 'k.pem'), text(one, 'c.pem'))).toThrow('k.pem is encrypted');
  });
});
