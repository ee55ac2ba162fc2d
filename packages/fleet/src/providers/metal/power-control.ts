/** A machine that exists, as fleet.yml names it. */
export interface Machine {
  readonly name: string;
  /** Of the network card that boots; `52:54:00:12:34:56`. */
  readonly mac: string;
  /** Address of the running node; undefined if the controller needs none. */
  readonly address?: string;
}

/** Switches machines by their management controllers. Every method throws ProviderError. */
export interface PowerControl<M extends Machine = Machine> {
  /** Commands may take any time, so the provider does not wait for their effect. */
  readonly isSlow?: boolean;
  /** Returns the actual power state, not the requested one. */
  isOn(machine: M, signal: AbortSignal): Promise<boolean>;
  /** Boots from the network at the next start. */
  bootFromNetwork(machine: M, signal: AbortSignal): Promise<void>;
  /** Boots a disk at a URL at the next start; undefined without virtual media. */
  bootFromMedium?(machine: M, url: string, signal: AbortSignal): Promise<void>;
  /** Takes the disk out. */
  ejectMedium?(machine: M, signal: AbortSignal): Promise<void>;
  on(machine: M, signal: AbortSignal): Promise<void>;
  /** Asks the guest to shut down. */
  shutDown(machine: M, signal: AbortSignal): Promise<void>;
  off(machine: M, signal: AbortSignal): Promise<void>;
}
