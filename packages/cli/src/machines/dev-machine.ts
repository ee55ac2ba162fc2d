import type { MachineOptions, PublishedPort } from '@lkt/machine';
import { LktError } from '@lkt/core';
import type { Session } from '../session/session.ts';
import { servicePublications } from './image-source.ts';
import { runRecorded } from './recorded-run.ts';
import type { ImageSummary } from '../session/image-build.ts';

type DevOptions = Omit<MachineOptions, 'interactive' | 'onStart' | 'publish' | 'signal'>;

/** A machine that is started again with each new image, with the same ports. */
export class DevMachine implements AsyncDisposable {
  readonly #session: Session;
  readonly #name: string;
  readonly #published: readonly PublishedPort[];
  readonly #say: (text: string) => void;
  /** The ports of this machine, kept over restarts. */
  #ports: readonly PublishedPort[] = [];
  #running: { readonly stop: AbortController; readonly end: Promise<void> } | undefined;

  /** @param published ports of the command line */
  constructor(
    session: Session,
    name: string,
    published: readonly PublishedPort[],
    say: (text: string) => void,
  ) {
    this.#session = session;
    this.#name = name;
    this.#published = published;
    this.#say = say;
  }

  /** Ends the machine if it runs, and boots an image. Resolves when QEMU is about to start. */
  async boot(image: ImageSummary, options: DevOptions): Promise<void> {
    await this.#stop();
    const stop = new AbortController();
    const started = Promise.withResolvers<void>();
    const running = runRecorded(
      this.#session,
      { name: this.#name, services: image.services },
      {
        ...options,
        publish: this.#publish(image),
        signal: AbortSignal.any([this.#session.signal, stop.signal]),
        onStart: ({ publish }) => {
          const isNew = this.#ports.length !== publish.length;
          this.#ports = publish;
          if (isNew)
            for (const { address, hostPort, guestPort, protocol } of publish)
              this.#say(`${address}:${hostPort} forwards to port ${guestPort} (${protocol})`);
          started.resolve();
        },
      },
    );
    const end = running
      .then(
        ({ end: how }) => this.#say(`the machine has ended: ${how}; a change boots it again`),
        (error: unknown) => {
          started.reject(error);
          if (stop.signal.aborted || this.#session.signal.aborted) return;
          if (!(error instanceof LktError)) throw error;
          this.#say(`the machine has ended: ${error.message}; a change boots it again`);
        },
      )
      .finally(() => started.resolve());
    this.#running = { stop, end };
    await started.promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stop();
  }

  async #stop(): Promise<void> {
    this.#running?.stop.abort(new LktError('INTERRUPTED', 'a new image boots'));
    await this.#running?.end;
    this.#running = undefined;
  }

  /** Returns the ports to forward, each from the port of this machine that it had before. */
  #publish(image: ImageSummary): readonly PublishedPort[] {
    const wanted = [...this.#published, ...servicePublications(image.ports, this.#published)];
    return wanted.map(
      (port) =>
        this.#ports.find(
          ({ guestPort, protocol }) =>
            port.hostPort === 0 && port.guestPort === guestPort && port.protocol === protocol,
        ) ?? port,
    );
  }
}
