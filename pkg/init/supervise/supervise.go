// Package supervise starts the services of an image in order, reports when each is ready, and
// restarts those that exit.
//
// It accesses containers through Runtime. PID 1 uses it for an image without containerd, and
// containerd's launcher for one with it, so it imports only the standard library.
package supervise

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Runtime starts and inspects services.
type Runtime interface {
	// Start starts the service and sends its exit status to ended. If the service is already
	// running, fresh is false.
	Start(ctx context.Context, name string) (ended <-chan int, fresh bool, err error)
	// Exec runs a command in the service's container. It returns an error if the exit status is not
	// 0.
	Exec(ctx context.Context, name string, args []string) error
	// Stopped reports whether the service ended because a user stopped it.
	Stopped(ctx context.Context, name string) bool
	// AwaitStart waits until a user has started the service, or ctx ends.
	AwaitStart(ctx context.Context, name string)
	// LogPath returns the path of the service's log.
	LogPath(name string) string
}

// Event is a change of a service, or a line that it wrote. Failed events count as failures of the
// boot.
type Event struct {
	Service string
	Text    string
	Failed  bool
	// Written: Text is the service's name and a line of its log.
	Written bool
}

const (
	firstRestartDelay = time.Second
	// maxRestartDelay limits the delay of a service that keeps exiting.
	maxRestartDelay = 30 * time.Second
	// steadyTime is how long a service must run to reset its restart delay.
	steadyTime = time.Minute
)

// Supervisor supervises services.
type Supervisor struct {
	runtime  Runtime
	report   func(Event)
	services map[string]*service
	// restartDelay is firstRestartDelay, except in tests.
	restartDelay time.Duration
}

// service is the state of one service. Each channel is closed at most once.
type service struct {
	name  string
	rules Rules
	// cycle is the cycle of dependencies that contains the service, or "". Such a service is not
	// started, and the order of its dependencies is ignored at shutdown.
	cycle string
	// ready: it has been ready at least once. settled: it has been ready or has failed.
	ready, settled chan struct{}
	// abandoned: it will not become ready unless a user starts it.
	abandoned chan struct{}
	// stopped: it has been stopped for the shutdown.
	stopped chan struct{}
	failed  bool
}

// New returns a supervisor of the services in rules. Dependencies that are not among them are
// ignored.
func New(runtime Runtime, report func(Event), rules map[string]Rules) *Supervisor {
	s := &Supervisor{runtime: runtime, report: report, services: map[string]*service{}, restartDelay: firstRestartDelay}
	inCycle := cycles(rules)
	for name, r := range rules {
		if inCycle[name] != "" {
			r.After = nil
		}
		s.services[name] = &service{
			name: name, rules: r, cycle: inCycle[name],
			ready: make(chan struct{}), settled: make(chan struct{}), abandoned: make(chan struct{}), stopped: make(chan struct{}),
		}
	}
	return s
}

// Run starts the services and returns the number of failures once each service is ready or has
// failed. Supervision continues until ctx ends.
func (s *Supervisor) Run(ctx context.Context) (failures int) {
	for _, svc := range s.services {
		go s.supervise(ctx, svc)
	}
	for _, svc := range s.services {
		select {
		case <-svc.settled:
			if svc.failed {
				failures++
			}
		case <-ctx.Done():
			return failures
		}
	}
	return failures
}

// Stop calls stop for every service, dependents first, and waits for all calls.
func (s *Supervisor) Stop(stop func(name string)) {
	var all sync.WaitGroup
	for _, svc := range s.services {
		all.Add(1)
		go func() {
			defer all.Done()
			defer close(svc.stopped)
			for _, other := range s.services {
				for _, name := range other.rules.After {
					if name == svc.name {
						<-other.stopped
					}
				}
			}
			stop(svc.name)
		}()
	}
	all.Wait()
}

