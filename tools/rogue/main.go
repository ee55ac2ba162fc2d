// Command rogue puts raw Ethernet frames on a link, for tests of hostile networks. Its
// arguments are an interface and the frames, in hexadecimal from the destination address on.
package main

import (
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"syscall"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "rogue: error: %v\n", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) < 2 {
		return fmt.Errorf("usage: rogue INTERFACE FRAME…")
	}
	frames, err := parse(args[1:])
	if err != nil {
		return err
	}
	link, err := net.InterfaceByName(args[0])
	if err != nil {
		return err
	}
	fd, err := syscall.Socket(syscall.AF_PACKET, syscall.SOCK_RAW, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer syscall.Close(fd)
	for _, frame := range frames {
		if err := syscall.Sendto(fd, frame, 0, &syscall.SockaddrLinklayer{Ifindex: link.Index}); err != nil {
			return os.NewSyscallError("sendto", err)
		}
	}
	return nil
}

// parse decodes frames, which have at least an Ethernet header.
func parse(texts []string) ([][]byte, error) {
	var frames [][]byte
	for _, text := range texts {
		frame, err := hex.DecodeString(text)
		if err != nil {
			return nil, err
		}
		if len(frame) < 14 {
			return nil, fmt.Errorf("frame %q has no Ethernet header", text)
		}
		frames = append(frames, frame)
	}
	return frames, nil
}
