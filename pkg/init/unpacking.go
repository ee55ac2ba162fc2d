package main

import (
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// reportUnpacking reports the unpacking of the initramfs, which happened before PID 1, from the
// kernel's log.
func reportUnpacking() {
	fd, err := unix.Open("/dev/kmsg", unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	// Each read returns one record. There are a few hundred.
	record := make([]byte, 8<<10)
	for range 10_000 {
		n, err := unix.Read(fd, record)
		if err == unix.EPIPE { // the oldest records were overwritten
			continue
		}
		if err != nil {
			return
		}
		at, text := parseRecord(string(record[:n]))
		switch {
		case strings.HasSuffix(text, "npacking initramfs...") || strings.HasSuffix(text, "unpack rootfs image as initramfs..."):
			stepAt(at, "initramfs starts")
		case strings.HasPrefix(text, "Freeing initrd memory"):
			stepAt(at, "initramfs")
			return
		}
	}
}

// parseRecord returns the time and the text of a /dev/kmsg record:
// "LEVEL,NUMBER,MICROSECONDS,FLAGS;TEXT", followed by continuation lines (the kernel's
// Documentation/ABI/testing/dev-kmsg).
func parseRecord(record string) (at time.Duration, text string) {
	head, rest, _ := strings.Cut(record, ";")
	fields := strings.Split(head, ",")
	if len(fields) < 4 {
		return 0, ""
	}
	microseconds, err := strconv.ParseInt(fields[2], 10, 64)
	if err != nil {
		return 0, ""
	}
	text, _, _ = strings.Cut(rest, "\n")
	return time.Duration(microseconds) * time.Microsecond, text
}
