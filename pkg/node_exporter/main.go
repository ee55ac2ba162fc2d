// Command node_exporter exports metrics of the machine to Prometheus, with the metric names of
// Prometheus' own node_exporter. See docs/guest.md.
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
	address := flags.String("web.listen-address", ":9100", "listen address")
	flags.StringVar(&m.proc, "path.procfs", "/proc", "path of procfs")
	flags.StringVar(&m.root, "path.rootfs", "/host", "path of the file systems to report")
	flags.String("path.sysfs", "/sys", "no effect: sysfs is not read")
	mounts := flags.String("collector.filesystem.mount-points-exclude", "^/(dev|proc|sys)($|/)", "regular expression of mount points to exclude")
	flags.StringVar(mounts, "collector.filesystem.ignored-mount-points", *mounts, "same as -collector.filesystem.mount-points-exclude")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	var err error
	if m.excluded, err = regexp.Compile(*mounts); err != nil {
		return err
	}
	fmt.Printf("node_exporter: listening on %s\n", *address)
	return server(*address, m).ListenAndServe()
}

const (
	// maxScrapes is the maximum number of concurrent scrapes.
	maxScrapes = 8
	page       = "<!doctype html><title>node_exporter</title><a href=\"/metrics\">metrics</a>\n"
)

// server returns a server with limits on time, request size and concurrency.
func server(address string, m machine) *http.Server {
	semaphore := make(chan struct{}, maxScrapes)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, page)
	})
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		select {
		case semaphore <- struct{}{}:
			defer func() { <-semaphore }()
		default:
			http.Error(w, "too many concurrent requests", http.StatusServiceUnavailable)
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