// supervise starts a service once its dependencies are ready, and restarts it by its rules until
// ctx ends.
func (s *Supervisor) supervise(ctx context.Context, svc *service) {
	if svc.cycle != "" {
		s.markFailed(svc, "dependencies form a cycle: %s", svc.cycle)
		svc.abandon()
		s.runtime.AwaitStart(ctx, svc.name)
	}
	if !s.awaitDependencies(ctx, svc) {
		return
	}
	for delay := s.restartDelay; ctx.Err() == nil; {
		begin := time.Now()
		status, isStarted := s.runOnce(ctx, svc)
		if ctx.Err() != nil {
			return
		}
		// A service that could not be started has no container, like one that was stopped.
		if !svc.rules.shouldRestart(status) || isStarted && s.runtime.Stopped(ctx, svc.name) {
			svc.abandon()
			s.runtime.AwaitStart(ctx, svc.name)
			continue
		}
		if time.Since(begin) > steadyTime {
			delay = s.restartDelay
		}
		s.step(svc, " restarts in %v", delay)
		select {
		case <-time.After(delay):
		case <-ctx.Done():
			return
		}
		delay = min(2*delay, maxRestartDelay)
	}
}

// awaitDependencies waits until all dependencies of a service are ready. If one fails, the service
// fails too, but continues to wait. It returns false when ctx ends.
func (s *Supervisor) awaitDependencies(ctx context.Context, svc *service) bool {
	for _, name := range svc.rules.After {
		other, found := s.services[name]
		if !found {
			continue
		}
		select {
		case <-other.settled:
		case <-ctx.Done():
			return false
		}
		if other.failed {
			s.markFailed(svc, "dependency %s is not ready", name)
		}
		select {
		case <-other.ready:
		case <-other.abandoned:
			svc.abandon()
			select {
			case <-other.ready:
			case <-ctx.Done():
				return false
			}
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// runOnce starts a service and returns its exit status, or -1 if it could not be started.
func (s *Supervisor) runOnce(ctx context.Context, svc *service) (status int, isStarted bool) {
	from := endOfLog(s.runtime.LogPath(svc.name))
	s.step(svc, " starts")
	ended, fresh, err := s.runtime.Start(ctx, svc.name)
	if ctx.Err() != nil {
		return -1, false
	}
	if err != nil {
		if isClosed(svc.settled) { // markFailed does not report it
			s.step(svc, " could not be started: %v", err)
		}
		s.markFailed(svc, "%v", err)
		return -1, false
	}
	if !fresh {
		from = logPosition{}
	}
	asking, stopAsking := context.WithCancel(ctx)
	defer stopAsking()
	isReady, overdue := make(chan string, 1), make(chan struct{}, 1)
	go func() {
		if line, ok := s.awaitReady(asking, svc, from, overdue); ok {
			isReady <- line
		}
	}()
	for {
		select {
		case line := <-isReady:
			s.markReady(svc)
			if line != "" {
				s.report(Event{Service: svc.name, Text: svc.name + ": " + line, Written: true})
			}
			isReady = nil
		case <-overdue:
			s.markFailed(svc, "not ready after %v", svc.rules.Ready.timeout())
		case status := <-ended:
			if ctx.Err() != nil {
				return status, true
			}
			// Without a readiness check, the service was ready before it exited, even if that event
			// arrives later.
			if svc.rules.Ready == nil {
				s.markReady(svc)
			}
			s.step(svc, " exited with status %d", status)
			s.markFailed(svc, "exited with status %d before it was ready", status)
			return status, true
		case <-ctx.Done():
			return -1, true
		}
	}
}

// markReady, markFailed and abandon are called only from the goroutine of supervise.
func (s *Supervisor) markReady(svc *service) {
	if isClosed(svc.ready) {
		return
	}
	s.step(svc, "")
	close(svc.ready)
	if !isClosed(svc.settled) {
		close(svc.settled)
	}
}

// markFailed settles a service that has not been ready. It does not report later failures.
func (s *Supervisor) markFailed(svc *service, format string, args ...any) {
	if isClosed(svc.settled) {
		return
	}
	s.report(Event{Service: svc.name, Text: "service " + svc.name + " failed: " + fmt.Sprintf(format, args...), Failed: true})
	svc.failed = true
	close(svc.settled)
}

func (s *Supervisor) step(svc *service, format string, args ...any) {
	s.report(Event{Service: svc.name, Text: "service " + svc.name + fmt.Sprintf(format, args...)})
}

func (svc *service) abandon() {
	if !isClosed(svc.abandoned) {
		close(svc.abandoned)
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
