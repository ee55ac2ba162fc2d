import { ioError, LktError } from '@lkt/core';
import { Errors } from '@oclif/core';
import { beforeEach, expect, test, vi } from 'vitest';
import { errorJson, exitCodeOf, render } from '../../src/output/error-report.ts';

beforeEach(() => {
  vi.stubEnv('NO_COLOR', '1');
});

function systemError(code: string, message: string): Error {
  return Object.assign(new Error(message), { code, errno: -1, syscall: 'write' });
}

test('prints the problem, the location, the cause and the fix', () => {
  const error = new LktError('CONFIG_INVALID', 'a.yml:1:2: no', {
    detail: '  1 | x',
    cause: new Error('because', { cause: new Error('deeper') }),
    fix: 'do it',
  });
  expect(render(error)).toBe(
    'error: a.yml:1:2: no\n  1 | x\n  cause: because\n  cause: deeper\n  fix: do it',
  );
  expect(errorJson(error)).toEqual({
    error: {
      code: 'CONFIG_INVALID',
      message: 'a.yml:1:2: no',
      detail: '  1 | x',
      causes: ['because', 'deeper'],
      fix: 'do it',
    },
  });
  expect(exitCodeOf(error)).toBe(1);
});

test('escapes control characters in build output and file names', () => {
  const evil = '\u001b]0;title\u0007\u001b[2J\u009b31mred\u0008\u0000';
  const error = new LktError('BUILD_FAILED', `${evil} failed`, {
    detail: `10%\r20%\r\n${evil}`,
    cause: new Error(`${evil} because`),
    fix: `rm ${evil}`,
  });
  expect(render(error)).toBe('error: red failed\n20%\nred\n  cause: red because\n  fix: rm red');
  expect(render(new TypeError('\u001b[2Jx'))).not.toContain('\u001b');
});

test('omits a cause that the message already contains', () => {
  const error = new LktError('IO_FAILED', 'cannot write: no', { cause: new Error('no') });
  expect(render(error)).toBe('error: cannot write: no');
});

test('prints the stack of an unexpected error, as a bug', () => {
  const text = render(new TypeError('x is not a function'));
  expect(text).toMatch(/^error: this is a bug in lkt, please report it/);
  expect(text).toContain('report.test.ts');
  expect(exitCodeOf(new TypeError('x'))).toBe(1);
  expect(errorJson('thrown text')).toEqual({ error: { code: 'BUG', message: 'thrown text' } });
});

test('reports a full disk in any cause', () => {
  const full = systemError('ENOSPC', 'ENOSPC: no space left on device, write');
  const error = new LktError('BUILD_FAILED', 'step 3 failed', { cause: full });
  expect(render(error)).toMatch(/^error: the disk is full\n {2}cause: step 3 failed/);
  expect(errorJson(full)).toMatchObject({ error: { code: 'DISK_FULL' } });
});

test('tells where to look for a disk that fails', () => {
  const error = ioError('cannot write /x', systemError('EIO', 'EIO: i/o error, fsync'));
  expect(render(error)).toBe(
    'error: cannot write /x: EIO: i/o error, fsync\n  fix: look for errors of the disk: dmesg',
  );
});

test('reports a failed system call, but not as a bug', () => {
  const error = systemError('EACCES', "EACCES: permission denied, open '/x'");
  expect(render(error)).toBe("error: EACCES: permission denied, open '/x'");
});

test('returns an exit code per kind of error', () => {
  expect(exitCodeOf(new LktError('USAGE_INVALID', ''))).toBe(2);
  expect(exitCodeOf(new Errors.CLIError('x'))).toBe(2);
  expect(exitCodeOf(new LktError('INTERRUPTED', ''))).toBe(130);
  expect(exitCodeOf(new DOMException('x', 'AbortError'))).toBe(130);
  expect(exitCodeOf(new Errors.ExitError(0))).toBe(0);
});
