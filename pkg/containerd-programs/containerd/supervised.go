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

// stoppedLabel is on a container that somebody has stopped, so that it is not started again.
const stoppedLabel = "lkt/stopped"

// supervised are the services as a supervise.Runtime. Other processes start and stop them too: "service stop NAME".
type supervised struct {
	*services
	execs atomic.Int64
}

// rules are those of all services of the image, and how many of them cannot be read.
func rules(report func(supervise.Event)) (all map[string]supervise.Rules, failures int) {
	names, err := bundles()
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

// Start finds a service running when containerd ended and was started again.
func (s *supervised) Start(ctx context.Context, name string) (<-chan int, bool, error) {
	err := s.start(ctx, name)
	fresh := !errors.Is(err, errRuns)
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

// Exec runs a command as the service's own process: the same user, capabilities and directory.
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

// Stopped: a container that ended by itself is still there, without the label.
func (s *supervised) Stopped(ctx context.Context, name string) bool {
	ctx, container, err := s.load(ctx, name)
	if err != nil {
		return errdefs.IsNotFound(err)
	}
	labels, err := container.Labels(ctx)
	return errdefs.IsNotFound(err) || labels[stoppedLabel] != ""
}

// AwaitStart listens to containerd before it looks, so that no start is missed.
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

// LogPath is where the shim of the service writes its output.
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
