package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"lkt/init/bundle"
	"lkt/init/logs"
	"lkt/init/supervise"
)

// directServices implements services, and supervise.Runtime, with the OCI runtime alone: the
// services are children of PID 1.
type directServices struct {
	children   *reaper
	log        *logging
	supervisor *supervise.Supervisor
	started    chan int
	cancel     context.CancelFunc

	mutex sync.Mutex
	runs  map[string]*serviceRun
}

// serviceRun is one run of a service.
type serviceRun struct {
	pid    int
	exited chan struct{}
}

func startDirect(children *reaper, log *logging, rules map[string]supervise.Rules, failed int) *directServices {
	ctx, cancel := context.WithCancel(context.Background())
	d := &directServices{children: children, log: log, started: make(chan int, 1), cancel: cancel, runs: map[string]*serviceRun{}}
	d.supervisor = supervise.New(d, func(e supervise.Event) {
		if e.Written {
			showLine(e.Text)
			return
		}
		step("%s", e.Text)
		if e.Failed {
			log.showTail(e.Service)
		}
	}, rules)
	go func() { d.started <- failed + d.supervisor.Run(ctx) }()
	return d
}

func (d *directServices) ready() <-chan int { return d.started }

// health returns nil: PID 1 itself supervises the services.
func (d *directServices) health() error { return nil }

// stop stops the services, dependents first, and kills those that do not exit in time.
func (d *directServices) stop(forced context.Context) {
	d.cancel()
	d.supervisor.Stop(func(name string) {
		d.mutex.Lock()
		run := d.runs[name]
		d.mutex.Unlock()
		if run == nil {
			return
		}
		_ = unix.Kill(run.pid, unix.SIGTERM)
		select {
		case <-run.exited:
		case <-forced.Done():
			_ = unix.Kill(run.pid, unix.SIGKILL)
		case <-time.After(stopTimeout(run.pid, stopTime)):
			_ = unix.Kill(run.pid, unix.SIGKILL)
		}
	})
}

// Start creates and starts the container. The container of an earlier run was deleted before its
// end was reported.
func (d *directServices) Start(ctx context.Context, name string) (ended <-chan int, fresh bool, err error) {
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
	bundleDir, release, err := confinedBundle(dir, name)
	if err != nil {
		return nil, false, err
	}
	pid, err := create(d.children, out, bundleDir, name)
	release()
	if err != nil {
		return nil, false, err
	}
	run := &serviceRun{pid: pid, exited: make(chan struct{})}
	done := d.children.watch(pid)
	err = runtime.AttachProcess(pid)
	if err == nil {
		err = d.startContainer(ctx, name, run, out)
	}
	if err != nil {
		d.remove(name)
		return nil, false, err
	}
	status := make(chan int, 1)
	go func() {
		code := exitCode(<-done)
		close(run.exited)
		d.remove(name)
		status <- code
	}()
	return status, true, nil
}

// startContainer starts a created container, unless the machine shuts down.
func (d *directServices) startContainer(ctx context.Context, name string, run *serviceRun, out *os.File) error {
	d.mutex.Lock()
	d.runs[name] = run
	d.mutex.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	return d.children.run(out, runtimePath, "start", name)
}

func (d *directServices) remove(name string) {
	d.mutex.Lock()
	delete(d.runs, name)
	d.mutex.Unlock()
	if out, err := d.log.open(name); err == nil {
		_ = d.children.run(out, runtimePath, "delete", "--force", name)
		out.Close()
	}
}

func (d *directServices) Exec(ctx context.Context, name string, args []string) error {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	pidFile := filepath.Join("/run/lkt", name+".exec")
	_ = os.Remove(pidFile)
	pid, done, err := d.children.start(append([]string{runtimePath, "exec", "--pid-file", pidFile, name}, args...), null)
	if err != nil {
		return err
	}
	select {
	case status := <-done:
		return statusError(status)
	case <-ctx.Done():
		// The runtime's end would leave the command in the container.
		killCommand(pid, pidFile)
		_ = unix.Kill(pid, unix.SIGKILL)
		return fmt.Errorf("%s: %w", args[0], ctx.Err())
	}
}

// killCommand kills the process in a container that a runtime has started and not yet collected.
func killCommand(runtime int, pidFile string) {
	text, err := os.ReadFile(pidFile)
	if err != nil {
		return
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return
	}
	process, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return
	}
	defer unix.Close(process)
	// By now, another process may have the number.
	if status, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err == nil && parentOf(string(status)) == runtime {
		_ = unix.PidfdSendSignal(process, unix.SIGKILL, nil, 0)
	}
}

// parentOf returns the parent in a /proc/PID/stat, or 0. The name in parentheses may have any
// characters.
func parentOf(stat string) int {
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(fields) < 2 {
		return 0
	}
	parent, _ := strconv.Atoi(fields[1])
	return parent
}

// Stopped returns false: only PID 1 can stop a service.
func (d *directServices) Stopped(context.Context, string) bool { return false }

// AwaitStart waits until ctx ends: only PID 1 can start a service.
func (d *directServices) AwaitStart(ctx context.Context, _ string) { <-ctx.Done() }

// LogPath returns the path of the service's log.
func (d *directServices) LogPath(name string) string { return logs.Path(logs.Dir, name) }
