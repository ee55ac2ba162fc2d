// Command metadata configures this machine from a metadata disk or, if named, from the services of
// cloud providers: it writes the metadata of the first one that it finds to /run/config, from which
// containers bind files. It needs no capability except for the user data of Scaleway. See
// docs/guest.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"lkt/metadata/config"
	"lkt/metadata/disk"
	"lkt/metadata/instance"
	"lkt/metadata/userdata"
)

// timeout limits the time for all providers together.
const timeout = 30 * time.Second

func main() {
	err := run(os.Args[1:], os.Stdout)
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(os.Stderr, "metadata: error: %v\n", err)
		os.Exit(1)
	}
}

func run(args []string, log io.Writer) error {
	flags := flag.NewFlagSet("metadata", flag.ContinueOnError)
	dir := flags.String("config", "/run/config", "directory to write to")
	devices := flags.String("devices", "/host/dev", "directory of the machine's device files")
	verbose := flags.Bool("v", false, "print why a provider does not apply")
	if err := flags.Parse(args); err != nil {
		return err
	}
	sources, err := selectSources(flags.Args(), *devices)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	for _, s := range sources {
		m, err := s.read(ctx)
		if err == nil {
			return write(*dir, m, log)
		}
		if *verbose || s.named || s.name == "cdrom" && !errors.Is(err, disk.ErrNone) {
			fmt.Fprintf(log, "metadata: not %s: %s\n", s.name, strings.ReplaceAll(err.Error(), "\n", ", "))
		}
	}
	fmt.Fprintln(log, "metadata: no provider has metadata of this machine")
	if flags.NArg() == 0 {
		fmt.Fprintln(log, "  fix: attach a metadata disk, or name the cloud provider: command: [/usr/bin/metadata, aws]")
	}
	return nil
}

func write(dir string, m *instance.Metadata, log io.Writer) error {
	for _, err := range m.Problems {
		fmt.Fprintf(log, "metadata: skipped: %v\n", err)
	}
	if err := config.Write(dir, m); err != nil {
		return err
	}
	fmt.Fprintf(log, "metadata: %s\n", m.Provider)
	if m.UserData == nil {
		return nil
	}
	entries, err := userdata.Parse(m.UserData)
	if errors.Is(err, userdata.ErrOther) {
		fmt.Fprintf(log, "metadata: %v; written to the file userdata only\n", err)
		return nil
	}
	if err != nil {
		return fmt.Errorf("user data: %w; none of its files was written", err)
	}
	return config.WriteEntries(dir, entries)
}
