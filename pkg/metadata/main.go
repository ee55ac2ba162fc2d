// Command metadata configures this machine from a metadata disk or, if named, from VMware or the
// services of cloud providers. It writes the metadata of the first one that it finds to
// /run/config, from which containers bind files. One process reads disks, one asks VMware, one
// reads the network, and another one writes. See docs/packages/metadata.md.
package main

import (
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"lkt/metadata/config"
	"lkt/metadata/instance"
	"lkt/metadata/message"
	"lkt/metadata/userdata"
	"lkt/sandbox"
)

// timeout limits the time for all providers together.
const timeout = 30 * time.Second

//go:embed roles.json
var rolesFile []byte

func main() {
	err := run(os.Args[1:])
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(os.Stderr, "metadata: error: %v\n", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	var s setup
	roles, role, err := sandbox.Load("metadata", rolesFile, &s)
	if err != nil {
		return err
	}
	if role == nil {
		if s, err = parse(args); err == nil {
			err = launch(roles, s)
		}
		return err
	}
	if role.Name == "metadata-writer" {
		if err := role.Enter(); err != nil {
			return err
		}
		return choose(s, s.ask, os.Stdout)
	}
	r := s.reader()
	if err := role.Enter(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return r.serve(ctx, readerEnd, s.Sources)
}

func parse(args []string) (s setup, err error) {
	flags := flag.NewFlagSet("metadata", flag.ContinueOnError)
	flags.StringVar(&s.Dir, "config", "/run/config", "`directory` to write to")
	flags.StringVar(&s.Devices, "devices", "/host/dev", "`directory` of the machine's device files")
	flags.BoolVar(&s.Verbose, "v", false, "print why a provider does not apply")
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	s.Sources, err = selectSources(flags.Args())
	if len(s.Sources) > maxSources {
		err = fmt.Errorf("more than %d providers", maxSources)
	}
	return s, err
}

// choose writes the metadata of the first source that has some.
func choose(s setup, read func(index int) (*instance.Metadata, error), log io.Writer) error {
	for i, from := range s.Sources {
		m, err := read(i)
		if err == nil {
			return write(s.Dir, m, log)
		}
		if s.Verbose || from.Named || !errors.Is(err, message.ErrNone) {
			fmt.Fprintf(log, "metadata: not %s: %s\n", from.Name, strings.ReplaceAll(err.Error(), "\n", ", "))
		}
	}
	fmt.Fprintln(log, "metadata: no provider has metadata of this machine")
	if len(s.Sources) > 0 && !s.Sources[0].Named {
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
