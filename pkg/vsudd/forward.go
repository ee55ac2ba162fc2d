package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// maxForwards is the maximum number of ports.
	maxForwards = 32
	// maxClients is the maximum number of connections at a time, of all ports together. Others
	// wait.
	maxClients = 128
	// maxIdle is how long a connection may move no byte while others wait.
	maxIdle = time.Minute
)

// serve forwards the connections of a listening socket to a Unix socket.
func serve(listener *os.File, path string, clients *places) error {
	raw, err := listener.SyscallConn()
	if err != nil {
		return err
	}
	for {
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
			if failed == unix.EINTR || failed == unix.ECONNABORTED {
				continue
			}
			return fmt.Errorf("accept: %w", failed)
		}
		client := os.NewFile(uintptr(fd), "client")
		place := clients.take(client)
		go func() {
			defer place.free()
			if err := connect(client, path, place.use); err != nil {
				fmt.Fprintf(os.Stderr, "vsudd: %v\n", err)
			}
		}()
	}
}

// connect copies between a client and a Unix socket in both directions. The end of one direction
// reaches the other side, and both must end. It calls use before it writes.
func connect(client *os.File, path string, use func()) error {
	defer client.Close()
	server, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return err
	}
	defer server.Close()
	done := make(chan struct{})
	go func() {
		_, _ = io.Copy(writer{server, use}, readerOnly{client})
		_ = server.CloseWrite()
		close(done)
	}()
	_, _ = io.Copy(writer{client, use}, readerOnly{server})
	if raw, err := client.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { _ = unix.Shutdown(int(fd), syscall.SHUT_WR) })
	}
	<-done
	return nil
}

// writer and readerOnly hide the methods with which io.Copy would call splice(2).
type writer struct {
	to  io.Writer
	use func()
}

func (w writer) Write(b []byte) (int, error) {
	w.use()
	return w.to.Write(b)
}

type readerOnly struct{ io.Reader }
