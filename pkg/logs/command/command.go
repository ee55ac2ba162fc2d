// Package command is lkt-logs, which shows the logs of all sources in the order of their times.
package command

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"lkt/init/logs"
)

const usage = `usage: lkt-logs [-f] [-n LINES] [-since TIME] [-raw] [SOURCE...]
       lkt-logs -list

A SOURCE is a service, onboot.NNN-NAME, onshutdown.NNN-NAME, or init; default: all.

  -f           follow: show new lines as they are written
  -n LINES     show only the last lines
  -since TIME  show lines since a time (2026-01-31T12:00:00Z) or for a duration (90s, 10m, 2h)
  -raw         do not replace terminal control characters
  -list        list the sources: lines and bytes written, dropped, not sent to the syslog server, and kept
  -dir PATH    directory of the logs; default: /var/log
`

// options are the options of the command line.
type options struct {
	dir     string
	follow  bool
	last    int
	since   time.Time
	raw     bool
	list    bool
	sources []string
}

// Main runs the program and returns its exit status: 0, 1, or 2 for invalid arguments.
func Main(args []string) int {
	o, err := parse(args, time.Now())
	if errors.Is(err, flag.ErrHelp) {
		fmt.Print(usage)
		return 0
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "lkt-logs: %v\n%s", err, usage)
		return 2
	}
	signal.Ignore(syscall.SIGPIPE)
	if err := run(o, os.Stdout); err != nil && !errors.Is(err, syscall.EPIPE) {
		fmt.Fprintf(os.Stderr, "lkt-logs: %v\n", err)
		return 1
	}
	return 0
}

func parse(args []string, now time.Time) (o options, err error) {
	flags := flag.NewFlagSet("lkt-logs", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&o.dir, "dir", logs.Dir, "")
	flags.BoolVar(&o.follow, "f", false, "")
	flags.IntVar(&o.last, "n", -1, "")
	flags.BoolVar(&o.raw, "raw", false, "")
	flags.BoolVar(&o.list, "list", false, "")
	flags.Func("since", "", func(text string) error {
		if ago, err := time.ParseDuration(text); err == nil {
			o.since = now.Add(-ago)
			return nil
		}
		o.since, err = time.Parse(time.RFC3339, text)
		if err != nil {
			return fmt.Errorf("%q must be a time such as 2026-01-31T12:00:00Z or a duration such as 10m", text)
		}
		return nil
	})
	// Options may also follow sources.
	for {
		if err := flags.Parse(args); err != nil {
			return o, err
		}
		if flags.NArg() == 0 {
			return o, nil
		}
		o.sources = append(o.sources, flags.Arg(0))
		args = flags.Args()[1:]
	}
}

func run(o options, out io.Writer) error {
	if o.list {
		return list(o.dir, out)
	}
	s := &show{options: o, out: bufio.NewWriter(out), cursors: map[string]*logs.Cursor{}}
	var changes *watch
	if o.follow {
		var err error
		if changes, err = newWatch(o.dir); err != nil {
			return err
		}
	}
	if err := s.open(); err != nil {
		return err
	}
	for _, name := range o.sources {
		if s.cursors[name] == nil && !o.follow {
			return fmt.Errorf("no log of %q\n  fix: lkt-logs -list shows the sources", name)
		}
	}
	if err := s.first(); err != nil {
		return err
	}
	for o.follow {
		if err := changes.wait(); err != nil {
			return err
		}
		if err := s.open(); err != nil {
			return err
		}
		if err := s.more(); err != nil {
			return err
		}
	}
	return nil
}

// show writes the selected lines.
type show struct {
	options
	out     *bufio.Writer
	cursors map[string]*logs.Cursor
}

// open opens existing logs that are selected and not open yet.
func (s *show) open() error {
	names, err := logs.Sources(s.dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if s.cursors[name] != nil || len(s.sources) > 0 && !slices.Contains(s.sources, name) {
			continue
		}
		c, err := logs.OpenCursor(s.dir, name, true)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		s.cursors[name] = c
	}
	return nil
}

func (s *show) merge(visit func(logs.Entry) error) error {
	all := make([]*logs.Cursor, 0, len(s.cursors))
	for _, c := range s.cursors {
		all = append(all, c)
	}
	return logs.Merge(all, func(e logs.Entry) error {
		if e.Time.Before(s.since) {
			return nil
		}
		return visit(e)
	})
}

// first writes all existing lines, or the last ones.
func (s *show) first() error {
	if s.last < 0 {
		return s.more()
	}
	var entries []logs.Entry
	err := s.merge(func(e logs.Entry) error {
		if entries = append(entries, e); len(entries) > 2*s.last+1000 {
			entries = slices.Clone(entries[len(entries)-s.last:])
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, e := range entries[max(0, len(entries)-s.last):] {
		if err := s.write(e); err != nil {
			return err
		}
	}
	return s.out.Flush()
}

func (s *show) more() error {
	if err := s.merge(s.write); err != nil {
		return err
	}
	return s.out.Flush()
}

func (s *show) write(e logs.Entry) error {
	text := e.Text
	if !s.raw {
		text = logs.Printable(text)
	}
	_, err := fmt.Fprintf(s.out, "%s %s %s\n", e.Time.UTC().Format("2006-01-02T15:04:05.000Z"), e.Source, text)
	return err
}

// list writes a line for each source.
func list(dir string, out io.Writer) error {
	all, err := logs.ReadStatus(dir)
	if err != nil {
		return err
	}
	names := make([]string, 0, len(all))
	for name := range all {
		names = append(names, name)
	}
	slices.Sort(names)
	table := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(table, strings.Join([]string{"SOURCE", "LINES", "BYTES", "DROPPED", "UNSENT", "KEPT"}, "\t"))
	for _, name := range names {
		s := all[name]
		fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%d\t%d\n", name, s.Lines, s.Bytes, s.DroppedLines, s.Unsent, s.Kept)
	}
	return table.Flush()
}
