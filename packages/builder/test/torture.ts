import { chmodSync, mkdirSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Layers with every kind of change: whiteouts, replaced directories, hard links, devices, long and
 * non-ASCII names, large ids, times before and after the epoch, and changes without effect.
 *
 * The digests in torture.integration.test.ts are those of BuildKit 0.13 with
 * SOURCE_DATE_EPOCH=1492533000 and rewrite-timestamp=true.
 */
export const TORTURE = `FROM base AS build
COPY a.txt run.sh /opt/app/
COPY sub /opt/sub
RUN mkdir -p /d/e && echo 1 > /d/1 && echo 2 > /d/2 && echo e > /d/e/f && ln /d/1 /d/1link && chmod 4755 /d/2 && mkfifo /d/fifo && mkdir -m 1777 /d/sticky && ln -s nowhere /d/broken
RUN rm /d/2 && rm -r /d/e && mkdir /d/e && echo new > /d/e/g
RUN rm -r /d && mkdir /d && mkdir /d/e && echo 3 > /d/3
RUN chmod 644 /opt/app/a.txt && touch /tmp/x && rm /tmp/x
RUN touch /opt/app/run.sh
RUN L=$(printf 'x%.0s' 1 2 3 4 5 6 7 8 9 10) && L=$L$L$L$L$L$L$L$L$L$L$L$L && mkdir -p /long/$L && echo hi > /long/$L/$L && touch /long/café /long/ü
RUN ln /opt/app/a.txt /opt/app/b.txt && mv /opt/sub/b /opt/sub/moved
WORKDIR /w/x
WORKDIR /w/x
RUN true
COPY <<FILE /heredoc.txt
hello
FILE
COPY --chmod=700 sub /owned
COPY sub/ /opt/sub/
RUN mkdir -m 700 -p /src/inner && touch /src/one /src/inner/two && chmod 2755 /src/inner && ln /src/one /src/three
FROM base
COPY --from=build /src /newdir
COPY --from=build /src /tmp/
COPY --from=build /src/one /src/three /files/
COPY --from=build /opt/sub /opt2
COPY tmp /tmp
COPY . /all
RUN rm -r /all /bin/dd
RUN mkdir -p /a/b/c /x/y && echo 1 > /a/b/c/f && echo 2 > /a/b/g && ln -s /a/b /lnk && ln -s ../x /a/rel && echo z > /x/y/z
COPY a.txt /lnk/copied
COPY a.txt /lnk/
COPY sub /a/rel/y/
RUN mv /a/b /a/b2 && mkdir -p /a/b/c && echo new > /a/b/c/f
RUN rm -rf /a/b2/c && echo x > /a/b2/c
RUN rm /a/b2/c && mkdir /a/b2/c && echo in > /a/b2/c/in
RUN rm -rf /x && ln -s a /x
RUN rm /x && mkdir /x && echo q > /x/q
RUN chmod 700 /a && chmod 1755 /x
RUN touch -d '2001-02-03 04:05:06' /x/q && touch -d '1999-01-01 00:00:00' /a/b2/g
RUN cp -a /a /acopy; rm -r /acopy/b2; cp -a /acopy /acopy3; mv /acopy3 /acopy
RUN rm -rf /a /acopy && mkdir -p /a/b && echo 5 > /a/b/g && rm /bin/seq && rm -r /tmp && mkdir -m 1777 /tmp
RUN ln -s x /bin/loop && mv /bin/loop /bin/loop2
RUN mkdir /hl && echo a > /hl/z && ln /hl/z /hl/a && ln /hl/a /x/first && touch -h -d '2000-01-01 00:00:00' /bin/loop2
RUN echo change >> /hl/a; rm /hl/z
WORKDIR rel/path
COPY --chmod=640 sub/deep /deep/nested/dir
ADD a.txt sub/b /added/
`;

/** Owners and device nodes. Needs root, or a user with subordinate ids. */
export const TORTURE_OWNERS = `FROM base
RUN mkdir /d && mknod /d/dev c 4 5 && mknod /d/disk b 7 300 && echo 1 > /d/1 && chown 1000:70000 /d/1 && touch /d/big && chown 3000000:3000000 /d/big
COPY --chown=5:6 --chmod=700 sub /owned
COPY --chown=joe:staff a.txt /named
RUN chown 3:4 /d && chown -h 8:9 /owned/link && chmod 6711 /d/1
COPY --chown=9 sub/deep /deep/nested/dir
USER joe
WORKDIR /user/dir
RUN id -u > /tmp/uid; id -G >> /tmp/uid; touch /user/dir/mine
`;

/**
 * Writes the build context of both. Times and modes, which git does not keep, vary with `variant`.
 */
export function writeTortureContext(directory: string, variant = 0): void {
  const put = (path: string, content: string, mode = 0o644): void => {
    const file = join(directory, path);
    writeFileSync(file, content);
    chmodSync(file, variant === 0 ? mode : mode & 0o700);
    const time = 1_500_000_000 + variant * 10_000_000;
    utimesSync(file, time, time);
  };
  for (const path of ['', 'sub', 'sub/deep', 'tmp'])
    mkdirSync(join(directory, path), { recursive: true });
  put('a.txt', 'a\n');
  put('run.sh', '#!/bin/sh\necho x\n', 0o755);
  put('sub/b', 'b');
  put('sub/deep/c', 'c');
  put('sub/ü-ñ.txt', 'u');
  put('tmp/t', 't');
  symlinkSync('../a.txt', join(directory, 'sub/link'));
}
