package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Addresses of the victim: a socket file, the abstract namespace of its network, and its loopback
// interface.
const (
	victimPath     = "/run/victim.sock"
	victimAbstract = "@victim"
	victimTCP      = "127.0.0.1:4242"
)

var network = []attempt{
	{"raw-socket", func() error { return socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP) }},
	{"packet-socket", func() error { return socket(unix.AF_PACKET, unix.SOCK_RAW, 0) }},
	{"netlink-route", func() error {
		// Sets an interface up, as ip(8) does.
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		request, err := unix.NewIfreq("lo")
		if err != nil {
			return err
		}
		request.SetUint16(unix.IFF_UP)
		return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request)
	}},
	{"socket-of-other", func() error {
		paths := []string{victimPath, "/proc/1/root" + victimPath, "/run/containerd/containerd.sock", "/run/memlogdq.sock",
			"/run/linuxkit-external-logging.sock", "/run/lkt/logs/victim"}
		return anyOf(paths, func(path string) error { return dial("unix", path) })
	}},
	{"abstract-socket", func() error {
		// containerd's shims used abstract sockets before CVE-2020-15257 was fixed.
		return reach("unix", victimAbstract)
	}},
	{"loopback-of-other", func() error { return reach("tcp", victimTCP) }},
}

func socket(domain, kind, protocol int) error {
	fd, err := unix.Socket(domain, kind|unix.SOCK_CLOEXEC, protocol)
	if err == nil {
		unix.Close(fd)
	}
	return err
}

// dialTimeout only ends a hang: emulation may be slow.
const dialTimeout = 30 * time.Second

func dial(network, address string) error {
	connection, err := net.DialTimeout(network, address, dialTimeout)
	if err == nil {
		connection.Close()
	}
	return err
}

// reach connects to another container. A network that both share by configuration does not count.
func reach(network, address string) error {
	connection, err := net.DialTimeout(network, address, dialTimeout)
	if err != nil {
		return err
	}
	defer connection.Close()
	other, _ := io.ReadAll(connection)
	if own, err := os.Readlink("/proc/self/ns/net"); err == nil && own == string(other) {
		return stopped("shared network")
	}
	return nil
}

// victim provides targets for others, and reports regularly that it works.
func victim() {
	for _, at := range [][2]string{{"unix", victimPath}, {"unix", victimAbstract}, {"tcp", victimTCP}} {
		listener, err := net.Listen(at[0], at[1])
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		go func() {
			for {
				if client, err := listener.Accept(); err == nil {
					network, _ := os.Readlink("/proc/self/ns/net")
					_, _ = client.Write([]byte(network))
					client.Close()
				}
			}
		}()
	}
	if _, err := unix.AddKey("user", "attack-victim", []byte("secret"), unix.KEY_SPEC_USER_KEYRING); err != nil {
		fmt.Println("add key:", err)
	}
	if _, err := unix.SysvShmGet(victimShm, 4096, unix.IPC_CREAT|0o666); err != nil {
		fmt.Println("shared memory:", err)
	}
	if err := serveShares(); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	for i := 0; ; i++ {
		if err := dial("tcp", victimTCP); err != nil {
			fmt.Println("the victim does not answer:", err)
		}
		fmt.Printf("victim is well %d\n", i)
		time.Sleep(time.Second)
	}
}
