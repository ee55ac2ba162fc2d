package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

// flood writes lines with a total of the given bytes, as fast as possible.
func flood(args []string) error {
	bytes, err := strconv.Atoi(args[0])
	for i := 0; err == nil && bytes > 0; i++ {
		var n int
		n, err = fmt.Fprintf(os.Stdout, "flood %d %s\n", i, strings.Repeat("x", 80))
		bytes -= n
	}
	return err
}

// askMemlogd connects as a client of LinuxKit's memlogd, follows, and prints the first line of a
// source.
func askMemlogd(args []string) error {
	client, err := dial(args[0])
	if err != nil {
		return err
	}
	defer client.Close()
	const dumpAndFollow = 2
	if _, err := client.Write([]byte{dumpAndFollow}); err != nil {
		return err
	}
	for answers := json.NewDecoder(client); ; {
		var entry struct {
			Time   time.Time
			Source string
			Msg    string
		}
		if err := answers.Decode(&entry); errors.Is(err, io.EOF) {
			return fmt.Errorf("no line of %s", args[1])
		} else if err != nil {
			return err
		}
		if entry.Source == args[1] {
			fmt.Printf("memlogd says of %s: %s\n", entry.Source, entry.Msg)
			return nil
		}
	}
}

// dial connects to a Unix socket, or to vsock:CID:PORT.
func dial(address string) (io.ReadWriteCloser, error) {
	text, isVsock := strings.CutPrefix(address, "vsock:")
	if !isVsock {
		return net.DialTimeout("unix", address, time.Second)
	}
	// struct sockaddr_vm of linux/vm_sockets.h.
	to := struct {
		family, reserved uint16
		port, cid        uint32
		more             [4]byte
	}{family: 40}
	if _, err := fmt.Sscanf(text, "%d:%d", &to.cid, &to.port); err != nil {
		return nil, err
	}
	fd, err := syscall.Socket(int(to.family), syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	_, _, errno := syscall.Syscall(syscall.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&to)), unsafe.Sizeof(to))
	if errno != 0 {
		syscall.Close(fd)
		return nil, fmt.Errorf("connect to %s: %w", address, errno)
	}
	return os.NewFile(uintptr(fd), address), nil
}

// sendLog writes a line to a log under any name, as LinuxKit's init does.
func sendLog(args []string) error {
	ends, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		return err
	}
	defer syscall.Close(ends[0])
	defer syscall.Close(ends[1])
	socket, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer syscall.Close(socket)
	to := &syscall.SockaddrUnix{Name: args[0]}
	if err := syscall.Sendmsg(socket, []byte(args[1]), syscall.UnixRights(ends[1]), to, 0); err != nil {
		return err
	}
	_, err = syscall.Write(ends[0], []byte(args[2]+"\n"))
	return err
}
