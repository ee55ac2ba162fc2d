package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/containerd/containerd"
	"github.com/containerd/containerd/errdefs"
	"github.com/containerd/containerd/namespaces"
	"golang.org/x/sys/unix"

	"lkt/supervise"
)

const (
	bundlesDir = "/containers/services"
	logDir     = "/var/log"
	// defaultNamespace is the namespace that LinuxKit uses, so that its tools find the services.
	defaultNamespace = "services.linuxkit"
	// stopTime is how long a service may take to stop before it is killed. PID 1 waits a little
	// longer.
	stopTime = 15 * time.Second
)

// services starts and stops the containers of /containers/services through containerd. PID 1 mounts
// their root file systems.
type services struct {
	client *containerd.Client
	// bindsDir is where confined bind sources are mounted while a service is created. It is set
	// only in the machine's mount namespace, which can mount there. If empty, the runtime opens the
	// bind sources from config.json itself.
	bindsDir string
}

func connect() (*services, error) {
	client, err := containerd.New(address)
	if err != nil {
		return nil, fmt.Errorf("containerd: %w", err)
	}
	return &services{client: client}, nil
}

func (s *services) close() { s.client.Close() }

var errRunning = errors.New("already running")

func (s *services) start(ctx context.Context, name string) error {
	dir, err := bundleDir(name)
	if err != nil {
		return err
	}
	run, err := loadRuntime(dir)
	if err != nil {
		return err
	}
	spec, release, err := s.spec(dir, name)
	if err != nil {
		return err
	}
	defer release()
	ctx = namespaces.WithNamespace(ctx, run.namespace())
	if err := s.removeStale(ctx, name); err != nil {
		return err
	}
	container, err := s.client.NewContainer(ctx, name, containerd.WithSpec(spec))
	if err != nil {
		return err
	}
	if err := s.removeLeftovers(run.namespace(), name); err != nil {
		_ = container.Delete(ctx)
		return err
	}
	task, err := container.NewTask(ctx, output(name))
	if err != nil {
		_ = container.Delete(ctx)
		return err
	}
	err = run.attach(int(task.Pid()))
	if err == nil {
		err = task.Start(ctx)
	}
	if err != nil {
		_, _ = task.Delete(ctx, containerd.WithProcessKill)
		_ = container.Delete(ctx)
	}
	return err
}

// removeLeftovers removes the remains of a service that containerd does not know. In a container,
// they belong to processes that this one cannot see.
func (s *services) removeLeftovers(namespace, name string) error {
	if s.bindsDir == "" {
		return nil
	}
	return removeLeftovers(namespace, name)
}

// removeStale deletes the container and task of an earlier run, and returns errRunning if the
// service is running.
func (s *services) removeStale(ctx context.Context, name string) error {
	container, err := s.client.LoadContainer(ctx, name)
	if errdefs.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	ns, err := namespaces.NamespaceRequired(ctx)
	if err != nil {
		return err
	}
	task, err := container.Task(ctx, nil)
	if err == nil {
		status, err := task.Status(ctx)
		if err == nil && status.Status == containerd.Running {
			return errRunning
		}
		if _, err := task.Delete(ctx, containerd.WithProcessKill); err != nil && !errdefs.IsNotFound(err) {
			// Without its shim, containerd forgets the task.
			if s.bindsDir == "" || s.removeLeftovers(ns, name) != nil {
				return err
			}
		}
	} else if !errdefs.IsNotFound(err) {
		return err
	}
	return container.Delete(ctx)
}

func (s *services) stop(ctx context.Context, name string) error {
	ctx, container, err := s.load(ctx, name)
	if errdefs.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if _, err := container.SetLabels(ctx, map[string]string{stoppedLabel: "yes"}); err != nil && !errdefs.IsNotFound(err) {
		return err
	}
	task, err := container.Task(ctx, nil)
	if err == nil {
		err = terminate(ctx, task)
	}
	if err != nil && !errdefs.IsNotFound(err) {
		return err
	}
	return container.Delete(ctx)
}

// terminate sends SIGTERM to the service, and SIGKILL after stopTime, or at once if the service
// ignores SIGTERM.
func terminate(ctx context.Context, task containerd.Task) error {
	ended, err := task.Wait(ctx)
	if err != nil {
		return err
	}
	timeout := time.After(stopTime)
	if status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", task.Pid())); err == nil && supervise.IgnoresTerm(string(status)) {
		timeout = time.After(0)
	}
	if err := task.Kill(ctx, unix.SIGTERM); err != nil && !errdefs.IsNotFound(err) {
		return err
	}
	select {
	case <-ended:
	case <-timeout:
		if err := task.Kill(ctx, unix.SIGKILL, containerd.WithKillAll); err != nil && !errdefs.IsNotFound(err) {
			return err
		}
		<-ended
	}
	_, err = task.Delete(ctx)
	return err
}

func (s *services) load(ctx context.Context, name string) (context.Context, containerd.Container, error) {
	dir, err := bundleDir(name)
	if err != nil {
		return ctx, nil, err
	}
	run, err := loadRuntime(dir)
	if err != nil {
		return ctx, nil, err
	}
	ctx = namespaces.WithNamespace(ctx, run.namespace())
	container, err := s.client.LoadContainer(ctx, name)
	return ctx, container, err
}

func list(ctx context.Context, out io.Writer) func(*services) error {
	return func(s *services) error {
		names, err := bundleNames()
		if err != nil {
			return err
		}
		table := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
		fmt.Fprintln(table, "NAME\tSTATUS\tPID")
		for _, name := range names {
			status, pid := s.status(ctx, name)
			fmt.Fprintf(table, "%s\t%s\t%d\n", name, status, pid)
		}
		return table.Flush()
	}
}

func (s *services) status(ctx context.Context, name string) (status string, pid uint32) {
	ctx, container, err := s.load(ctx, name)
	if err != nil {
		return "absent", 0
	}
	task, err := container.Task(ctx, nil)
	if err != nil {
		return "ended", 0
	}
	now, err := task.Status(ctx)
	if err != nil {
		return oneLine(err), task.Pid()
	}
	return string(now.Status), task.Pid()
}

// bundleNames returns the names of the image's services.
func bundleNames() ([]string, error) {
	entries, err := os.ReadDir(bundlesDir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

func bundleDir(name string) (string, error) {
	if name == "" || name[0] == '.' || strings.ContainsRune(name, '/') {
		return "", fmt.Errorf("invalid service name %q", name)
	}
	dir := filepath.Join(bundlesDir, name)
	if _, err := os.Stat(dir); err != nil {
		return "", fmt.Errorf("this image has no service %q", name)
	}
	return dir, nil
}

func oneLine(err error) string {
	return strings.Join(strings.Fields(err.Error()), " ")
}
