package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	// maxForwards is the maximum number of ports.
	maxForwards = 32
	// maxClients is the maximum number of connections at a time, of all ports together. Others
	// wait.
	maxClients = 128
)

// serve forwards the connections of a listening socket to a Unix socket.
func serve(listener *os.File, path string, clients chan struct{}) error {
	raw, err := listener.SyscallConn()
	if err != nil {
		return err
	}
	for {
		clients <- struct{}{}
		var fd int
		var failed error
		err := raw.Read(func(on uintptr) bool {
			fd, _, failed = unix.Accept4(int(on), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
			return failed != unix.EAGAIN
		})
		if err != nil {
			return err
		}
		if failed != nil {
			<-clients
			if failed == unix.EINTR || failed == unix.ECONNABORTED {
				continue
			}
			return fmt.Errorf("accept: %w", failed)
		}
		go func() {
			defer func() { <-clients }()
			if err := connect(os.NewFile(uintptr(fd), "client"), path); err != nil {
				fmt.Fprintf(os.Stderr, "vsudd: %v\n", err)
			}
		}()
	}
}

// connect copies between a client and a Unix socket in both directions. The end of one direction
// reaches the other side, and both must end.
func connect(client *os.File, path string) error {
	defer client.Close()
	server, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return err
	}
	defer server.Close()
	done := make(chan struct{})
	go func() {
		_, _ = io.Copy(writerOnly{server}, client)
		_ = server.CloseWrite()
		close(done)
	}()
	_, _ = io.Copy(writerOnly{client}, readerOnly{server})
	if raw, err := client.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { _ = unix.Shutdown(int(fd), syscall.SHUT_WR) })
	}
	<-done
	return nil
}

// writerOnly and readerOnly hide the methods with which io.Copy would call splice(2).
type writerOnly struct{ io.Writer }

type readerOnly struct{ io.Reader }
