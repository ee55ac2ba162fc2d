package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"lkt/init/bundle"
	"lkt/init/logs"
	"lkt/init/supervise"
)

// direct services are children of PID 1, started by the runtime. It is their supervise.Runtime.
type direct struct {
	children   *reaper
	log        *logging
	supervisor *supervise.Supervisor
	started    chan int
	goDown     context.CancelFunc

	mutex sync.Mutex
	runs  map[string]*directRun
}

// directRun is one run of a service.
type directRun struct {
	pid  int
	over chan struct{}
}

func startDirect(children *reaper, log *logging, rules map[string]supervise.Rules, failed int) *direct {
	ctx, cancel := context.WithCancel(context.Background())
	d := &direct{children: children, log: log, started: make(chan int, 1), goDown: cancel, runs: map[string]*directRun{}}
	d.supervisor = supervise.New(d, func(e supervise.Event) {
		step("%s", e.Text)
		if e.Failed {
			log.showTail(e.Service)
		}
	}, rules)
	go func() { d.started <- failed + d.supervisor.Run(ctx) }()
	return d
}

func (d *direct) ready() <-chan int { return d.started }

// stop asks the services to end, those that start after another one before it, and kills those that take too long.
func (d *direct) stop() {
	d.goDown()
	d.supervisor.Stop(func(name string) {
		d.mutex.Lock()
		run := d.runs[name]
		d.mutex.Unlock()
		if run == nil {
			return
		}
		_ = unix.Kill(run.pid, unix.SIGTERM)
		select {
		case <-run.over:
		case <-time.After(patience(run.pid, stopTime)):
			_ = unix.Kill(run.pid, unix.SIGKILL)
		}
	})
}

// Start makes a container of the bundle anew: an earlier run has been deleted when its end was told.
func (d *direct) Start(ctx context.Context, name string) (ended <-chan int, fresh bool, err error) {
	dir := filepath.Join(servicesDir, name)
	runtime, err := bundle.Load(dir)
	if err != nil {
		return nil, false, err
	}
	out, err := d.log.open(name)
	if err != nil {
		return nil, false, err
	}
	defer out.Close()
	bundleDir, release, err := confined(dir, name)
	if err != nil {
		return nil, false, err
	}
	pid, err := create(d.children, out, bundleDir, name)
	release()
	if err != nil {
		return nil, false, err
	}
	run := &directRun{pid: pid, over: make(chan struct{})}
	done := d.children.adopt(pid)
	err = runtime.AttachProcess(pid)
	if err == nil {
		err = d.begin(ctx, name, run, out)
	}
	if err != nil {
		d.remove(name)
		return nil, false, err
	}
	status := make(chan int, 1)
	go func() {
		code := exitCode(<-done)
		close(run.over)
		d.remove(name)
		status <- code
	}()
	return status, true, nil
}

// begin starts a created container, unless the machine goes down.
func (d *direct) begin(ctx context.Context, name string, run *directRun, out *os.File) error {
	d.mutex.Lock()
	d.runs[name] = run
	d.mutex.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	return d.children.run(out, runtimePath, "start", name)
}

func (d *direct) remove(name string) {
	d.mutex.Lock()
	delete(d.runs, name)
	d.mutex.Unlock()
	if out, err := d.log.open(name); err == nil {
		_ = d.children.run(out, runtimePath, "delete", "--force", name)
		out.Close()
	}
}

func (d *direct) Exec(ctx context.Context, name string, args []string) error {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	pid, done, err := d.children.start(append([]string{runtimePath, "exec", name}, args...), null)
	if err != nil {
		return err
	}
	select {
	case status := <-done:
		return statusError(status)
	case <-ctx.Done():
		_ = unix.Kill(pid, unix.SIGKILL)
		return fmt.Errorf("%s: %w", args[0], ctx.Err())
	}
}

// Stopped: nobody but PID 1 can.
func (d *direct) Stopped(context.Context, string) bool { return false }

// AwaitStart: nobody but PID 1 can start one.
func (d *direct) AwaitStart(ctx context.Context, _ string) { <-ctx.Done() }

// LogPath is where the service's output goes.
func (d *direct) LogPath(name string) string { return logs.Path(logs.Dir, name) }
