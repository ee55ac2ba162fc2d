package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	netlinkAudit = 9    // NETLINK_AUDIT
	auditSet     = 1001 // AUDIT_SET
	// firstRecord is the first message type that is a record; lower ones are answers to commands.
	firstRecord = 1100
	// maxRecord is the size of the largest message (MAX_AUDIT_MESSAGE_LENGTH), with its header.
	maxRecord = 9000
)

// names are those of linux/audit.h for common records.
var names = map[uint16]string{
	1105: "USER_START", 1112: "USER_LOGIN", 1130: "SERVICE_START", 1131: "SERVICE_STOP", 1300: "SYSCALL", 1302: "PATH", 1305: "CONFIG_CHANGE",
	1306: "SOCKADDR", 1307: "CWD", 1309: "EXECVE", 1320: "EOE", 1325: "NETFILTER_CFG", 1326: "SECCOMP", 1327: "PROCTITLE", 1330: "KERN_MODULE",
	1334: "BPF", 1335: "EVENT_LISTENER", 1400: "AVC", 1700: "ANOM_PROMISCUOUS", 1701: "ANOM_ABEND", 1702: "ANOM_LINK", 1800: "INTEGRITY_DATA",
}

// register sets the status with this process as the receiver of records, and returns its
// connection.
func register(s status) (socket int, err error) {
	socket, err = unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, netlinkAudit)
	if errors.Is(err, unix.EPROTONOSUPPORT) {
		return -1, fmt.Errorf("the kernel has no CONFIG_AUDIT: %w", err)
	}
	if err != nil {
		return -1, fmt.Errorf("netlink socket: %w", err)
	}
	s.pid = uint32(os.Getpid())
	if err = unix.Sendto(socket, s.request(), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err == nil {
		err = awaitAck(socket)
	}
	if err != nil {
		unix.Close(socket)
		return -1, fmt.Errorf("become the receiver of records: %w\n  fix: pid: host and CAP_AUDIT_CONTROL, and only one auditd", err)
	}
	return socket, nil
}

// request returns the message AUDIT_SET.
func (s status) request() []byte {
	const size = unix.SizeofNlMsghdr + 10*4
	b := binary.NativeEndian.AppendUint32(nil, size)
	b = binary.NativeEndian.AppendUint16(b, auditSet)
	b = binary.NativeEndian.AppendUint16(b, unix.NLM_F_REQUEST|unix.NLM_F_ACK)
	b = binary.NativeEndian.AppendUint32(b, 1)
	b = binary.NativeEndian.AppendUint32(b, 0)
	for _, field := range []uint32{s.mask, s.enabled, s.failure, s.pid, s.rateLimit, s.backlogLimit, 0, 0, 0, s.waitTime} {
		b = binary.NativeEndian.AppendUint32(b, field)
	}
	return b
}

func awaitAck(socket int) error {
	buffer := make([]byte, maxRecord)
	for {
		n, _, err := unix.Recvfrom(socket, buffer, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return err
		}
		kind, payload := message(buffer[:n])
		if kind != unix.NLMSG_ERROR || len(payload) < 4 {
			continue // a record: the next ones are printed
		}
		if code := int32(binary.NativeEndian.Uint32(payload)); code != 0 {
			return unix.Errno(-code)
		}
		return nil
	}
}

// message returns the type and the payload of the netlink message in a datagram, which has one. It
// ignores the length in the header: for a record, the kernel does not count the header in it.
func message(data []byte) (kind uint16, payload []byte) {
	if len(data) < unix.SizeofNlMsghdr {
		return 0, nil
	}
	return binary.NativeEndian.Uint16(data[4:]), data[unix.SizeofNlMsghdr:]
}

// follow prints each record in a line.
func follow(socket int, out io.Writer) error {
	buffer := make([]byte, maxRecord)
	for {
		n, from, err := unix.Recvfrom(socket, buffer, 0)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.ENOBUFS):
			if _, err := io.WriteString(out, "auditd: records were lost\n"); err != nil {
				return err
			}
			continue
		case err != nil:
			return err
		}
		if sender, isNetlink := from.(*unix.SockaddrNetlink); !isNetlink || sender.Pid != 0 {
			continue
		}
		if line := record(buffer[:n]); line != "" {
			if _, err := io.WriteString(out, line); err != nil {
				return err
			}
		}
	}
}

// record returns the line of a record, in auditd's raw form, or "" for another message.
func record(data []byte) string {
	kind, payload := message(data)
	if kind < firstRecord {
		return ""
	}
	name, found := names[kind]
	if !found {
		name = fmt.Sprintf("UNKNOWN[%d]", kind)
	}
	text := string(bytes.TrimRight(payload, "\x00\n"))
	return fmt.Sprintf("type=%s msg=%s\n", name, strings.ReplaceAll(text, "\n", " "))
}
