package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"

	"github.com/containerd/containerd"
	"github.com/containerd/containerd/cio"
	"github.com/containerd/containerd/errdefs"
	"golang.org/x/sys/unix"

	"lkt/supervise"
)

// stoppedLabel marks a container that was stopped by request, so that the supervisor does not
// restart it.
const stoppedLabel = "lkt/stopped"

// supervised implements supervise.Runtime for the services. Other processes may start and stop them
// too, by "service stop NAME".
type supervised struct {
	*services
	execs atomic.Int64
}

// rules returns the supervision rules of all services, and the number of services whose rules are
// invalid.
func rules(report func(supervise.Event)) (all map[string]supervise.Rules, failures int) {
	names, err := bundleNames()
	if err != nil {
		report(supervise.Event{Text: fmt.Sprintf("services: %v", err), Failed: true})
		return nil, 1
	}
	all = map[string]supervise.Rules{}
	for _, name := range names {
		one, err := supervise.LoadRules(filepath.Join(bundlesDir, name))
		if err != nil {
			report(supervise.Event{Service: name, Text: fmt.Sprintf("service %s failed: %v", name, err), Failed: true})
			failures++
			continue
		}
		all[name] = one
	}
	return all, failures
}

// Start starts a service. It attaches to a running one, which happens if containerd ended and was
// started again.
func (s *supervised) Start(ctx context.Context, name string) (<-chan int, bool, error) {
	err := s.start(ctx, name)
	fresh := !errors.Is(err, errRunning)
	if err != nil && fresh {
		return nil, false, errors.New(oneLine(err))
	}
	ctx, _, task, err := s.loadTask(ctx, name)
	if err != nil {
		return nil, false, errors.New(oneLine(err))
	}
	exit, err := task.Wait(ctx)
	if err != nil {
		return nil, false, errors.New(oneLine(err))
	}
	ended := make(chan int, 1)
	go func() {
		if status := <-exit; ctx.Err() == nil {
			ended <- int(status.ExitCode())
		}
	}()
	return ended, fresh, nil
}

// Exec runs a command in the service's container, with the user, capabilities and directory of its
// process.
func (s *supervised) Exec(ctx context.Context, name string, args []string) error {
	ctx, container, task, err := s.loadTask(ctx, name)
	if err != nil {
		return err
	}
	spec, err := container.Spec(ctx)
	if err != nil {
		return err
	}
	process := *spec.Process
	process.Args, process.Terminal = args, false
	exec, err := task.Exec(ctx, fmt.Sprintf("ready-%d", s.execs.Add(1)), &process, cio.NullIO)
	if err != nil {
		return err
	}
	defer func() { _, _ = exec.Delete(context.WithoutCancel(ctx), containerd.WithProcessKill) }()
	exit, err := exec.Wait(ctx)
	if err != nil {
		return err
	}
	if err := exec.Start(ctx); err != nil {
		return err
	}
	select {
	case status := <-exit:
		if status.Error() == nil && status.ExitCode() != 0 {
			return fmt.Errorf("%s: exit status %d", args[0], status.ExitCode())
		}
		return status.Error()
	case <-ctx.Done():
		_ = exec.Kill(context.WithoutCancel(ctx), unix.SIGKILL)
		return ctx.Err()
	}
}

// Stopped reports whether the service was stopped by request. A container that exited by itself
// still exists, without the label.
func (s *supervised) Stopped(ctx context.Context, name string) bool {
	ctx, container, err := s.load(ctx, name)
	if err != nil {
		return errdefs.IsNotFound(err)
	}
	labels, err := container.Labels(ctx)
	return errdefs.IsNotFound(err) || labels[stoppedLabel] != ""
}

// AwaitStart waits until the service runs. It subscribes before it checks the status, so that it
// misses no start.
func (s *supervised) AwaitStart(ctx context.Context, name string) {
	listening, cancel := context.WithCancel(ctx)
	defer cancel()
	events, failed := s.client.Subscribe(listening, `topic=="/tasks/start"`)
	for {
		if status, _ := s.status(ctx, name); status == string(containerd.Running) {
			return
		}
		select {
		case <-events:
		case <-failed:
			<-ctx.Done() // containerd ends, and this process with it
			return
		case <-ctx.Done():
			return
		}
	}
}

// LogPath returns the path of the service's log file.
func (s *supervised) LogPath(name string) string { return filepath.Join(logDir, name+".log") }

func (s *supervised) loadTask(
	ctx context.Context, name string,
) (context.Context, containerd.Container, containerd.Task, error) {
	ctx, container, err := s.load(ctx, name)
	if err != nil {
		return ctx, nil, nil, err
	}
	task, err := container.Task(ctx, nil)
	return ctx, container, task, err
}
