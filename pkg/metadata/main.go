// Command metadata finds out what this machine is to be: it asks the disk with metadata and the services of clouds, and writes what the
// first one tells to /run/config, of which containers bind what they need. It needs no capability but for the user data of Scaleway. See
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
	"lkt/metadata/found"
	"lkt/metadata/userdata"
)

// patience is for all providers together.
const patience = 30 * time.Second

func main() {
	err := run(os.Args[1:], os.Stdout)
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(os.Stderr, "metadata: error: %v\n", err)
		os.Exit(1)
	}
}

func run(args []string, log io.Writer) error {
	flags := flag.NewFlagSet("metadata", flag.ContinueOnError)
	dir := flags.String("config", "/run/config", "the directory that is written to")
	devices := flags.String("devices", "/host/dev", "where the disks of the machine are")
	verbose := flags.Bool("v", false, "say why a provider is not the one")
	if err := flags.Parse(args); err != nil {
		return err
	}
	sources, err := sourcesOf(flags.Args(), *devices)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
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
	fmt.Fprintln(log, "metadata: nobody tells anything of this machine")
	return nil
}

func write(dir string, m *found.Metadata, log io.Writer) error {
	for _, err := range m.Problems {
		fmt.Fprintf(log, "metadata: left out: %v\n", err)
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
		fmt.Fprintf(log, "metadata: %v, it is in the file userdata only\n", err)
		return nil
	}
	if err != nil {
		return fmt.Errorf("user data: %w; none of its files is written", err)
	}
	return config.WriteEntries(dir, entries)
}
