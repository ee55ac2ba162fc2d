import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

/** systemd-stub for amd64: an EFI program, like a kernel. */
export const EFI_STUB = '/usr/lib/systemd/boot/efi/linuxx64.efi.stub';

export function tempDir(): string {
  const dir = mkdtempSync(join(tmpdir(), 'lkt-formats-'));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

export async function* chunks(data: Uint8Array): AsyncGenerator<Uint8Array> {
  if (data.length > 0) yield data;
}

export async function collect(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of source) parts.push(Uint8Array.from(part));
  return Buffer.concat(parts);
}
