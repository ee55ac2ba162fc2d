package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Where the victim listens: in its own files, in the abstract namespace of its network, and on its loopback interface.
const (
	victimPath     = "/run/victim.sock"
	victimAbstract = "@victim"
	victimTCP      = "127.0.0.1:4242"
)

var network = []attempt{
	{"raw-socket", func() error { return socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP) }},
	{"packet-socket", func() error { return socket(unix.AF_PACKET, unix.SOCK_RAW, 0) }},
	{"netlink-route", func() error {
		// Sets the address of an interface: what ip(8) does.
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
		return anyOf(paths, func(path string) error { return dial("unix", path, time.Second) })
	}},
	{"abstract-socket", func() error {
		// containerd's shims are reached by such sockets where they are not in files (CVE-2020-15257).
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

func dial(network, address string, patience time.Duration) error {
	connection, err := net.DialTimeout(network, address, patience)
	if err == nil {
		connection.Close()
	}
	return err
}

// reach does not count what is reached in a network that this container shares with the other because the config says so.
func reach(network, address string) error {
	connection, err := net.DialTimeout(network, address, time.Second)
	if err != nil {
		return err
	}
	defer connection.Close()
	its, _ := io.ReadAll(connection)
	if own, err := os.Readlink("/proc/self/ns/net"); err == nil && own == string(its) {
		return stopped("shared network")
	}
	return nil
}

// victim has what others try to reach, and says now and then that it is well.
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
		fmt.Println("no key:", err)
	}
	for i := 0; ; i++ {
		// A processor that emulates this one, and has others to emulate, is slow; without an end is what counts.
		if err := dial("tcp", victimTCP, 30*time.Second); err != nil {
			fmt.Println("the victim does not answer:", err)
		}
		fmt.Printf("victim is well %d\n", i)
		time.Sleep(time.Second)
	}
}
