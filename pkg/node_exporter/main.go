// Command node_exporter exports metrics of the machine and its containers to Prometheus, with the
// metric names of Prometheus' own node_exporter and of cAdvisor. See docs/guest.md.
package main

import (
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"time"

	"lkt/sandbox"
)

//go:embed roles.json
var rolesFile []byte

func main() {
	err := run(os.Args[1:])
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(os.Stderr, "node_exporter: error: %v\n", err)
		os.Exit(1)
	}
}

// setup is what the process needs to know.
type setup struct {
	Proc, Root, Sys, Excluded string
	// Cgroups means that the accounts of cgroups are exported.
	Cgroups bool
	// Listener is the file descriptor of the listening socket.
	Listener int
}

func run(args []string) error {
	var s setup
	roles, role, err := sandbox.Load("node", rolesFile, &s)
	if err != nil {
		return err
	}
	if role == nil {
		return launch(roles, args)
	}
	return serve(*role, s)
}

// launch opens the listening socket and becomes the process that serves it.
func launch(roles sandbox.Roles, args []string) error {
	var s setup
	flags := flag.NewFlagSet("node_exporter", flag.ContinueOnError)
	address := flags.String("web.listen-address", ":9100", "listen `address`")
	flags.StringVar(&s.Proc, "path.procfs", "/proc", "`path` of procfs")
	flags.StringVar(&s.Root, "path.rootfs", "/host", "`path` of the file systems to report")
	flags.StringVar(&s.Sys, "path.sysfs", "/host/sys", "`path` of sysfs, of which fs/cgroup is read")
	flags.BoolVar(&s.Cgroups, "collector.cgroup", true, "export the accounts of cgroups, with cAdvisor's names")
	flags.BoolFunc("no-collector.cgroup", "same as -collector.cgroup=false", func(string) error { s.Cgroups = false; return nil })
	flags.StringVar(&s.Excluded, "collector.filesystem.mount-points-exclude", "^/(dev|proc|sys)($|/)", "`regexp` of mount points to exclude")
	flags.StringVar(&s.Excluded, "collector.filesystem.ignored-mount-points", s.Excluded, "same as -collector.filesystem.mount-points-exclude `regexp`")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if _, err := regexp.Compile(s.Excluded); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", *address)
	if err != nil {
		return err
	}
	file, err := listener.(*net.TCPListener).File()
	if err != nil {
		return err
	}
	s.Listener = int(file.Fd())
	fmt.Printf("node_exporter: listening on %s\n", *address)
	role := roles["exporter"]
	role.Read = []string{s.Proc, filepath.Join(s.Sys, "fs/cgroup")}
	return role.Exec(s, s.Listener)
}

// serve answers requests, without the means to open a socket or a file elsewhere.
func serve(role sandbox.Role, s setup) error {
	m := machine{proc: s.Proc, root: s.Root, sys: s.Sys, cgroups: s.Cgroups}
	var err error
	if m.excluded, err = regexp.Compile(s.Excluded); err != nil {
		return err
	}
	file := os.NewFile(uintptr(s.Listener), "listener")
	listener, err := net.FileListener(file)
	if err != nil {
		return err
	}
	file.Close()
	if err := role.Enter(); err != nil {
		return err
	}
	return server("", m).Serve(newBoundedListener(listener, maxConnections))
}

const (
	// maxAge is how long the metrics of a scrape are the answer to others too. So clients that read
	// slowly neither keep others waiting nor fill the memory, each with metrics of its own.
	maxAge = time.Second
	page   = "<!doctype html><title>node_exporter</title><a href=\"/metrics\">metrics</a>\n"
)

// scraper returns metrics that are not older than maxAge.
type scraper struct {
	machine machine
	mutex   sync.Mutex
	text    string
	begun   time.Time
}

func (s *scraper) metrics() string {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if now := time.Now(); s.text == "" || now.Sub(s.begun) >= maxAge {
		s.text, s.begun = s.machine.metrics(), now
	}
	return s.text
}

// server returns a server with limits on time and request size.
func server(address string, m machine) *http.Server {
	scrapes := &scraper{machine: m}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, page)
	})
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		_, _ = io.WriteString(w, scrapes.metrics())
	})
	return &http.Server{
		Addr:           address,
		Handler:        mux,
		ReadTimeout:    5 * time.Second,
		WriteTimeout:   10 * time.Second,
		IdleTimeout:    time.Minute,
		MaxHeaderBytes: 8 << 10,
	}
}
