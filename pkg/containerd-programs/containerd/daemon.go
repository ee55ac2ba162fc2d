package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/containerd/containerd/services/server"
	"github.com/containerd/containerd/services/server/config"
	"github.com/containerd/containerd/sys"
	"golang.org/x/sys/unix"

	"lkt/confine"
	"lkt/supervise"
)

const (
	rootDir  = "/var/lib/containerd"
	stateDir = "/run/containerd"
	address  = stateDir + "/containerd.sock"
)

// serve runs containerd until ctx ends. It calls onReady, if not nil, once clients can connect, and
// stops containerd after onReady has returned.
func serve(ctx context.Context, onReady func(context.Context) error) error {
	const maxMessage = 16 << 20
	settings := &config.Config{
		Version:  2,
		Root:     rootDir,
		State:    stateDir,
		OOMScore: -999,
		GRPC:     config.GRPCConfig{Address: address, MaxRecvMsgSize: maxMessage, MaxSendMsgSize: maxMessage},
		TTRPC:    config.TTRPCConfig{Address: address + ".ttrpc"},
		// With the defaults of 5 s, a busy machine loses its services when containerd starts again.
		Timeouts: map[string]string{"io.containerd.timeout.shim.load": "60s", "io.containerd.timeout.shim.cleanup": "60s"},
	}
	if err := server.CreateTopLevelDirectories(settings); err != nil {
		return err
	}
	daemon, err := server.New(context.WithoutCancel(ctx), settings)
	if err != nil {
		return err
	}
	defer daemon.Stop()
	ttrpc, err := sys.GetLocalListener(settings.TTRPC.Address, 0, 0)
	if err != nil {
		return err
	}
	grpc, err := sys.GetLocalListener(settings.GRPC.Address, 0, 0)
	if err != nil {
		return err
	}
	ended := make(chan error, 2)
	go func() { ended <- daemon.ServeTTRPC(ttrpc) }()
	go func() { ended <- daemon.ServeGRPC(grpc) }()
	if onReady != nil {
		if err := onReady(ctx); err != nil {
			return err
		}
	}
	select {
	case err := <-ended:
		return fmt.Errorf("server ended: %w", err)
	case <-ctx.Done():
		return nil
	}
}

// alivePeriod is the time between two checks of containerd.
const alivePeriod = 5 * time.Second

// reportAlive calls report whenever containerd has answered a request, until ctx ends.
func (s *services) reportAlive(ctx context.Context, report func()) {
	for ctx.Err() == nil {
		if s.answers(ctx) {
			report()
		}
		select {
		case <-time.After(alivePeriod):
		case <-ctx.Done():
		}
	}
}

// answers reports whether containerd answers a request that reads its database.
func (s *services) answers(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, alivePeriod)
	defer cancel()
	_, err := s.client.NamespaceService().List(ctx)
	return err == nil
}

// systemInit runs containerd and starts the services of the image in one process. It reports to PID
// 1 on file descriptor 3. Without arguments, those of the image's options become its own, so that a
// list of processes shows them.
func systemInit(ctx context.Context, args []string) error {
	chosen, invalid := loadOptions(optionsPath)
	if more := chosen.arguments(); len(args) == 0 && len(more) > 0 {
		return unix.Exec(programPath, append(append([]string{programPath}, more...), launcher), os.Environ())
	}
	reports := os.NewFile(3, "reports")
	send := func(kind, text string) {
		if reports != nil {
			fmt.Fprintf(reports, "%s %s\n", kind, text)
		}
	}
	report := func(e supervise.Event) {
		switch {
		case e.Failed:
			send("failed", e.Text)
		case e.Written:
			send("line", e.Text)
		default:
			send("step", e.Text)
		}
	}
	ignored, unknown := setLevel(args)
	for _, err := range []error{invalid, unknown, chosen.redirect()} {
		if err != nil {
			send("failed", "containerd: "+oneLine(err))
		}
	}
	if len(ignored) > 0 {
		send("step", fmt.Sprintf("containerd: %s has no effect", strings.Join(ignored, " ")))
	}
	return serve(ctx, func(ctx context.Context) error {
		send("step", "containerd")
		s, err := connect()
		if err != nil {
			return err
		}
		defer s.close()
		s.bindsDir = "/run/lkt/binds"
		confine.RemoveBinds(s.bindsDir)
		known, failures := rules(report)
		go s.reportAlive(ctx, func() { send("alive", "") })
		supervisor := supervise.New(&supervised{services: s}, report, known)
		failures += supervisor.Run(ctx)
		send("ready", strconv.Itoa(failures))
		<-ctx.Done()
		ctx = context.WithoutCancel(ctx)
		supervisor.Stop(func(name string) {
			if err := s.stop(ctx, name); err != nil {
				send("step", fmt.Sprintf("service %s could not be stopped: %s", name, oneLine(err)))
			}
			send("stopped", name)
		})
		return nil
	})
}
