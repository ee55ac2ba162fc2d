// Command node_exporter tells Prometheus how the machine is, by the names of metrics that Prometheus' own node_exporter has. See
// docs/guest.md.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"time"
)

func main() {
	err := run(os.Args[1:])
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(os.Stderr, "node_exporter: error: %v\n", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	m := machine{}
	flags := flag.NewFlagSet("node_exporter", flag.ContinueOnError)
	address := flags.String("web.listen-address", ":9100", "where to listen")
	flags.StringVar(&m.proc, "path.procfs", "/proc", "where procfs is")
	flags.StringVar(&m.root, "path.rootfs", "/host", "where the file systems are that are told of")
	flags.String("path.sysfs", "/sys", "nothing of it is read")
	mounts := flags.String("collector.filesystem.mount-points-exclude", "^/(dev|proc|sys)($|/)", "mount points that are not told of")
	flags.StringVar(mounts, "collector.filesystem.ignored-mount-points", *mounts, "the same")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("%q is no flag", flags.Arg(0))
	}
	var err error
	if m.excluded, err = regexp.Compile(*mounts); err != nil {
		return err
	}
	fmt.Printf("node_exporter: listens on %s\n", *address)
	return server(*address, m).ListenAndServe()
}

const (
	// scrapes are answered side by side at most.
	scrapes = 8
	page    = "<!doctype html><title>node_exporter</title><a href=\"/metrics\">metrics</a>\n"
)

// server answers within bounds: of time, of what a request may have, of how many there are.
func server(address string, m machine) *http.Server {
	places := make(chan struct{}, scrapes)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, page)
	})
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		select {
		case places <- struct{}{}:
			defer func() { <-places }()
		default:
			http.Error(w, "too many requests at a time", http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		_, _ = io.WriteString(w, m.metrics())
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
